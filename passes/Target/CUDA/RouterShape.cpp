//===- RouterShape.cpp - How blocks share the logits of a router -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/RouterShape.h"
#include "passes/Target/CUDA/ClusterExchange.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::moe::cuda {

static constexpr int64_t kFragment = 16; // Rows and columns of a fragment of `mma.sync`.
static constexpr int64_t kChunk = 8;     // Elements of 16 bytes.
static constexpr int64_t kWarpgroupThreads = 384, kWarpgroupRows = 64;
static constexpr int64_t kMostGroups = 8, kEnoughWarps = 8, kMostWarps = 16, kMostExperts = 512, kMostStages = 6;

bool canRoute(RankedTensorType input, RankedTensorType weight) {
  return input.getElementType().isBF16() && input.getDimSize(1) % kChunk == 0 && weight.getDimSize(0) <= kMostExperts;
}

int64_t RouterShape::getWarpExperts() const {
  int64_t count = experts;
  while (count > 64 && count % (2 * kFragment) == 0)
    count /= 2;
  return count;
}

int64_t RouterShape::getWarpsOfGroup() const {
  if (isForToken())
    return tokenWarps / groups;
  return rows / getWarpRows() * (experts / getWarpExperts());
}

int64_t RouterShape::getThreads() const {
  return usesWarpgroups ? kWarpgroupThreads : groups * getWarpsOfGroup() * Capabilities::kWarpSize;
}

int64_t RouterShape::getSharedBytes() const {
  if (isForToken())
    return 4 * groups * getSumStride();
  int64_t parts = usesWarpgroups ? 1 : groups; // Of a stage.
  return 2 * stages * parts * (rows + experts) * depth + 4 * groups * rows * getSumStride();
}

