//===- Safetensors.h - The safetensors file format --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// https://github.com/huggingface/safetensors: 8 bytes little-endian header size N, N bytes of JSON
/// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {string: string}},
/// then the data, to which the offsets are relative.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CHECKPOINT_SAFETENSORS_H
#define LIB_ENGINE_CHECKPOINT_SAFETENSORS_H

#include "moe/Status.h"
#include "runtime/format/MappedFile.h"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

/// A tensor inside a file that is being read.
struct TensorView {
  std::string dtype; ///< "F32", "BF16", "I32", ...
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes; ///< Not necessarily aligned.

  /// "F32[2, 3]"
  std::string type() const;
};

/// The tensors by name, and the metadata. Views point into the bytes that were parsed.
struct TensorDirectory {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses a whole file. Every error is `corruptFile` and names the tensor and the rule: the header is at most 100 MB
/// and inside the file, has no duplicate keys, the tensors lie one after the other without holes or overlap and end
/// with the file, and each has exactly the bytes of its shape and type.
Result<TensorDirectory> parseSafetensors(std::span<const std::byte> file);

/// A mapped file and its tensors.
class SafetensorsFile {
public:
  /// Errors carry the path.
  static Result<SafetensorsFile> open(const std::string &path);

  const TensorDirectory &directory() const { return contents; }

private:
  SafetensorsFile(format::MappedFile file, TensorDirectory contents)
      : file(std::move(file)), contents(std::move(contents)) {}

  format::MappedFile file;
  TensorDirectory contents;
};

/// A tensor to write; its bytes are asked for once, when their turn comes.
struct TensorSource {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::function<Status(std::span<std::byte>)> read;
};

/// What was written, for a manifest.
struct WrittenFile {
  std::uint64_t size = 0, checksum = 0; ///< The checksum is xxh64.
};

/// Writes `path` and flushes it to the disk. The header is padded with spaces so that the data begins at a multiple of
/// 4096 bytes. Holds one tensor in memory at a time.
Result<WrittenFile> writeSafetensors(const std::string &path, const std::vector<TensorSource> &tensors,
                                     const std::map<std::string, std::string> &metadata = {});

/// Bits of one element, 0 if the type is not known.
int safetensorsBits(std::string_view dtype);

} // namespace moe::engine

#endif // LIB_ENGINE_CHECKPOINT_SAFETENSORS_H
