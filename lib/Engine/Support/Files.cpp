//===- Files.cpp - Files, read whole and written durably ------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Support/Files.h"

#include "lib/Engine/Support/Hash.h"
#include "runtime/format/ArtifactWriter.h"
#include "runtime/format/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>

namespace moe::engine {
namespace {

/// Closes on every way out.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0)
      ::close(value);
  }
};

} // namespace

Status systemError(ErrorCode code, std::string_view what, const std::string &path) {
  return Status(code, std::string(what) + " '" + path + "': " + std::strerror(errno));
}

Result<std::string> readFile(const std::string &path) {
  Result<format::MappedFile> file = format::MappedFile::open(path);
  if (!file)
    return file.status();
  std::span<const std::byte> bytes = file->bytes();
  return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

Status createDirectories(const std::string &path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return Status(ErrorCode::failed, "cannot create the directory '" + path + "': " + error.message());
  return {};
}

Status syncDirectory(const std::string &path) {
  Descriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.value < 0 || ::fsync(directory.value) != 0)
    return systemError(ErrorCode::failed, "cannot flush the directory", path);
  return {};
}

Status replaceFile(const std::string &path, std::string_view contents) {
  if (Status status = format::writeFile(path, std::as_bytes(std::span(contents))); !status)
    return status;
  if (std::error_code ignored; !std::filesystem::is_regular_file(path, ignored))
    return {};
  std::string parent = std::filesystem::path(path).parent_path().string();
  return syncDirectory(parent.empty() ? "." : parent);
}

Result<DurableFile> DurableFile::create(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return systemError(ErrorCode::failed, "cannot create", path);
  return DurableFile(path, descriptor);
}

DurableFile::DurableFile(std::string path, int descriptor)
    : path(std::move(path)), descriptor(descriptor), hashState(XXH64_createState()) {
  XXH64_reset(static_cast<XXH64_state_t *>(hashState), 0);
}

DurableFile::DurableFile(DurableFile &&other) noexcept
    : path(std::move(other.path)), descriptor(std::exchange(other.descriptor, -1)), written(other.written),
      hashState(std::exchange(other.hashState, nullptr)) {}

DurableFile::~DurableFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  XXH64_freeState(static_cast<XXH64_state_t *>(hashState));
}

Status DurableFile::write(std::span<const std::byte> bytes) {
  XXH64_update(static_cast<XXH64_state_t *>(hashState), bytes.data(), bytes.size());
  written += bytes.size();
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError(ErrorCode::failed, "cannot write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status DurableFile::finish() {
  if (::fsync(descriptor) != 0)
    return systemError(ErrorCode::failed, "cannot flush", path);
  if (::close(std::exchange(descriptor, -1)) != 0)
    return systemError(ErrorCode::failed, "cannot close", path);
  return {};
}

std::uint64_t DurableFile::checksum() const { return XXH64_digest(static_cast<const XXH64_state_t *>(hashState)); }

} // namespace moe::engine
