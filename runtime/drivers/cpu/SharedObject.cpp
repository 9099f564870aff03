//===- SharedObject.cpp - Code from memory --------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cpu/SharedObject.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace moe::drivers::cpu {

static bool writeAll(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

Result<std::unique_ptr<SharedObject>> SharedObject::load(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
    return Status(ErrorCode::corruptFile, "the object code is not an ELF file");

  std::unique_ptr<SharedObject> object(new SharedObject);
  object->descriptor = ::memfd_create("moe-kernels", MFD_CLOEXEC);
  if (object->descriptor < 0 || !writeAll(object->descriptor, bytes))
    return Status(ErrorCode::failed, std::string("cannot hold object code in a memory file: ") + std::strerror(errno));

  // The descriptor stays open as long as the object is loaded: the loader knows objects by path, and would give this
  // one for the next whose descriptor has the same number.
  const std::string path = "/proc/self/fd/" + std::to_string(object->descriptor);
  object->handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object->handle) {
    const char *reason = ::dlerror();
    return Status(ErrorCode::corruptFile,
                  std::string("the object code cannot be loaded: ") + (reason ? reason : "no reason given"));
  }
  return object;
}

SharedObject::~SharedObject() {
  if (handle)
    ::dlclose(handle);
  if (descriptor >= 0)
    ::close(descriptor);
}

void *SharedObject::find(const char *symbol) const { return ::dlsym(handle, symbol); }

} // namespace moe::drivers::cpu
