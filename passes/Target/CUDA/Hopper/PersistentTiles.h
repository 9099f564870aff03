//===- PersistentTiles.h - Which tiles a block computes, one after the other -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A persistent grid: block b of B computes tiles b, b + B, ... of
///
/// | kind | tiles |
/// |---|---|
/// | dense | row tiles × column tiles |
/// | ragged_rows | the same of one expert after the other; an expert without rows has none |
/// | ragged_contraction | row tiles × column tiles of one expert after the other, those with most rows first |
///
/// Within an expert, tiles go through groups of 16 row tiles, rows first, so that the operands of neighbours meet in
/// the L2 cache. All roles of a block walk the same tiles on their own.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_PERSISTENTTILES_H
#define PASSES_TARGET_CUDA_HOPPER_PERSISTENTTILES_H

#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

namespace mlir::moe::cuda {

class PersistentTiles {
public:
  /// By all threads of the block; `offsets` is the flat memory of the experts' offsets, or null.
  PersistentTiles(HopperBuilder &b, const WarpgroupShape &shape, int64_t tileColumns, Value offsets);

  /// All i32.
  struct Tile {
    Expr expert;
    Expr firstRow; ///< Of the expert's rows: rows of the accumulator, or of a contraction.
    Expr rows;     ///< Of the accumulator, of this expert.
    Expr depth;    ///< Contraction elements.
    Expr rowTiles; ///< Of this expert.
    Expr number;   ///< Among the expert's tiles.
  };
  struct Coordinates {
    Expr row;    ///< First row of the tile, counted from the expert's first.
    Expr output; ///< First column of the epilogue.
  };

  using State = SmallVector<Expr>;
  /// Runs `body` for every tile of this block; what it returns is given to the next one.
  State forTiles(State initial, function_ref<State(const Tile &, ArrayRef<Expr>)> body);
  /// Costs divisions: where it is asked they are computed.
  Coordinates locate(const Tile &tile);

  /// Blocks of a launch.
  int64_t getGrid() const { return grid; }

private:
  Expr loadOffset(Expr expert) { return b.loadInteger(offsetTable + expert * 4); }
  void sortExperts();
  /// From the tile with number `start`, the first of `expert`, on: the expert that has tile `number`, and its first.
  std::pair<Expr, Expr> findExpert(Expr number, Expr expert, Expr start);
  Tile getTile(Expr number, Expr expert, Expr start);
  Expr getRowTiles(Expr expert);

  HopperBuilder &b;
  const WarpgroupShape &shape;
  int64_t tileOutputs, columnTiles, grid;
  Expr offsetTable, orderTable; ///< In shared memory.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_PERSISTENTTILES_H
