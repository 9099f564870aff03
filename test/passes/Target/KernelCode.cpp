//===- KernelCode.cpp - What compiling a kernel gives -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelCode.h"

#include <fstream>
#include <sstream>

namespace moe::test {

static constexpr const char *kMagic = "moe-kernel-2";

KernelRecording &kernelRecording() {
  static KernelRecording recording;
  return recording;
}

/// A list with its length in front.
template <typename T> static void readList(std::istream &stream, std::vector<T> &list) {
  size_t size = 0;
  stream >> size;
  list.resize(stream ? size : 0);
  for (T &value : list)
    stream >> value;
}
template <typename T> static void writeList(std::ostream &stream, const std::vector<T> &list) {
  stream << " " << list.size();
  for (T value : list)
    stream << " " << value;
}

static void read(std::istream &stream, format::TensorMapT &map) {
  int dtype = 0, swizzle = 0;
  stream >> map.buffer >> dtype >> swizzle;
  map.dtype = static_cast<format::DType>(dtype);
  map.swizzle = static_cast<uint8_t>(swizzle);
  readList(stream, map.dims);
  readList(stream, map.strides);
  readList(stream, map.box);
}
static void write(std::ostream &stream, const format::TensorMapT &map) {
  stream << map.buffer << " " << static_cast<int>(map.dtype) << " " << static_cast<int>(map.swizzle);
  writeList(stream, map.dims);
  writeList(stream, map.strides);
  writeList(stream, map.box);
  stream << "\n";
}

/// 64-bit FNV-1a.
static std::string fileOf(const std::string &folder, const std::string &source, const std::string &target) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : target + "\n" + source)
    hash = (hash ^ c) * 0x100000001b3;
  std::ostringstream name;
  name << folder << "/" << std::hex << hash;
  return name.str();
}

std::optional<KernelCode> readKernelCode(const std::string &folder, const std::string &source,
                                         const std::string &target) {
  std::ifstream file(fileOf(folder, source, target), std::ios::binary);
  KernelCode code;
  std::string magic;
  size_t size = 0;
  if (!std::getline(file, magic) || magic != kMagic || !std::getline(file, code.target) ||
      !std::getline(file, code.name) || !std::getline(file, code.config))
    return std::nullopt;
  for (int64_t &extent : code.grid)
    file >> extent;
  for (int64_t &extent : code.block)
    file >> extent;
  size_t numMaps = 0;
  file >> code.sharedBytes >> code.scratchBytes >> code.flops >> code.bytes >> numMaps;
  code.tensorMaps.resize(file ? numMaps : 0);
  for (format::TensorMapT &map : code.tensorMaps)
    read(file, map);
  file >> size;
  file.get();
  code.object.resize(size);
  if (!file.read(code.object.data(), size))
    return std::nullopt;
  return code;
}

bool writeKernelCode(const std::string &folder, const std::string &source, const KernelCode &code) {
  std::ofstream file(fileOf(folder, source, code.target), std::ios::binary);
  file << kMagic << "\n" << code.target << "\n" << code.name << "\n" << code.config << "\n";
  for (int64_t extent : code.grid)
    file << extent << " ";
  for (int64_t extent : code.block)
    file << extent << " ";
  file << code.sharedBytes << " " << code.scratchBytes << " " << code.flops << " " << code.bytes << " "
       << code.tensorMaps.size() << "\n";
  for (const format::TensorMapT &map : code.tensorMaps)
    write(file, map);
  file << code.object.size() << "\n" << code.object;
  return file.good();
}

} // namespace moe::test
