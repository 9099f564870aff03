//===- MatmulPlan.cpp - How a matmul runs on warpgroups, and what that costs -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/MatmulPlan.h"

#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Hopper/ExtraTiles.h"
#include "passes/Target/CUDA/Hopper/PersistentTiles.h"
#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

//===----------------------------------------------------------------------===//
// The machine: an H100, as measured
//===----------------------------------------------------------------------===//

static constexpr int64_t kMultiprocessors = 132;
static constexpr double kCyclesPerMicrosecond = 1450;    // Under the load of tensor cores; power limits it.
static constexpr double kBytesPerMicrosecond = 3.0e6;    // Of device memory: a copy, read and written.
static constexpr double kGatheredBytesPerMicrosecond = 2.2e6; // The same, of rows by an index that the L2 cache has.
static constexpr double kDispatchedBytesPerMicrosecond = 2.8e6; // The same, of tokens that are read once for all rows.
// Rows that threads copy to shared memory instead of TMA: what part of their bytes is more for its port, where all
// threads of the producer copy rows that follow the contraction, and elsewhere; and by what factor the L2 cache takes
// longer to give operands.
static constexpr double kGather = 0.5, kOtherGather = 1.0, kGatherFromCache = 1.05;
static constexpr double kProductsPerCycle = 2048;        // Of a multiprocessor: multiply and add, of bf16.
static constexpr double kSharedBytesPerCycle = 128;      // Through the port of shared memory.
static constexpr double kCacheBytes = 50e6;              // Of the L2 cache.
static constexpr double kCacheBytesPerMicrosecond = 7.6e6;       // Out of it, to tiles from a counter.
static constexpr double kCacheBytesPerMicrosecondInTurn = 10e6; // To neighbours that ask together.
static constexpr double kWeightBytesPerMicrosecond = 10e6;      // What weights that are in memory yet add to that.
static constexpr double kTallTilesClock = 1.015; // Products of tiles of 192 rows move fewer bytes, which leaves power.
static constexpr double kEpilogueCycles = 900;           // Latency of the epilogue of an accumulator, beside its bytes.
static constexpr double kHandOverCycles = 900;           // Of products to shared memory, where the epilogue is deferred.
static constexpr double kDeferredCycles = 5000;          // Of 64 columns of it, by the warps beside the producer.
static constexpr double kLaunchMicroseconds = 3;         // A kernel more in a graph.

//===----------------------------------------------------------------------===//
// Predictions
//===----------------------------------------------------------------------===//

/// A stage: its wgmmas, or the bytes that pass shared memory for it. wgmma reads A and all of B for every 64 rows. Rows
/// that threads copy make a stage of 128 rows 4 to 6 % longer, and hardly one of 192 rows, which leaves the port time
/// (measured on an H100, five layers of experts with 8192 tokens: 0.7 to 1.3 %, and 2 % with DeepSeek-V3's 470 MB of tokens).
/// Weight gradients take 2 to 6 % longer, and what one warp gathers beside an epilogue 9 to 12 %.
static double getStageCycles(const WarpgroupShape &shape, int64_t rows, int64_t columns, bool gathers) {
  int64_t read = 0, written = (shape.tileRows + columns) * kSwizzleBytes;
  for (int64_t group = 0; group < kConsumerGroups; ++group)
    read += (kWarpgroupRows + columns) * kSwizzleBytes;
  if (rows > kConsumerGroups * kWarpgroupRows)
    read += kConsumerGroups * (kWarpgroupRows + columns / kConsumerGroups) * kSwizzleBytes;
  if (gathers)
    written += kConsumerGroups * kWarpgroupRows * kSwizzleBytes *
               (shape.defersEpilogue || shape.isContraction() ? kOtherGather : kGather);
  return std::max(rows * columns * kStageDepth / kProductsPerCycle, (read + written) / kSharedBytesPerCycle);
}

