//===- ConfigureMatmul.cpp - The configuration of matmuls -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Configure.h"
#include "passes/Target/CUDA/Hopper/MatmulPlan.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {
namespace {

struct Tile {
  int64_t threads, rows, columns, depth, stages;
};

// Float32 on CUDA cores. Two stages of the largest tile are 32 KB.
constexpr Tile kFmaTiles[] = {
    {256, 128, 128, 16, 2}, {256, 128, 64, 16, 2}, {256, 64, 64, 16, 2}, {128, 64, 32, 16, 2}, {64, 32, 32, 16, 2},
};

// A warp has 64 × 64 accumulators where it can: each fragment that it reads from shared memory then serves four products.
// Of what fits into the 99 KB of sm_80 code and leaves room for two blocks on an A100 or H100, 128 × 128 by four warps was
// fastest on an H100: 362 to 379 TFLOP/s for 4096 × 4096 × 4096 however the operands lie, where eight warps reached 320 to
// 346. The last tile is for a few tokens: reading the weights is all the work there, so it has the most of them in flight.
constexpr Tile kMmaTiles[] = {
    {128, 128, 128, 32, 4}, {128, 128, 64, 32, 4},  {128, 64, 64, 64, 4},
    {128, 32, 64, 64, 4},   {128, 16, 128, 64, 4}, {32, 16, 32, 128, 4},
};

/// Of the accumulators.
struct Extents {
  int64_t rows, columns;
  int64_t matrices = 1;     ///< As many of them.
  int64_t leastRowTiles = 1; ///< Whatever the rows of a tile.
  int64_t rowsTogether;     ///< Rows that belong to one expert, on average.
};

Extents getExtents(MatmulOp op) {
  auto lhs = op.getLhs().getType().getShape(), rhs = op.getRhs().getType().getShape();
  bool isContraction = op.getKind() == MatmulKind::ragged_contraction;
  Extents extents;
  extents.rows = lhs[isContraction || op.getTransposeLhs() ? 1 : 0];
  extents.columns = rhs[rhs.size() - (op.getTransposeRhs() ? 2 : 1)];
  if (op.getRowIndex() && !isContraction)
    extents.rows = op.getRowIndex().getType().getNumElements();
  extents.rowsTogether = extents.rows;
  if (!op.getOffsets())
    return extents;
  int64_t experts = op.getOffsets().getType().getNumElements() - 1;
  if (isContraction) {
    extents.matrices = experts;
  } else {
    extents.leastRowTiles = std::min(extents.rows, experts);
    extents.rowsTogether = llvm::divideCeilSigned(extents.rows, experts);
  }
  return extents;
}

/// What forms the products: tensor cores multiply bf16; float32 is exact on CUDA cores only. Rows that are no multiple of
/// 8 bytes have to be copied to shared memory in so small pieces that their addresses fill the registers.
CUDAUnit chooseUnit(MatmulOp op, const Capabilities &) {
  constexpr int64_t kGranule = 4;
  auto isInGranules = [](Value operand) {
    return cast<ShapedType>(operand.getType()).getShape().back() % kGranule == 0;
  };
  bool isBF16 = op.getLhs().getType().getElementType().isBF16();
  return isBF16 && isInGranules(op.getLhs()) && isInGranules(op.getRhs()) ? CUDAUnit::mma : CUDAUnit::fma;
}

const Tile &chooseTile(ArrayRef<Tile> tiles, const Extents &extents, CUDAUnit unit, const Capabilities &capabilities) {
  // Empty rows cost tensor cores less than reading the weights again for another tile does: half of a tile may be.
  int64_t rows = unit == CUDAUnit::fma ? extents.rows : std::max<int64_t>(2 * extents.rowsTogether, 16);
  const Tile *tile = tiles.begin();
  auto blocks = [&] {
    int64_t rowTiles = std::max(extents.leastRowTiles, llvm::divideCeilSigned(extents.rows, tile->rows));
    return extents.matrices * rowTiles * llvm::divideCeilSigned(extents.columns, tile->columns);
  };
  auto isTooLarge = [&] { return tile->rows > rows || tile->columns > extents.columns; };
  while (tile != std::prev(tiles.end()) && (blocks() < capabilities.kEnoughBlocks / 2 || isTooLarge()))
    ++tile;
  return *tile;
}

} // namespace

CUDAConfigAttr configureMatmul(MatmulOp op, const Capabilities &capabilities) {
  CUDAUnit unit = chooseUnit(op, capabilities);
  ArrayRef<Tile> tiles = unit == CUDAUnit::mma ? ArrayRef<Tile>(kMmaTiles) : ArrayRef<Tile>(kFmaTiles);
  const Tile &tile = chooseTile(tiles, getExtents(op), unit, capabilities);
  explain(op->getParentOfType<KernelOp>(),
          stringifyCUDAUnit(unit) + ", " + Twine(tile.rows) + " x " + Twine(tile.columns) + " tiles, " +
              Twine(tile.stages) + " stages");
  return CUDAConfigAttr::get(op.getContext(), tile.threads, tile.rows, tile.columns, tile.depth, tile.stages, unit);
}

} // namespace mlir::moe::cuda
