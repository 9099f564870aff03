//===- ConfigureMatmul.cpp - The configuration of matmuls -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/WarpStream.h"
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
// 346. The last tiles are for few rows that cannot be streamed: reading the weights is all the work there.
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

/// Rows of a tile that streams: 0 if there are too many.
int64_t chooseStreamRows(MatmulOp op, const Extents &extents) {
  constexpr int64_t kFewest = 8, kMost = 32;
  // An expert has more rows than the mean now and then. Those that do not fit find its weights in the cache.
  int64_t rows = op.getOffsets() ? extents.rowsTogether * 3 / 2 : extents.rows;
  return rows > kMost ? 0 : std::max<int64_t>(kFewest, llvm::PowerOf2Ceil(rows));
}

/// The configuration of a matmul that is bound by reading its rhs; null if it is not, or cannot be streamed. Measured on
/// an H100 with the experts of Qwen3-30B-A3B and linear ops of 1 to 32 rows (test/peers/few_rows_gpu.py): several small
/// blocks for a multiprocessor, with 40 to 60 KB under way each, are as fast as or faster than fewer large ones.
CUDAConfigAttr configureStream(MatmulOp op, const Capabilities &capabilities) {
  constexpr int64_t kThreads = 128, kPieceDepth = 32 * kThreads / Capabilities::kWarpSize;
  constexpr int64_t kAllBytes = 80 << 10, kRingBytes = 64 << 10, kMostStages = 6;
  Extents extents = getExtents(op);
  int64_t rows = chooseStreamRows(op, extents);
  if (!rows || !ampere::findStreamObstacle(op).empty())
    return {};
  // Experts of one token are short: blocks of two warps, each with whole lines of the cache, of which a multiprocessor has
  // several and still room for a block of the kernel after it.
  if (op.getOffsets() && op.getLhs().getType().getDimSize(0) == 1 && rows == 8)
    return CUDAConfigAttr::get(op.getContext(), 64, rows, 32, 128, 4, CUDAUnit::stream);
  // A block reads all rows of its tile, so few columns are for few rows only.
  int64_t columns = 32;
  int64_t blocks = extents.leastRowTiles * llvm::divideCeilSigned(extents.columns, columns);
  if (rows == 8 && !op.getPaired() && blocks < capabilities.kEnoughBlocks)
    columns = 16;
  // Whole lines of the cache at a time where the block has all of its weights under way at once, else half lines.
  int64_t depth = op.getLhs().getType().getShape().back(), stageDepth = 2 * kPieceDepth;
  auto stageBytes = [&] { return 2 * stageDepth * (rows + columns); };
  auto steps = [&] { return llvm::divideCeilSigned(depth, stageDepth); };
  int64_t stages = steps() + 1;
  if (depth <= kPieceDepth || steps() * stageBytes() > kAllBytes) {
    stageDepth = kPieceDepth;
    stages = std::max<int64_t>(2, std::min({steps() + 1, kMostStages, kRingBytes / stageBytes()}));
  }
  return CUDAConfigAttr::get(op.getContext(), kThreads, rows, columns, stageDepth, stages, CUDAUnit::stream);
}

/// Of what streams.
void explainStream(Operation *op, CUDAConfigAttr config) {
  explain(op->getParentOfType<KernelOp>(), stringifyCUDAUnit(config.getUnit()) + ", " + Twine(config.getTileM()) + " x " +
                                               Twine(config.getTileN()) + " tiles, " + Twine(config.getTileK()) +
                                               " of the contraction a stage, " + Twine(config.getStages()) + " stages");
}

} // namespace

FailureOr<CUDAConfigAttr> configureCombinedMatmul(CombinedMatmulOp op, const Capabilities &capabilities) {
  if (!ampere::canStream(op))
    return op.emitOpError() << "multiplies " << op.getRows().getType()
                            << ", but rows of a multiple of 16 bytes of bf16 and at most 32 choices are combined where they "
                               "are computed; make it a matmul and a combine";
  // Measured on an H100 with one token of Qwen3-30B-A3B's, OLMoE's and gpt-oss-20b's layers: all blocks are there at once,
  // and one that has a multiprocessor for itself has more warps, and more than half of its memory under way.
  constexpr int64_t kRows = 8, kOtherBytes = 8 << 10; // Offsets of the experts, and sums.
  int64_t multiprocessors = capabilities.kEnoughBlocks / 2, tokens = op.getInverse().getType().getDimSize(0);
  int64_t depth = op.getMatrix().getType().getDimSize(2), topK = op.getInverse().getType().getDimSize(1);
  int64_t blocks = tokens * llvm::divideCeil(op.getMatrix().getType().getDimSize(1), 16);
  Tile tile = blocks <= multiprocessors       ? Tile{256, kRows, 16, 512, 8}
              : blocks <= 3 * multiprocessors ? Tile{128, kRows, 16, 256, 7}
                                              : Tile{128, kRows, 32, 256, 4};
  if (topK * depth <= tile.depth / 2)
    tile.depth /= 2;
  auto configure = [&](int64_t stages) {
    return CUDAConfigAttr::get(op.getContext(), tile.threads, kRows, tile.columns, tile.depth, stages, CUDAUnit::stream);
  };
  auto fits = [&](CUDAConfigAttr config) {
    return ampere::StreamShape(config, depth, topK, /*isOneToken=*/true).getSharedBytes() + kOtherBytes <=
           capabilities.sharedBytes;
  };
  CUDAConfigAttr config = configure(tile.stages);
  while (!fits(config) && config.getStages() > 2)
    config = configure(config.getStages() - 1);
  explainStream(op, config);
  return config;
}

CUDAConfigAttr configureMatmul(MatmulOp op, const Capabilities &capabilities) {
  if (CUDAConfigAttr config = configureStream(op, capabilities)) {
    explainStream(op, config);
    return config;
  }
  CUDAUnit unit = chooseUnit(op, capabilities);
  ArrayRef<Tile> tiles = unit == CUDAUnit::mma ? ArrayRef<Tile>(kMmaTiles) : ArrayRef<Tile>(kFmaTiles);
  const Tile &tile = chooseTile(tiles, getExtents(op), unit, capabilities);
  explain(op->getParentOfType<KernelOp>(),
          stringifyCUDAUnit(unit) + ", " + Twine(tile.rows) + " x " + Twine(tile.columns) + " tiles, " +
              Twine(tile.stages) + " stages");
  return CUDAConfigAttr::get(op.getContext(), tile.threads, tile.rows, tile.columns, tile.depth, tile.stages, unit);
}

} // namespace mlir::moe::cuda
