//===- ConfigureMatmul.cpp - Tiles of matmuls on warpgroups -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

static constexpr int64_t kMultiprocessors = 132; // Of an H100 or H200.

/// Row tiles to expect: experts have half a tile too many on average.
static int64_t expectRowTiles(const WarpgroupShape &shape) {
  if (!shape.isRaggedRows())
    return shape.getMostRowTiles();
  return std::min<int64_t>(shape.getMostRowTiles(), llvm::divideCeil(shape.rows, kTileRows) + shape.experts / 2);
}

/// What a tile of `columns` costs relative to one of 256: half as many products, but shared memory is read 1.25 times
/// as often for each, and that is the limit (measured on an H100: 20 % slower).
static double getTileCost(int64_t columns) { return columns == 256 ? 1.0 : 0.625; }

static int64_t chooseTileColumns(const WarpgroupShape &shape) {
  auto getCost = [&](int64_t columns) {
    int64_t tiles = expectRowTiles(shape) * shape.getColumnTiles(columns);
    return getTileCost(columns) * llvm::divideCeil(tiles, kMultiprocessors);
  };
  return getCost(128) < getCost(256) ? 128 : 256;
}

// A gather stays in the kernel that the stage fuse put it in. Rows that threads copy cost 11 to 15 % of it for every
// column tile (measured on an H100: Qwen3-30B's 6 column tiles 707 µs, against 613 µs and 165 µs for copying the rows
// first; Mixtral's 112 column tiles 5580 µs, against 5033 µs and 92 µs). Beyond about 20 column tiles a kernel that
// copies the rows first would be the better choice, and it is the stage fuse that would have to make it.

CUDAConfigAttr configureWarpgroupMatmul(MatmulOp op, const Capabilities &capabilities) {
  if (!findWarpgroupObstacle(op, capabilities).empty())
    return {};
  // A tile has 128 rows whether they are used or not, and a block streams the weights of its tile alone. With fewer tiles
  // most multiprocessors would be idle.
  constexpr int64_t kFewestTiles = kMultiprocessors / 4, kFewestRows = 16;
  WarpgroupShape shape(op);
  int64_t rowsTogether = shape.rows / (shape.isRaggedRows() ? shape.experts : 1);
  if (expectRowTiles(shape) * shape.getColumnTiles(128) < kFewestTiles || rowsTogether < kFewestRows)
    return {};
  constexpr int64_t kFewestStages = 2, kMostStages = 4;
  int64_t columns = chooseTileColumns(shape);
  if (chooseStages(op, columns, capabilities.sharedBytes) < kFewestStages)
    columns = 128;
  int64_t stages = std::min(kMostStages, chooseStages(op, columns, capabilities.sharedBytes));
  if (stages < kFewestStages) // What the epilogue reads leaves too little shared memory.
    return {};
  return CUDAConfigAttr::get(op.getContext(), kMatmulThreads, kTileRows, columns, kStageDepth, stages, CUDAUnit::wgmma);
}

} // namespace mlir::moe::cuda
