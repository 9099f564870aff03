//===- WarpgroupEpilogue.h - Accumulators of warpgroups to results -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The epilogue of a matmul by wgmma: its region runs on two neighbouring columns at a time, and results leave in
/// chunks of 64 rows of 128 bytes, staged in shared memory and stored by TMA, which does not write outside of the
/// tensor. Where other experts' rows follow, threads store the rows that exist in pieces of 16 bytes instead.
///
/// A row of accumulators lies in four neighbouring lanes, which add up their sums of rows (`row_sum`) in a fixed tree;
/// one of them stores them.
///
/// Results of bf16 need no more than their precision: exp and divisions are those of the special function unit.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_WARPGROUPEPILOGUE_H
#define PASSES_TARGET_CUDA_HOPPER_WARPGROUPEPILOGUE_H

#include "passes/Target/CUDA/Hopper/ExtraTiles.h"

namespace mlir::moe::cuda {

class WarpgroupEpilogue {
public:
  WarpgroupEpilogue(HopperBuilder &b, EmitterContext &context, moe_kernel::MatmulOp op, const WarpgroupShape &shape);

  /// By a consumer's warpgroup. All i32.
  struct Place {
    Expr expert;
    Expr firstRow; ///< The first of the warpgroup's 64 rows: of the result, or of the expert's matrix.
    Expr rowsLeft; ///< Rows of the expert from there on; null if the end of the result is the only bound.
    Expr output;   ///< The first column of the epilogue.
  };
  bool readsTiles() const { return !tiles.isEmpty(); }
  void initBarriers() { tiles.initBarriers(); } ///< By one thread of the block.
  /// Before the products of a tile: asks for what the epilogue reads first.
  void begin(const Place &place);
  /// After them. `parity` is that of the phase of the extras' tiles; gives back the next tile's.
  /// Gate and up columns of accumulators alternate `columnParts` times.
  Expr emit(const Place &place, Value accumulators, Expr parity, int64_t columnParts);
  /// At the end: until shared memory has been read.
  void finish();

private:
  struct Result {
    Value map, memory; ///< No map for sums of rows.
    Type element;
    int64_t halves;                                                                           ///< Two for a pair.
    int64_t columns() const { return kSwizzleBytes / (element.getIntOrFloatBitWidth() / 8); } ///< Of a chunk.
  };
  /// Two neighbouring columns in each of 8 groups of 8, in the first and the second row of the thread.
  using Chunk = std::array<std::array<Value, 2>, 8>;

  /// What of a chunk fills the rows of a buffer.
  struct Part {
    const Result *result;
    int64_t half, chunk;
    int64_t firstGroup, endGroup;
    bool has(int64_t group) const { return firstGroup <= group && group < endGroup; }
  };
  SmallVector<Part> getParts() const;
  void setThread(Expr number);

  /// Two groups of each chunk; there is one per value that the region yields. Of sums of rows, the first group of a
  /// chunk becomes the sum of all.
  void evaluate(const Place &place, ArrayRef<Expr> accumulators, int64_t firstColumn, int64_t firstGroup,
                int64_t partColumns, MutableArrayRef<Chunk> chunks);
  SmallVector<Value> loadExtras(const Place &place, int64_t second, Expr column, ArrayRef<Value> ofTiles);
  void loadRowExtras(const Place &place);
  Value loadPair(Value memory, Expr offset);
  void stage(const Part &part, const Chunk &chunk, int64_t firstGroup);
  void store(const Result &result, const Place &place, int64_t half, Expr column);
  void storeRowSums(const Result &result, const Place &place, const Chunk &chunk, Expr column);
  void storeRows(const Result &result, const Place &place, int64_t half, Expr column);

  HopperBuilder &b;
  moe_kernel::MatmulOp op;
  const WarpgroupShape &shape;
  ExtraTiles tiles;
  SmallVector<Value> extras;
  SmallVector<Result> results;
  SmallVector<bool> isRowSum; ///< Of the values that the region yields.
  bool isFast;
  Expr group, isFirst;             ///< Of the consumers: group 0 or 1; its thread 0.
  Expr thread, warp, lane;         ///< Numbers in the group, in the group, in the warp.
  Expr staging, buffer;            ///< Of this group; the one in use.
  Expr rows[2];                    ///< The first and the second row of the thread in the tile at hand, or the last row.
  SmallVector<Value> rowExtras[2]; ///< Extras of these, in order.
};

/// Clones the region on `arguments`, vectors and scalars; `isFast` allows approximations to about 2^-22.
SmallVector<Value> cloneEpilogue(HopperBuilder &b, Region &region, ValueRange arguments, bool isFast);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_WARPGROUPEPILOGUE_H
