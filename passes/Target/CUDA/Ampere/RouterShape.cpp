//===- RouterShape.cpp - How blocks share the logits of a router -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/RouterShape.h"
#include "passes/Target/CUDA/Ampere/TensorCore.h"

namespace mlir::moe::cuda::ampere {

/// What else of shared memory a block needs: counts, and for a plan its counters.
static constexpr int64_t kOtherBytes = 24 << 10;
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

/// Gives `shape` as many groups as make a block of 8 warps, and as many stages as fit; false if two do not.
static bool fill(RouterShape &shape, int64_t width, const Capabilities &capabilities) {
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

RouterShape RouterShape::choose(int64_t tokens, int64_t width, int64_t experts, const Capabilities &capabilities) {
  // In clocks of a multiprocessor: it reads about 60 bytes in each; what one block passes to another takes 1.5 µs; and
  // the tokens of a block are routed a few at a time.
  constexpr int64_t kBytesPerClock = 60, kHandover = 2500, kRouting = 200;
  int64_t padded = llvm::alignTo(experts, kFragment);
  std::optional<RouterShape> best;
  int64_t bestClocks = 0;
  for (int64_t rows : {16, 32, 64, 128})
    for (int64_t tiles = 1; tiles <= padded / kFragment; tiles *= 2) {
      RouterShape shape;
      shape.rows = rows;
      // What a power of two of warps can share.
      int64_t share = llvm::divideCeil(padded, tiles);
      shape.experts = llvm::alignTo(share, share <= 64 ? 16 : share <= 128 ? 32 : share <= 256 ? 64 : 128);
      if (!fill(shape, width, capabilities))
        continue;
      int64_t blocks = llvm::divideCeil(tokens, rows) * llvm::divideCeil(padded, shape.experts);
      int64_t waves = llvm::divideCeil(blocks, capabilities.kEnoughBlocks / 2);
      int64_t clocks = 2 * width * (std::min(rows, tokens) + shape.experts) / kBytesPerClock + kRouting * rows / 8;
      clocks = waves * clocks + (shape.experts < padded ? kHandover : 0);
      if (!best || clocks < bestClocks) {
        best = shape;
        bestClocks = clocks;
      }
    }
  assert(best && "16 tokens and 16 experts always fit");
  return *best;
}

std::optional<RouterShape> RouterShape::get(moe_kernel::CUDAConfigAttr config) {
  RouterShape shape;
  shape.rows = config.getTileM();
  shape.experts = config.getTileN();
  shape.depth = config.getTileK();
  shape.stages = config.getStages();
  if (shape.rows < kFragment || shape.rows % shape.getWarpRows() != 0 || shape.getWarpRows() % kFragment != 0 ||
      shape.experts < kFragment || shape.experts % kFragment != 0 || (shape.depth != 32 && shape.depth != 64) ||
      shape.stages < 2)
    return std::nullopt;
  shape.groups = config.getThreads() / shape.getThreads();
  if (shape.groups < 1 || shape.getThreads() != config.getThreads())
    return std::nullopt;
  return shape;
}

moe_kernel::CUDAConfigAttr RouterShape::toConfig(MLIRContext *context) const {
  return moe_kernel::CUDAConfigAttr::get(context, getThreads(), rows, experts, depth, stages,
                                         moe_kernel::CUDAUnit::mma);
}

} // namespace mlir::moe::cuda::ampere
