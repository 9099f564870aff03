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

static constexpr const char *kMagic = "moe-kernel-1";

KernelRecording &kernelRecording() {
  static KernelRecording recording;
  return recording;
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
  file >> code.sharedBytes >> code.scratchBytes >> code.flops >> code.bytes >> size;
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
       << code.object.size() << "\n"
       << code.object;
  return file.good();
}

} // namespace moe::test
