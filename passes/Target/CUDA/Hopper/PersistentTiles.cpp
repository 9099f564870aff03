//===- PersistentTiles.cpp - Which tiles a block computes, one after the other -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/PersistentTiles.h"

namespace mlir::moe::cuda {

/// Blocks of a launch, one per multiprocessor: as many as an H100 or H200 has. The machine is not known here; on a GPU
/// with fewer, the last ones wait for a place.
static constexpr int64_t kBlocks = 132;
static constexpr int64_t kGroupedRowTiles = 16;

PersistentTiles::PersistentTiles(HopperBuilder &b, const WarpgroupShape &shape, int64_t tileColumns, Value offsets)
    : b(b), shape(shape), tileOutputs(tileColumns / shape.halves()), columnTiles(shape.getColumnTiles(tileColumns)),
      grid(std::min(kBlocks, shape.getMostRowTiles() * columnTiles)) {
  if (!offsets)
    return;
  offsetTable = b.allocateBytes(4 * (shape.experts + 1), 16);
  b.forThreads(shape.experts + 1,
               [&](Expr expert) { b.storeWord(b.load(offsets, expert), offsetTable + expert.toI32() * 4); });
  if (!shape.isContraction())
    return;
  orderTable = b.allocateBytes(4 * shape.experts, 16);
  b.barrier();
  sortExperts();
}

/// Each thread counts, for its expert, those that come before it: with more rows, or as many and a lower number.
void PersistentTiles::sortExperts() {
  auto countRows = [&](Expr expert) { return loadOffset(expert + 1) - loadOffset(expert); };
  b.forThreads(shape.experts, [&](Expr number) {
    Expr mine = number.toI32(), rows = countRows(mine);
    SmallVector<Expr> rank = b.loopWhile(
        {b.i32(0), b.i32(0)}, [&](ArrayRef<Expr> carried) { return carried[0] < shape.experts; },
        [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
          Expr other = carried[0], otherRows = countRows(other);
          Expr isBefore = select(otherRows == rows, other < mine, rows < otherRows);
          return {other + 1, carried[1] + select(isBefore, b.i32(1), b.i32(0))};
        });
    b.storeWord(mine, orderTable + rank[1] * 4);
  });
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

Expr PersistentTiles::getRowTiles(Expr expert) {
  return (loadOffset(expert + 1) - loadOffset(expert) + (kTileRows - 1)) / kTileRows;
}

std::pair<Expr, Expr> PersistentTiles::findExpert(Expr number, Expr expert, Expr start) {
  // Carried: the expert, the number of its first tile, that of the next expert's.
  auto withEnd = [&](Expr expert, Expr start) {
    // Behind the last expert, offsets are not read.
    Expr safe = min(expert, b.i32(shape.experts - 1));
    return SmallVector<Expr>{expert, start, start + getRowTiles(safe) * columnTiles};
  };
  auto isElsewhere = [&](ArrayRef<Expr> carried) {
    return (carried[0] < shape.experts) & ((number < carried[2]) == 0);
  };
  auto found = b.loopWhile(withEnd(expert, start), isElsewhere,
                           [&](ArrayRef<Expr> carried) { return withEnd(carried[0] + 1, carried[2]); });
  return {found[0], found[1]};
}

PersistentTiles::Tile PersistentTiles::getTile(Expr number, Expr expert, Expr start) {
  int64_t rowTiles = llvm::divideCeil(shape.rows, kTileRows);
  if (shape.isRaggedRows()) {
    Expr firstRow = loadOffset(expert), rows = loadOffset(expert + 1) - firstRow;
    return {expert, firstRow, rows, b.i32(shape.depth), (rows + (kTileRows - 1)) / kTileRows, number - start};
  }
  if (!shape.isContraction())
    return {b.i32(0), b.i32(0), b.i32(shape.rows), b.i32(shape.depth), b.i32(rowTiles), number};
  int64_t tilesEach = rowTiles * columnTiles;
  expert = b.loadInteger(orderTable + number / tilesEach * 4);
  Expr firstRow = loadOffset(expert);
  return {expert, firstRow, b.i32(shape.rows), loadOffset(expert + 1) - firstRow, b.i32(rowTiles), number % tilesEach};
}

PersistentTiles::State PersistentTiles::forTiles(State state, function_ref<State(const Tile &, ArrayRef<Expr>)> body) {
  // Carried: the number of the tile, its expert and the number of the expert's first tile, then the state.
  constexpr size_t kOwn = 3;
  Expr number = b.block.toI32(), expert = b.i32(0), start = b.i32(0);
  if (shape.isRaggedRows())
    std::tie(expert, start) = findExpert(number, expert, start);
  State carried = {number, expert, start};
  carried.append(state);
  auto exists = [&](ArrayRef<Expr> carried) {
    return shape.isRaggedRows() ? carried[1] < shape.experts : carried[0] < shape.getMostRowTiles() * columnTiles;
  };
  State last = b.loopWhile(carried, exists, [&](ArrayRef<Expr> carried) {
    State rest = body(getTile(carried[0], carried[1], carried[2]), carried.drop_front(kOwn));
    Expr number = carried[0] + grid, expert = carried[1], start = carried[2];
    if (shape.isRaggedRows())
      std::tie(expert, start) = findExpert(number, expert, start);
    State next = {number, expert, start};
    next.append(rest);
    return next;
  });
  return State(llvm::drop_begin(last, kOwn));
}

PersistentTiles::Coordinates PersistentTiles::locate(const Tile &tile) {
  Expr group = tile.number / (kGroupedRowTiles * columnTiles), first = group * kGroupedRowTiles;
  Expr inGroup = min(tile.rowTiles - first, b.i32(kGroupedRowTiles));
  Expr rest = tile.number - group * (kGroupedRowTiles * columnTiles), column = rest / inGroup;
  return {(first + rest - column * inGroup) * kTileRows, column * tileOutputs};
}

} // namespace mlir::moe::cuda
