//===- MatmulSchedule.h - What each block of a matmul computes --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The part of a matmul that does not depend on how products are formed: which tile of the accumulator a block owns,
/// where the operands of that tile lie, and what happens to finished accumulators. An emitter adds the inner product.
///
/// | kind | blocks |
/// |---|---|
/// | dense | row tiles × column tiles |
/// | ragged_rows | the most row tiles that any routing can need × column tiles |
/// | ragged_contraction | row tiles × column tiles × experts |
///
/// A block of ragged_rows finds its expert in `offsets`, and has nothing to do if there are fewer tiles.
/// Blocks that share columns, and so the larger operand, have neighbouring numbers.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_MATMULSCHEDULE_H
#define PASSES_TARGET_CUDA_MATMULSCHEDULE_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

class MatmulSchedule {
public:
  /// Tiles of `tileRows` × `tileColumns` accumulators; the columns of a paired matmul are half gate, half up.
  MatmulSchedule(BlockBuilder &b, moe_kernel::MatmulOp op, int64_t tileRows, int64_t tileColumns);

  /// The tile of a block: rows [firstRow, firstRow + rows) of the accumulator of `expert`, contracted over
  /// [firstDepth, lastDepth), and the columns of the epilogue from firstOutput on.
  struct Tile {
    Expr expert, firstRow, rows, firstOutput, firstDepth, lastDepth;
  };

  /// One operand of a tile: element (outer, k) is memory[outerOffset(outer) + depthOffset(k)], where `outer` counts rows
  /// or columns from the start of the tile and k is absolute.
  struct Operand {
    Value memory;
    bool depthIsContiguous; ///< Else `outer` is.
    /// The greatest common divisor of all distances between elements but those along the contiguous dimension, of what is
    /// contiguous in one piece, and 8: as many elements from a multiple of it are aligned to their size and either all
    /// inside or all outside.
    int64_t granule;
    std::function<Expr(Expr outer)> outerOffset;
    std::function<Expr(Expr k)> depthOffset;
    std::function<Expr(Expr outer)> isInside; ///< Null: every `outer` of the tile exists.
  };

  /// Runs `body` for the tile of this block, if it has one.
  void forTile(function_ref<void(const Tile &)> body);
  /// The tile of this block, and whether it has one (null: it has). `early`: the code comes before the kernel waits for
  /// the one before it.
  std::pair<Tile, Expr> findTile(bool early = false);
  Operand getLhs(const Tile &tile);
  Operand getRhs(const Tile &tile);
  /// Runs the epilogue for an element of the tile and stores what it yields: `accumulators` are the one at (row, output)
  /// or the two of a pair. Vectors are those of as many neighbouring columns, the first one being a multiple of their
  /// number. Does nothing outside of the tensor.
  void emitEpilogue(const Tile &tile, Expr row, Expr output, ArrayRef<Expr> accumulators);

  LaunchShape getLaunchShape() const;
  int64_t getDepth() const { return depth; }

private:
  void findRaggedTile(Expr rowTile, bool early, Tile &tile, Expr &found);

  bool isContraction() { return op.getKind() == moe_kernel::MatmulKind::ragged_contraction; }
  bool isRaggedRows() { return op.getKind() == moe_kernel::MatmulKind::ragged_rows; }
  bool lhsByDepth() { return isContraction() || op.getTransposeLhs(); }
  bool gathersLhs() { return rowIndex && !op.getGatherRhs(); }
  bool gathersRhs() { return rowIndex && op.getGatherRhs(); }
  /// The row of the tokens' operand that row `row` of the matmul reads.
  Expr gatherRow(Expr row) { return b.load(rowIndex, row).toIndex() / op.getRowDivisor(); }
  /// `width` consecutive elements; a scalar if it is 1.
  Expr loadColumns(Value memory, Expr offset, int64_t width);
  Expr isRowInside(const Tile &tile, Expr row);
  Expr isOutputInside(const Tile &tile, Expr output);

  BlockBuilder &b;
  moe_kernel::MatmulOp op;
  int64_t tileRows, tileOutputs;
  int64_t rows, columns, depth, experts = 1; ///< Of the accumulator; `columns` counts both of a pair.
  int64_t outputs;                           ///< Columns of the epilogue: `columns`, or half of them if paired.
  int64_t rowTiles, columnTiles;
  Value lhs, rhs, offsets, rowIndex;
  SmallVector<Value> extras, results;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_MATMULSCHEDULE_H
