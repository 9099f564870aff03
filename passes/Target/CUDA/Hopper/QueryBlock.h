//===- QueryBlock.h - 128 queries and the keys they see ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_QUERYBLOCK_H
#define PASSES_TARGET_CUDA_HOPPER_QUERYBLOCK_H

#include "passes/Target/CUDA/Hopper/AttentionBuilder.h"

namespace mlir::moe::cuda {

/// 128 queries of a head, 64 for each consumer. The keys that they see are taken 128 at a time, back from the diagonal:
/// every query sees one of the first step's keys, and only those hold keys that come after a query.
class QueryBlock {
public:
  /// Of all such blocks, number `number` (i32): heads whose keys and values fit the L2 cache together run together, and
  /// among them the last queries, which see most keys, come first. `positions` may be null.
  QueryBlock(AttentionBuilder &b, Expr number, Value positions);
  static int64_t getCount(const AttentionBuilder &b);

  HeadRows getQueries() const { return {sequence, head, tile * kBlockRows}; }
  HeadRows getConsumerQueries() const { return {sequence, head, tile * kBlockRows + b.consumer * kWarpgroupRows}; }
  HeadRows getKeys(Expr step) const { return {sequence, head / b.shape.getGroup(), (tile - step) * kBlockRows}; }
  /// The first (0) or second (1) query of the thread, in its sequence; there may be none.
  Expr getQuery(int64_t half) const { return getConsumerQueries().row + b.fragmentRow + 8 * half; }
  Expr exists(int64_t half) const { return getQuery(half) < b.shape.queries; }
  /// Where the per-query tensors [tokens, heads] hold it.
  Expr getIndex(int64_t half) const { return b.token(sequence, getQuery(half)) * b.shape.heads + head.toIndex(); }

  /// Whether any query of the block does not see a key of the step.
  Expr needsMask(Expr step) const;
  /// −∞ for the scores of keys that their queries do not see.
  SmallVector<Expr> mask(ArrayRef<Expr> scores, Expr step) const;

  Expr sequence, head, tile;
  Expr steps; ///< At least 1.
  const bool hasPositions;

private:
  AttentionBuilder &b;
  SmallVector<Expr> firstKeys; ///< With positions: the first that each query of the thread sees.
  Expr lastFirstKey;           ///< The first that the block's last query sees.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_QUERYBLOCK_H