static double getEpilogueCycles(MatmulOp op, const WarpgroupShape &shape, int64_t rows, int64_t columns) {
  int64_t outputBytes = 0; // Of a column of the epilogue: written to shared memory, read from it.
  for (Value result : op.getResults())
    outputBytes += 2 * cast<ShapedType>(result.getType()).getElementTypeBitWidth() / 8;
  outputBytes += 4 * countExtraTiles(op);
  int64_t accumulators = rows > kConsumerGroups * kWarpgroupRows ? 2 : 1;
  return (1 + accumulators) / 2.0 * kEpilogueCycles +
         rows * (columns / shape.halves()) * outputBytes / kSharedBytesPerCycle;
}

/// Bytes of operands and results; of experts' weights, those that rows meet.
static int64_t getBytes(MatmulOp op, const WarpgroupShape &shape) {
  auto bytesOf = [](Value value) {
    auto type = cast<ShapedType>(value.getType());
    return type.getNumElements() * type.getElementTypeBitWidth() / 8;
  };
  int64_t bytes = 0;
  for (Value value : llvm::concat<Value>(llvm::to_vector(op->getOperands()), llvm::to_vector(op->getResults())))
    bytes += bytesOf(value);
  if (shape.isRaggedRows())
    bytes -= bytesOf(op.getRhs()) / shape.experts * (shape.experts - std::min(shape.experts, shape.rows));
  return bytes;
}

namespace {
/// Tiles of a launch: of 192 rows or 128, as `tileRows` is, and those of 128 rows among the former.
struct TileCounts {
  double full = 0, smaller = 0;
};
} // namespace

/// Tiles of an expert with `rows` rows, as PersistentTiles cuts them.
static TileCounts countTiles(const WarpgroupShape &shape, int64_t rows) {
  double tiles = llvm::divideCeil(rows, shape.tileRows);
  if (!shape.sharesRows())
    return {tiles, 0};
  double full = std::max(0.0, double(llvm::divideCeil(rows, kWarpgroupRows)) - kConsumerGroups * tiles);
  return {full, tiles - full};
}

/// Of all experts, of which the rows are as many as tokens that choose at random make them: few experts have as many as
/// there are on average, which may be just as many as fill their tiles.
static TileCounts countTilesOfAll(const WarpgroupShape &shape, int64_t columns) {
  TileCounts all;
  int64_t columnTiles = shape.getColumnTiles(columns);
  if (!shape.isRaggedRows()) {
    all.full = shape.getMostRowTiles() * columnTiles;
    return all;
  }
  constexpr int kSamples = 16;
  double experts = std::min(shape.experts, shape.rows), mean = shape.rows / experts;
  double spread = std::sqrt(3 * mean); // Of a uniform distribution with the variance of a Poisson one.
  for (int i = 0; i < kSamples; ++i) {
    double rows = mean + spread * (2 * i + 1 - kSamples) / kSamples;
    TileCounts tiles = countTiles(shape, std::max<int64_t>(1, std::lround(rows)));
    all.full += tiles.full * experts * columnTiles / kSamples;
    all.smaller += tiles.smaller * experts * columnTiles / kSamples;
  }
  return all;
}

/// How long operands take from the L2 cache to the multiprocessors. Blocks that take their tiles in turn ask for what they
/// share at the same time as their neighbours, and the cache gives it once. What comes from memory first holds others up
/// (measured on an H100, experts' rows in five layers with 1024 to 8192 tokens: within 10 % of what is predicted where that
/// is the bound).
static double getCacheTime(const WarpgroupShape &shape, int64_t columns, const TileCounts &tiles, bool gathers) {
  double depthBytes = 2.0 * shape.depth, sharedRows = shape.tileRows - kConsumerGroups * kWarpgroupRows;
  double rows = (tiles.full + tiles.smaller) * shape.tileRows - tiles.smaller * sharedRows;
  double bytes = (rows + (tiles.full + tiles.smaller) * columns) * depthBytes;
  double weights = std::min(shape.experts, shape.rows) * shape.columns * depthBytes;
  double rate = shape.takesTilesInTurn() ? kCacheBytesPerMicrosecondInTurn : kCacheBytesPerMicrosecond;
  return (bytes / rate + weights / kWeightBytesPerMicrosecond) * (gathers ? kGatherFromCache : 1);
}

