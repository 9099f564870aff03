//===- MemoryPlan.h - Offsets for buffers with known life times -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SCHEDULE_MEMORYPLAN_H
#define PASSES_SCHEDULE_MEMORYPLAN_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace mlir::moe {

/// A buffer that is written for the first time by instruction `first` and last used by instruction `last`.
struct BufferLifetime {
  uint64_t size = 0; ///< Bytes.
  int64_t first = 0;
  int64_t last = 0;
  uint64_t offset = 0; ///< Set by planMemory: a multiple of kWorkspaceAlignment.
};

/// Alignment of workspace buffers in bytes: what the widest loads of any target want, TMA's 128 included.
inline constexpr uint64_t kWorkspaceAlignment = 256;

/// Gives every buffer an offset so that buffers alive at the same time do not overlap. Returns the bytes needed.
///
/// Greedy by size (arXiv:2001.03288, section 5.2): the largest first, each at the lowest offset where it overlaps none
/// of those placed before it that live at the same time. Ties go to the earlier buffer, so plans repeat.
uint64_t planMemory(llvm::MutableArrayRef<BufferLifetime> buffers);

} // namespace mlir::moe

#endif // PASSES_SCHEDULE_MEMORYPLAN_H
