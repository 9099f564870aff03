//===- MemoryLayout.h - Many buffers in one allocation ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_EXECUTOR_MEMORYLAYOUT_H
#define MOE_RUNTIME_EXECUTOR_MEMORYLAYOUT_H

#include "runtime/format/FileLayout.h"

#include <cstddef>

namespace moe {

/// Hands out offsets in an allocation that is made afterwards. Each is a multiple of 256, as device memory is.
class MemoryLayout {
public:
  /// Reserves `bytes`; returns where they begin.
  std::size_t add(std::size_t bytes) {
    const std::size_t offset = total;
    total += format::alignTo(bytes, 256);
    return offset;
  }
  /// Bytes to allocate.
  std::size_t size() const { return total; }

private:
  std::size_t total = 0;
};

} // namespace moe

#endif // MOE_RUNTIME_EXECUTOR_MEMORYLAYOUT_H
