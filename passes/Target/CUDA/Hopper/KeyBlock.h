//===- KeyBlock.h - 128 keys and the queries that see them ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_KEYBLOCK_H
#define PASSES_TARGET_CUDA_HOPPER_KEYBLOCK_H

#include "passes/Target/CUDA/Hopper/AttentionBuilder.h"

namespace mlir::moe::cuda {

inline constexpr int64_t kQueryStep = 64; ///< Queries that a block of keys takes at a time.

/// 128 keys of a key head, 64 for each consumer. The queries that see them are taken 64 at a time, back from the last;
/// the heads of the group follow one another at each, so that all blocks of a key head that start together read the
/// same queries at the same time, and the L2 cache has them.
class KeyBlock {
public:
  /// Of all such blocks, number `number` (i32): the first keys, which most queries see, come first. `positions` may be
  /// null.
  KeyBlock(AttentionBuilder &b, Expr number, Value positions);
  static int64_t getCount(const AttentionBuilder &b);

  HeadRows getKeys() const { return {sequence, keyHead, tile * kBlockRows}; }
  HeadRows getConsumerKeys() const { return {sequence, keyHead, tile * kBlockRows + b.consumer * kWarpgroupRows}; }
  HeadRows getQueries(Expr step) const;
  /// The steps of which the consumer's keys are seen at all: the first queries come before the second consumer's keys.
  Expr getConsumerSteps() const { return steps - b.consumer * b.shape.getGroup(); }

  /// Whether any query of the step does not see a key of the block: `lastFirstKey` is the first that its last query
  /// sees (not used without positions).
  Expr needsMask(Expr step, Expr lastFirstKey) const;
  /// −∞ for the scores, of keys × queries, of keys that their queries do not see. `firstKeys` has the first key for
  /// each column of the thread, if there are positions.
  SmallVector<Expr> mask(ArrayRef<Expr> scores, Expr step, ArrayRef<Expr> firstKeys) const;

  Expr sequence, keyHead, tile;
  Expr steps; ///< At least 1.
  const bool hasPositions;

private:
  AttentionBuilder &b;
  Expr queryBlocks; ///< The first that no longer sees the block.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_KEYBLOCK_H
