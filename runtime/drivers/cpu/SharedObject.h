//===- SharedObject.h - Code from memory ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CPU_SHAREDOBJECT_H
#define MOE_RUNTIME_DRIVERS_CPU_SHAREDOBJECT_H

#include "moe/Status.h"

#include <cstddef>
#include <memory>
#include <span>

namespace moe::drivers::cpu {

/// An ELF shared object loaded from memory, unloaded on destruction.
class SharedObject {
public:
  /// Errors: ErrorCode::corruptFile with the loader's message, ErrorCode::failed if the system refuses memory files.
  static Result<std::unique_ptr<SharedObject>> load(std::span<const std::byte> bytes);
  ~SharedObject();
  SharedObject(const SharedObject &) = delete;
  SharedObject &operator=(const SharedObject &) = delete;

  /// The address of `symbol`, or nullptr.
  void *find(const char *symbol) const;

private:
  SharedObject() = default;

  int descriptor = -1;
  void *handle = nullptr;
};

} // namespace moe::drivers::cpu

#endif // MOE_RUNTIME_DRIVERS_CPU_SHAREDOBJECT_H
