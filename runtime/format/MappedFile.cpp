//===- MappedFile.cpp - A file as read-only memory ------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moe::format {

Result<MappedFile> MappedFile::open(const std::string &path) {
  auto fail = [&](const std::string &reason) {
    return Status(ErrorCode::failed, path + ": cannot be read: " + reason);
  };

  // Non-blocking, so that a named pipe is refused below instead of waited for.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return fail(std::strerror(errno));
  struct stat info;
  if (::fstat(descriptor, &info) != 0) {
    const int error = errno;
    ::close(descriptor);
    return fail(std::strerror(error));
  }
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(descriptor);
    return S_ISREG(info.st_mode) ? Result<MappedFile>(MappedFile()) : fail("it is not a regular file");
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void *address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int error = errno;
  ::close(descriptor);
  if (address == MAP_FAILED)
    return fail(std::strerror(error));
  return MappedFile({static_cast<const std::byte *>(address), size});
}

MappedFile::~MappedFile() {
  if (!contents.empty())
    ::munmap(const_cast<std::byte *>(contents.data()), contents.size());
}

} // namespace moe::format
