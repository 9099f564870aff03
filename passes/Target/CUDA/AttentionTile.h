//===- AttentionTile.h - Scores of queries and keys in a block --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What attention kernels share: a block's tile of queries × keys, its operands in shared memory and the scores in
/// registers. A row of scores belongs to neighbouring threads of one warp, so that rows are reduced by shuffles.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_ATTENTIONTILE_H
#define PASSES_TARGET_CUDA_ATTENTIONTILE_H

#include "passes/Target/CUDA/ThreadTile.h"

namespace mlir::moe::cuda {

struct AttentionShape {
  int64_t heads, keyHeads, headDim;
  int64_t queries; ///< Queries of a sequence in one launch.
  int64_t keys;    ///< The most keys a query can see.

  double getScale() const;
  int64_t getGroup() const { return heads / keyHeads; }
  /// Columns of the tensors of queries and of keys.
  int64_t getQueryStride() const { return heads * headDim; }
  int64_t getKeyStride() const { return keyHeads * headDim; }
};

class AttentionTile {
public:
  /// Limits the configured tile to what there is.
  AttentionTile(BlockBuilder &b, const AttentionShape &shape, moe_kernel::CUDAConfigAttr config);

  int64_t getQueries() const { return scores.getRows(); }
  int64_t getKeys() const { return scores.getColumns(); }
  int64_t getQueryTiles() const { return llvm::divideCeil(shape.queries, getQueries()); }
  int64_t getKeyTiles() const { return llvm::divideCeil(shape.keys, getKeys()); }

  /// Shared memory for `rows` vectors of a head.
  MatrixView allocateHeads(int64_t rows);
  /// Shared memory for a tile of scores.
  MatrixView allocateScores();
  /// Copies rows [0, count) of a head to shared memory, and zeros into the rows up to `rows`.
  void loadHeads(const MatrixView &source, Expr count, int64_t rows, const MatrixView &target);
  /// query · keyᵀ, from shared memory.
  Accumulators multiplyHeads(const MatrixView &query, const MatrixView &key);
  /// Writes rows [0, count) of sums over a tile of `heads`, times `factors` (one per row of the thread) if given.
  void storeHeads(const ThreadTile &heads, ArrayRef<Expr> sums, Expr count, const MatrixView &target,
                  ArrayRef<Expr> factors = {});

  BlockBuilder &b;
  const AttentionShape &shape;
  ThreadTile scores;     ///< queries × keys
  ThreadTile queryHeads; ///< queries × headDim, the same rows as those of `scores`.
  ThreadTile keyHeads;   ///< keys × headDim
};

/// Attention of a block's queries with a running softmax (arXiv:2205.14135, algorithm 1; the division at the end):
///
/// ```
/// m, l, O = −∞, 0, 0
/// for tile of keys:
///   S = scale · Q Kᵀ;  m' = max(m, rowmax S);  P = exp(S − m'), zeros where a key is not visible
///   l = l · exp(m − m') + rowsum P;  O = O · exp(m − m') + P V
/// O / l
/// ```
class FlashAttention {
public:
  /// Allocates the shared memory.
  explicit FlashAttention(AttentionTile &tile);

  struct Block {
    MatrixView query, key, value,
        result; ///< Starting at the first query of the block and the first key, at their heads.
    Expr rows;     ///< Queries of the block.
    Expr firstKey; ///< The first key that is visible to any of them.
    Expr keys;     ///< Where the keys end that are visible to any of them.
    /// Where the keys end that query `row` of the block (which may be past the last) sees: one at least is visible.
    std::function<Expr(Expr row)> visibleKeys;
    /// How many keys are hidden before those; none if null.
    std::function<Expr(Expr row)> hiddenKeys = nullptr;
    /// Receives log Σ exp(score) of a query; once.
    std::function<void(Expr row, Expr lse)> storeLse = nullptr;
  };
  void emit(const Block &block);

private:
  /// The running state: of each row of the thread, and the sums.
  struct State {
    SmallVector<Expr> rowMax, rowSum;
    Accumulators sums;
  };
  State emitKeyTile(const Block &block, Expr firstKey, State state);

  AttentionTile &tile;
  BlockBuilder &b;
  MatrixView query, key, value, weights;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_ATTENTIONTILE_H
