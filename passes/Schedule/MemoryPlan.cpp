//===- MemoryPlan.cpp - Offsets for buffers with known life times -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Schedule/MemoryPlan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

namespace mlir::moe {

uint64_t planMemory(llvm::MutableArrayRef<BufferLifetime> buffers) {
  llvm::SmallVector<BufferLifetime *> order = llvm::map_to_vector(buffers, [](BufferLifetime &b) { return &b; });
  llvm::sort(order, [](auto *a, auto *b) { return a->size != b->size ? a->size > b->size : a < b; });

  uint64_t total = 0;
  llvm::SmallVector<BufferLifetime *> placed; // Sorted by offset.
  for (BufferLifetime *buffer : order) {
    uint64_t offset = 0;
    for (BufferLifetime *other : placed) {
      if (other->last < buffer->first || buffer->last < other->first)
        continue;
      if (offset + buffer->size <= other->offset)
        break;
      offset = std::max(offset, llvm::alignTo(other->offset + other->size, kWorkspaceAlignment));
    }
    buffer->offset = offset;
    total = std::max(total, offset + buffer->size);
    placed.insert(llvm::upper_bound(placed, buffer, [](auto *a, auto *b) { return a->offset < b->offset; }), buffer);
  }
  return total;
}

} // namespace mlir::moe
