//===- Files.h - Files, read whole and written durably ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_SUPPORT_FILES_H
#define LIB_ENGINE_SUPPORT_FILES_H

#include "moe/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moe::engine {

/// "WHAT PATH: reason of errno", as a failure with `code`.
Status systemError(ErrorCode code, std::string_view what, const std::string &path);

Result<std::string> readFile(const std::string &path);

/// Creates `path` and its parents; no error if it is there.
Status createDirectories(const std::string &path);

/// Makes the names in a directory survive a power failure.
Status syncDirectory(const std::string &path);

/// Writes `path` so that a reader, and a machine that lost power, sees the old or the new contents, never a mixture; an
/// error leaves the old. A device or a pipe is written to.
Status replaceFile(const std::string &path, std::string_view contents);

/// A file under construction, hashed while it is written and flushed to the disk by `finish`.
class DurableFile {
public:
  static Result<DurableFile> create(const std::string &path);
  DurableFile(DurableFile &&other) noexcept;
  DurableFile &operator=(DurableFile &&) = delete;
  ~DurableFile();

  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text) { return write(std::as_bytes(std::span(text))); }
  /// fsync and close.
  Status finish();

  std::uint64_t size() const { return written; }
  /// xxh64 of everything written so far.
  std::uint64_t checksum() const;

private:
  DurableFile(std::string path, int descriptor);

  std::string path;
  int descriptor = -1;
  std::uint64_t written = 0;
  void *hashState = nullptr;
};

} // namespace moe::engine

#endif // LIB_ENGINE_SUPPORT_FILES_H
