//===- SafetensorsWriter.cpp - Writing safetensors ------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Safetensors.h"
#include "lib/Engine/Support/Files.h"
#include "lib/Engine/Support/Json.h"

#include <array>

namespace moe::engine {
namespace {

constexpr std::size_t kDataAlignment = 4096;

std::uint64_t sizeOf(const TensorSource &tensor) {
  std::uint64_t bits = safetensorsBits(tensor.dtype);
  for (std::int64_t extent : tensor.shape)
    bits *= static_cast<std::uint64_t>(extent);
  return bits / 8;
}

std::string buildHeader(const std::vector<TensorSource> &tensors, const std::map<std::string, std::string> &metadata) {
  Json header = Json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorSource &tensor : tensors) {
    const std::uint64_t end = offset + sizeOf(tensor);
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((8 + text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment - 8, ' ');
  return text;
}

} // namespace

Result<WrittenFile> writeSafetensors(const std::string &path, const std::vector<TensorSource> &tensors,
                                     const std::map<std::string, std::string> &metadata) {
  Result<DurableFile> file = DurableFile::create(path);
  if (!file)
    return file.status();
  const std::string header = buildHeader(tensors, metadata);
  std::array<std::byte, 8> headerSize;
  for (std::size_t i = 0; i < headerSize.size(); ++i)
    headerSize[i] = static_cast<std::byte>(header.size() >> (8 * i));
  if (Status status = file->write(headerSize); !status)
    return status;
  if (Status status = file->write(header); !status)
    return status;
  std::vector<std::byte> bytes;
  for (const TensorSource &tensor : tensors) {
    bytes.resize(sizeOf(tensor));
    if (Status status = tensor.read(bytes); !status)
      return status.withContext("reading '" + tensor.name + "'");
    if (Status status = file->write(std::span<const std::byte>(bytes)); !status)
      return status;
  }
  if (Status status = file->finish(); !status)
    return status;
  return WrittenFile{file->size(), file->checksum()};
}

} // namespace moe::engine
