//===- GridCounter.h - Blocks that finish what others began -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// No block of a launch waits for another: a block that waits may hold the place of the one it waits for. But of
/// several, the one that is done last can go on with what all of them have written. Which one that is changes from run
/// to run; what it computes does not.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_GRIDCOUNTER_H
#define PASSES_TARGET_CUDA_GRIDCOUNTER_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

class GridCounter {
public:
  /// `groups` groups of `size` blocks. Their counters are a global of the kernel: zero when it is loaded, and again
  /// after every launch. (Launches of a kernel do not overlap: they are in one stream.)
  GridCounter(BlockBuilder &b, EmitterContext &context, StringRef name, int64_t groups, int64_t size);

  /// To be asked once, by all threads of a block: runs `body` in the block of `group` that asks last. It sees what all
  /// blocks of the group wrote before.
  void ifLast(Expr group, function_ref<void()> body);

private:
  BlockBuilder &b;
  int64_t size;
  Value counters, isLast; ///< Global memory; shared memory of one i32.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_GRIDCOUNTER_H