bool RouterShape::fillsCluster(int64_t tokens, int64_t allExperts, const Capabilities &capabilities) const {
  constexpr int64_t kMostLogits = 2048; // Of a block's tokens, in 8 KB.
  // A block takes most of a multiprocessor's memory, and those of a cluster sit in one group of some 16
  // multiprocessors: on an H100, 32 clusters of 4 do not fit into its 132 at once, and take 15.0 µs where blocks without
  // clusters take 11.5.
  constexpr int64_t kMostBlocks = 64;
  int64_t blocks = llvm::divideCeil(allExperts, experts), tiles = llvm::divideCeil(tokens, rows);
  return capabilities.hasClusters && !usesWarpgroups && blocks > 1 && blocks <= ClusterExchange::kMostBlocks &&
         blocks * tiles <= kMostBlocks && rows * allExperts <= kMostLogits;
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

/// Gives `shape` as many groups as make a block of 8 warps, and as many stages as fit; false if two do not.
static bool fillWarps(RouterShape &shape, int64_t width, const Capabilities &capabilities) {
  constexpr int64_t kOtherBytes = 24 << 10; // Counts, and for a plan its counters.
  int64_t warps = shape.getWarpsOfGroup();
  if (warps > kMostWarps || shape.getWarpExperts() > 64)
    return false;
  auto fits = [&](int64_t stages) {
    shape.stages = stages;
    return shape.getSharedBytes() <= capabilities.sharedBytes - kOtherBytes;
  };
  // Short stages where few long ones would fit.
  for (shape.groups = std::clamp<int64_t>(kEnoughWarps / warps, 1, kMostGroups); shape.groups > 0; shape.groups /= 2)
    for (int64_t depth : {64, 32}) {
      shape.depth = depth;
      int64_t most = std::min<int64_t>(llvm::divideCeil(width, shape.groups * depth) + 1, kMostStages);
      int64_t least = depth == 64 ? std::min<int64_t>(most, 4) : 2;
      if (!fits(least))
        continue;
      int64_t stages = least;
      while (stages < most && fits(stages + 1))
        ++stages;
      return fits(stages);
    }
  return false;
}

/// The same for warpgroups; false if they cannot be, or do not pay.
static bool fillWarpgroups(RouterShape &shape, int64_t tokens, int64_t width, const Capabilities &capabilities) {
  constexpr int64_t kOtherBytes = 4 << 10, kFewestStages = 4;
  // With fewer tokens the same block might make the plan, for which there is no room.
  if (!capabilities.hasWarpgroupMatmul || !capabilities.hasTensorMemoryAccess || tokens <= kMostPlannedEntries ||
      width < 2 * shape.depth || shape.rows < kWarpgroupRows || shape.experts > 256)
    return false;
  shape.usesWarpgroups = true;
  shape.depth = 64;
  shape.groups = shape.rows == kWarpgroupRows ? 2 : 1;
  for (shape.stages = kMostStages; shape.getSharedBytes() > capabilities.sharedBytes - kOtherBytes; shape.stages -= 2)
    if (shape.stages == kFewestStages)
      return false;
  return true;
}

/// Of warps that share an expert, where a block has more of them than experts.
static int64_t countTokenGroups(const RouterShape &shape) {
  return shape.tokenWarps / std::min<int64_t>(shape.tokenWarps, llvm::PowerOf2Ceil(shape.experts));
}

/// A cluster whose threads have the weights, and their part of the token, in registers; nothing if those are too few.
static std::optional<RouterShape> chooseForToken(int64_t width, int64_t experts, const Capabilities &capabilities) {
  constexpr int64_t kPiece = RouterShape::kTokenElements * Capabilities::kWarpSize;
  for (int64_t blocks = ClusterExchange::kMostBlocks; blocks > 1; blocks /= 2) {
    RouterShape shape;
    shape.rows = 1;
    shape.experts = llvm::divideCeil(experts, blocks);
    if (llvm::divideCeil(experts, shape.experts) != static_cast<uint64_t>(blocks) ||
        !shape.fillsCluster(/*tokens=*/1, experts, capabilities))
      continue;
    // Registers of a thread, of 255 and 128 that it can have.
    for (auto [warps, most] : {std::pair(8, 144), {16, 88}}) {
      shape.tokenWarps = warps;
      shape.groups = countTokenGroups(shape);
      shape.depth = llvm::alignTo(llvm::divideCeil(width, shape.groups), kPiece);
      int64_t ofExpert = shape.depth / Capabilities::kWarpSize; // Elements of a lane.
      int64_t weights = llvm::divideCeil(shape.experts, shape.getWarpsOfGroup()) * ofExpert / 2;
      if (weights + ofExpert <= most)
        return shape;
    }
  }
  return std::nullopt;
}

RouterShape RouterShape::choose(int64_t tokens, int64_t width, int64_t experts, const Capabilities &capabilities) {
  if (tokens == 1)
    if (std::optional<RouterShape> shape = chooseForToken(width, experts, capabilities))
      return *shape;
  // In clocks of a multiprocessor, as measured on an H100: the bytes that it reads in each, by threads and by TMA; what
  // one block passes to another takes 2 µs, and longer for the 64 tokens of warpgroups, but not in a cluster; and the
  // tokens of a block are routed a few at a time.
  constexpr int64_t kBytesPerClock = 20, kBulkBytesPerClock = 50, kRouting = 200;
  constexpr int64_t kHandover = 3500, kBulkHandover = 8500, kClusterHandover = 1000;
  int64_t padded = llvm::alignTo(experts, kFragment);
  std::optional<RouterShape> best;
  int64_t bestClocks = 0;
  auto consider = [&](const RouterShape &shape) {
    int64_t blocks = llvm::divideCeil(tokens, shape.rows) * llvm::divideCeil(padded, shape.experts);
    int64_t waves = llvm::divideCeil(blocks, capabilities.kEnoughBlocks / 2);
    int64_t bytes = 2 * width * (std::min(shape.rows, tokens) + shape.experts);
    int64_t clocks = bytes / (shape.usesWarpgroups ? kBulkBytesPerClock : kBytesPerClock) + kRouting * shape.rows / 8;
    clocks *= waves;
    if (shape.experts < padded)
      clocks += shape.usesWarpgroups                                ? kBulkHandover
                : shape.fillsCluster(tokens, experts, capabilities) ? kClusterHandover
                                                                    : kHandover;
    if (best && clocks >= bestClocks)
      return;
    best = shape;
    bestClocks = clocks;
  };
  for (int64_t rows : {16, 32, 64, 128})
    for (int64_t tiles = 1; tiles <= padded / kFragment; tiles *= 2) {
      RouterShape shape;
      shape.rows = rows;
      // What a power of two of warps can share.
      int64_t share = llvm::divideCeil(padded, tiles);
      shape.experts = llvm::alignTo(share, share <= 64 ? 16 : share <= 128 ? 32 : share <= 256 ? 64 : 128);
      if (RouterShape warps = shape; fillWarps(warps, width, capabilities))
        consider(warps);
      if (RouterShape warpgroups = shape; fillWarpgroups(warpgroups, tokens, width, capabilities))
        consider(warpgroups);
    }
  assert(best && "16 tokens and 16 experts always fit");
  return *best;
}

//===----------------------------------------------------------------------===//
// Configuration
//===----------------------------------------------------------------------===//

std::optional<RouterShape> RouterShape::get(moe_kernel::CUDAConfigAttr config) {
  RouterShape shape;
  shape.rows = config.getTileM();
  shape.experts = config.getTileN();
  shape.depth = config.getTileK();
  shape.stages = config.getStages();
  if (config.getUnit() == moe_kernel::CUDAUnit::fma) {
    shape.tokenWarps = config.getThreads() / Capabilities::kWarpSize;
    if (!shape.isForToken() || shape.experts < 1 || shape.tokenWarps < 1)
      return std::nullopt;
    shape.groups = countTokenGroups(shape);
    return shape;
  }
  if (shape.experts < kFragment || shape.experts % kFragment != 0 || shape.stages < 2)
    return std::nullopt;
  if (config.getUnit() == moe_kernel::CUDAUnit::wgmma) {
    shape.usesWarpgroups = true;
    shape.groups = shape.rows == kWarpgroupRows ? 2 : 1;
    if ((shape.rows != kWarpgroupRows && shape.rows != 2 * kWarpgroupRows) || shape.experts > 256 ||
        shape.depth != 64 || shape.stages % 2 != 0 || config.getThreads() != kWarpgroupThreads)
      return std::nullopt;
    return shape;
  }
  if (shape.rows < kFragment || shape.rows % shape.getWarpRows() != 0 || shape.getWarpRows() % kFragment != 0 ||
      (shape.depth != 32 && shape.depth != 64))
    return std::nullopt;
  shape.groups = config.getThreads() / shape.getThreads();
  if (shape.groups < 1 || shape.getThreads() != config.getThreads())
    return std::nullopt;
  return shape;
}

moe_kernel::CUDAConfigAttr RouterShape::toConfig(MLIRContext *context) const {
  using moe_kernel::CUDAUnit;
  CUDAUnit unit = isForToken() ? CUDAUnit::fma : usesWarpgroups ? CUDAUnit::wgmma : CUDAUnit::mma;
  return moe_kernel::CUDAConfigAttr::get(context, getThreads(), rows, experts, depth, isForToken() ? 1 : stages, unit);
}

} // namespace mlir::moe::cuda