static MatmulPlan predict(MatmulOp op, const WarpgroupShape &shape, int64_t columns, int64_t stages, bool gathers) {
  // A contraction of experts has their share each.
  int64_t depth = shape.isContraction() ? llvm::divideCeil(shape.depth, shape.experts) : shape.depth;
  double numStages = llvm::divideCeil(depth, kStageDepth);
  auto getTileCycles = [&](int64_t rows) {
    double products = numStages * getStageCycles(shape, rows, columns, gathers);
    if (shape.defersEpilogue)
      return std::max(products + kHandOverCycles, columns / shape.halves() / 64.0 * kDeferredCycles);
    return products + getEpilogueCycles(op, shape, rows, columns);
  };
  TileCounts tiles = countTilesOfAll(shape, columns);
  double work = tiles.full * getTileCycles(shape.tileRows);
  if (tiles.smaller > 0)
    work += tiles.smaller * getTileCycles(kConsumerGroups * kWarpgroupRows);
  // The last tiles to start keep the others waiting for one of them, in turn or not, unless all start at once.
  double count = tiles.full + tiles.smaller;
  double each = count / kMultiprocessors;
  double cycles = work / count * (shape.takesTilesInTurn() || each <= 1 ? std::ceil(each) : each + 1);

  MatmulPlan plan;
  plan.tileRows = shape.tileRows;
  plan.tileColumns = columns;
  plan.stages = stages;
  if (shape.isRagged)
    plan.expectedRows = (shape.isContraction() ? shape.depth : shape.rows) / shape.experts;
  plan.products = cycles / kCyclesPerMicrosecond;
  if (shape.isRaggedRows()) {
    plan.products /= shape.sharesRows() ? kTallTilesClock : 1;
    plan.cache = getCacheTime(shape, columns, tiles, gathers);
  }
  plan.memory = getBytes(op, shape) / kBytesPerMicrosecond;
  return plan;
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

/// Whether tiles of 192 rows can be formed: what the epilogue keeps beside two accumulators has to fit into registers.
static bool canTakeMostRows(MatmulOp op) {
  return countExtraTiles(op) == 0 && !op.sumsRows() && op.getNumResults() == 1;
}

/// Where memory bounds both, the one with clearly less to compute is faster in fact.
static bool isFaster(const MatmulPlan &plan, const MatmulPlan &other) {
  constexpr double kAbout = 1.03, kClearly = 0.9;
  auto isBoundByMemory = [](const MatmulPlan &plan) { return plan.getTime() <= kAbout * plan.memory; };
  if (isBoundByMemory(plan) && isBoundByMemory(other))
    return plan.products < kClearly * other.products;
  return plan.getTime() < other.getTime();
}

/// The fastest tile for `op`, of which the contraction has `parts` parts.
static std::optional<MatmulPlan> chooseTile(MatmulOp op, const Capabilities &capabilities, bool gathers,
                                            int64_t parts) {
  constexpr int64_t kFewestStages = 2, kMostStages = 4;
  constexpr std::pair<int64_t, int64_t> kTiles[] = {{128, 256}, {192, 256}, {128, 128}};
  std::optional<MatmulPlan> best;
  for (auto [rows, columns] : kTiles) {
    WarpgroupShape shape(op, rows);
    if (parts > 1) {
      shape.kind = MatmulKind::ragged_contraction;
      shape.experts = parts;
    }
    if (shape.sharesRows() && !canTakeMostRows(op))
      continue;
    int64_t stages = std::min(kMostStages, chooseStages(op, shape, columns, capabilities.sharedBytes));
    if (stages < kFewestStages) // What the epilogue reads leaves too little shared memory.
      continue;
    MatmulPlan plan = predict(op, shape, columns, stages, gathers);
    if (!best || isFaster(plan, *best))
      best = plan;
  }
  return best;
}

/// A tile has 128 rows whether they are used or not, and a block streams the weights of its tile alone. With fewer tiles
/// most multiprocessors would be idle.
static bool isTooSmall(MatmulOp op) {
  constexpr int64_t kFewestTiles = kMultiprocessors / 4, kFewestRows = 16;
  WarpgroupShape shape(op, kConsumerGroups * kWarpgroupRows);
  TileCounts tiles = countTilesOfAll(shape, 128);
  return tiles.full + tiles.smaller < kFewestTiles ||
         shape.rows / (shape.isRaggedRows() ? shape.experts : 1) < kFewestRows;
}

std::optional<MatmulPlan> planMatmul(MatmulOp op, const Capabilities &capabilities, bool gathers) {
  if (!findWarpgroupObstacle(op, capabilities).empty() || (op.getParts() == 1 && isTooSmall(op)))
    return std::nullopt;
  return chooseTile(op, capabilities, gathers && op.getRowIndex(), op.getParts());
}

double getCopyTime(int64_t tokens, int64_t rows, int64_t columns, bool readsOnce) {
  double tokenBytes = 2.0 * tokens * columns, rowBytes = 2.0 * rows * columns;
  if (readsOnce)
    return kLaunchMicroseconds + (tokenBytes + rowBytes) / kDispatchedBytesPerMicrosecond;
  return kLaunchMicroseconds + (tokenBytes <= kCacheBytes ? (tokenBytes + rowBytes) / kGatheredBytesPerMicrosecond
                                                          : 2 * rowBytes / kBytesPerMicrosecond);
}

PartsChoice chooseParts(MatmulOp op, const Capabilities &capabilities) {
  if (op.getKind() != MatmulKind::dense || op.getPaired() || op.getParts() != 1 ||
      !findWarpgroupObstacle(op, capabilities).empty())
    return {};
  WarpgroupShape shape(op, kConsumerGroups * kWarpgroupRows);
  constexpr int64_t kFewestRows = 16, kMostParts = 32, kFewestStages = 4;
  constexpr double kWorthwhile = 0.75; // Of the time without parts: predictions of a few microseconds are not exact.
  constexpr int64_t kMostStreamedRows = 32; // Those stream their weights, which parts would not read faster.
  if (shape.rows < kFewestRows || (shape.rows <= kMostStreamedRows && ampere::findStreamObstacle(op).empty()))
    return {};
  PartsChoice best;
  for (int64_t parts = 1; parts <= kMostParts; parts *= 2) {
    if (shape.depth % (parts * kStageDepth) != 0 || shape.depth / (parts * kStageDepth) < kFewestStages)
      break;
    std::optional<MatmulPlan> plan = chooseTile(op, capabilities, /*gathers=*/false, parts);
    if (!plan)
      break;
    double time = plan->getTime();
    if (parts > 1) // The sums are written and read once more.
      time += kLaunchMicroseconds + 2.0 * 4.0 * parts * shape.rows * shape.columns / kBytesPerMicrosecond;
    if (parts == 1)
      best.time = best.wholeTime = time;
    if (time < best.time)
      std::tie(best.parts, best.time) = std::tuple(parts, time);
  }
  return best.time < kWorthwhile * best.wholeTime ? best : PartsChoice();
}

//===----------------------------------------------------------------------===//
// Explanations
//===----------------------------------------------------------------------===//

std::string MatmulPlan::describe() const {
  std::string each = expectedRows ? llvm::formatv(", {0} rows per expert", expectedRows).str() : "";
  std::string shared = cache > 0 ? llvm::formatv("cache {0:F0}, ", cache).str() : "";
  return llvm::formatv("{0} x {1} tiles, {2} stages{3}: {4:F0} us (products {5:F0}, {6}memory {7:F0})", tileRows,
                       tileColumns, stages, each, getTime(), products, shared, memory);
}

void explain(KernelOp kernel, const Twine &choice) {
  auto options = remark::RemarkOpts::name("matmul").category("configure").function(kernel.getSymName());
  if (auto remark = remark::analysis(kernel.getLoc(), options))
    remark << choice.str();
}

} // namespace mlir::moe::cuda
