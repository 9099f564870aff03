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
/// | ragged_contraction | row tiles × column tiles of one expert after the other, those with most rows first; of one part after the other |
///
/// Within an expert, tiles go through groups of 16 row tiles, rows first, so that the operands of neighbours meet in
/// the L2 cache. Where a last tile of 192 rows would have 64 or fewer, it and the one before have 128 each: both then
/// have rows for both consumers.
///
/// Where tiles differ in their work (experts' contractions; row tiles of which some share no rows), a block takes the
/// next tile that nobody has instead. Its number comes from a counter in device memory, which the kernel leaves at zero
/// as it found it. The producer asks for it while it fills a tile, and tells the other threads through shared memory.
/// Which block computes a tile may differ from run to run, but not what it computes. Launches of one kernel must not
/// overlap.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_PERSISTENTTILES_H
#define PASSES_TARGET_CUDA_HOPPER_PERSISTENTTILES_H

#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

namespace mlir::moe::cuda {

inline constexpr int64_t kGroupedRowTiles = 16;

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
    Expr endRow; ///< Behind its last row that exists, for experts' rows.
    Expr output; ///< First column of the epilogue.
  };

  void initBarriers(); ///< By one thread of the block.

  enum class Role {
    leader,   ///< The only thread that produces.
    producer, ///< A warpgroup that does, of which the first thread leads.
    consumer,
  };
  /// Before `forTiles`, by whole warps of those that produce.
  void prepareToLead();
  using State = SmallVector<Expr>;
  /// Runs `body` for every tile of this block; what it returns is given to the next one.
  State forTiles(Role role, State initial, function_ref<State(const Tile &, ArrayRef<Expr>)> body);
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
  /// A number that no other block has, one for each tile there is: those from `grid` on.
  Expr takeNumber();
  /// The number that the leader took, which gives it to the others: the `sequence`-th one of this block.
  Expr share(Role role, Expr number, Expr sequence);

  HopperBuilder &b;
  const WarpgroupShape &shape;
  int64_t tileOutputs, columnTiles, grid;
  Expr offsetTable, orderTable;     ///< In shared memory.
  Expr full, empty, numbers;        ///< Of the slots that numbers are shared through.
  Value counter;                    ///< In device memory.
  Expr numTiles;                    ///< Of all blocks; null until it is prepared.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_PERSISTENTTILES_H
