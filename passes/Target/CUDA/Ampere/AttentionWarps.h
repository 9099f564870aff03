//===- AttentionWarps.h - Scores of a block of bf16 attention ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What attention by mma.sync is made of, forward and backward. A block *owns* rows of a head, tile_m queries or keys, and
/// *streams* tiles of tile_n rows of the other kind past them. Each warp has some of the owned rows, and their scores
/// with all rows of a tile in its registers; what it makes of them becomes the left operand of the next product without
/// leaving it (WarpTile::asOperand). No exchange between warps is needed but for the tiles in shared memory:
///
/// ```
/// copy owned rows and the first tile
/// for tile: wait; barrier; begin to copy the next tile to the other buffer; compute with this one
/// ```
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_AMPERE_ATTENTIONWARPS_H
#define PASSES_TARGET_CUDA_AMPERE_ATTENTIONWARPS_H

#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/AttentionTile.h"

namespace mlir::moe::cuda::ampere {

/// Two buffers of a tile in shared memory: one is read, the other is written.
inline constexpr int64_t kBuffers = 2;

/// What masked scores are: exp gives zero, whatever is subtracted.
inline constexpr double kMasked = -std::numeric_limits<double>::infinity();

class AttentionWarps {
public:
  AttentionWarps(BlockBuilder &b, const AttentionShape &shape, moe_kernel::CUDAConfigAttr config);

  //===--- Shared memory --------------------------------------------------===//
  SharedTile allocateOwned() { return {b, owned, shape.headDim}; }
  SharedTile allocateStreamed() { return {b, streamed, shape.headDim, kBuffers}; }
  /// Begins to copy rows [0, count) of a head, and zeros into the other rows of the tile.
  void copyHeads(const MatrixView &source, Expr count, const SharedTile &target, Expr buffer);

  //===--- Products -------------------------------------------------------===//
  /// The fragments of the warp's owned rows, all rows for each 16 elements of a head.
  SmallVector<Fragment> loadOwned(const SharedTile &owned, int64_t depth);
  SmallVector<Fragment> loadOwned(const SharedTile &owned);
  /// owned · streamedᵀ over the elements of a head; `owned` from shared memory, or from registers.
  SmallVector<Expr> multiplyHeads(const SharedTile &owned, const SharedTile &streamed, Expr streamedBuffer);
  SmallVector<Expr> multiplyHeads(ArrayRef<Fragment> owned, const SharedTile &streamed, Expr streamedBuffer);
  /// sums (rows of the warp × headDim) += scores · streamed.
  void accumulate(MutableArrayRef<Expr> sums, ArrayRef<Expr> scores, const SharedTile &streamed, Expr streamedBuffer);

  //===--- Rows -----------------------------------------------------------===//
  /// Of the rows of a warp, a lane has two in each 16.
  int64_t getLaneRows() const { return scores.rows / 8; }
  /// The number of a lane's row in the block.
  Expr row(int64_t i) const { return firstRow + scores.row(i / 2, i % 2); }
  /// Runs `body` for each score of a lane: its row of the lane, the number of its column among those of the lane, and it.
  void forScores(MutableArrayRef<Expr> values, function_ref<void(int64_t row, int64_t column, Expr &value)> body) const;
  /// Replaces the scores that are not visible by kMasked, if `needed`.
  SmallVector<Expr> mask(ArrayRef<Expr> values, Expr needed,
                         function_ref<Expr(int64_t row, int64_t column)> isVisible);
  /// Σ over the elements of row `row` of two matrices, for four lanes at a time that have the same row; 0 if it is not
  /// `valid`.
  Expr dotRows(const MatrixView &lhs, const MatrixView &rhs, Expr row, Expr valid, int64_t lanes, Expr lane);
  /// Writes rows [0, count) of the block: sums times the factor of their row, rounded to bf16.
  void storeHeads(ArrayRef<Expr> sums, ArrayRef<Expr> factors, Expr count, const MatrixView &target);

private:
  SmallVector<Expr> multiplyHeads(function_ref<SmallVector<Fragment>(int64_t depth)> owned, const SharedTile &streamed,
                                  Expr streamedBuffer);

public:
  BlockBuilder &b;
  const AttentionShape &shape;
  const int64_t owned, streamed; ///< Rows.
  const WarpTile scores, heads;  ///< Rows of a warp × streamed rows, and × headDim.
  const Expr firstRow;           ///< Of the warp.
};

} // namespace mlir::moe::cuda::ampere

#endif // PASSES_TARGET_CUDA_AMPERE_ATTENTIONWARPS_H
