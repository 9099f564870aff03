//===- MappedFile.h - A file as read-only memory ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_FORMAT_MAPPEDFILE_H
#define MOE_RUNTIME_FORMAT_MAPPEDFILE_H

#include "moe/Status.h"

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace moe::format {

/// A regular file mapped read-only until destruction. The file must not be truncated meanwhile; files that are replaced
/// by renaming, as everything here is written, are safe.
class MappedFile {
public:
  /// Errors: ErrorCode::failed, with the path and the system's reason.
  static Result<MappedFile> open(const std::string &path);

  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept : contents(std::exchange(other.contents, {})) {}
  MappedFile &operator=(MappedFile &&other) noexcept {
    std::swap(contents, other.contents);
    return *this;
  }
  ~MappedFile();

  std::span<const std::byte> bytes() const { return contents; }

private:
  explicit MappedFile(std::span<const std::byte> contents) : contents(contents) {}

  std::span<const std::byte> contents;
};

} // namespace moe::format

#endif // MOE_RUNTIME_FORMAT_MAPPEDFILE_H
