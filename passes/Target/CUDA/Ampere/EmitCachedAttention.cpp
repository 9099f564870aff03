//===- EmitCachedAttention.cpp - A query at a time over caches of bf16 -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A block has one query of one head; reading keys and values is all the work. Neighbouring lanes share a key, 8 elements
/// of the head each, and a group of lanes takes every n-th key with a running softmax of its own (base 2):
///
/// ```
/// for tile_n keys:
///   load those of the group, and their values                      // 16 bytes a lane, all of them under way at once
///   scores: sums over the lanes of the group; maximum, sum and weighted values of the group
/// groups of a warp by shuffles, warps through shared memory, in a fixed order
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/TensorCore.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numbers>

namespace mlir::moe::cuda::ampere {

static constexpr double kLowest = -1e30;

static int64_t getHeadDim(moe_kernel::CachedAttentionOp op) {
  return op.getQuery().getType().getDimSize(1) / op.getNumHeads();
}

/// Lanes that share a key: a power of two.
static int64_t getLanesPerKey(int64_t headDim) { return llvm::PowerOf2Ceil(llvm::divideCeil(headDim, kChunk)); }

int64_t getKeyGroups(moe_kernel::CachedAttentionOp op, int64_t threads) {
  return threads / getLanesPerKey(getHeadDim(op));
}

std::string findStreamObstacle(moe_kernel::CachedAttentionOp op) {
  for (Value operand : {op.getQuery(), op.getKeyCache(), op.getValueCache()})
    if (!getElementTypeOrSelf(operand).isBF16())
      return "its operands are not of bf16";
  constexpr int64_t kMostHeadDim = kWarpSize * kChunk;
  if (int64_t headDim = getHeadDim(op); headDim % kChunk || headDim > kMostHeadDim)
    return "heads of " + std::to_string(headDim) + " elements are not multiples of 8 up to " +
           std::to_string(kMostHeadDim);
  return "";
}

FailureOr<LaunchShape> emitStreamedCachedAttention(moe_kernel::CachedAttentionOp op, EmitterContext &context) {
  std::string obstacle = findStreamObstacle(op);
  if (int64_t groups = getKeyGroups(op, context.config.getThreads()); context.config.getTileN() % groups)
    obstacle = "a tile is a multiple of " + std::to_string(groups) + " keys";
  if (!obstacle.empty())
    return op.emitError() << "cannot be emitted for " << context.config << ": " << obstacle;

  BlockBuilder b(context);
  int64_t heads = op.getNumHeads(), keyHeads = op.getNumKvHeads(), headDim = getHeadDim(op);
  int64_t rows = op.getQuery().getType().getDimSize(0), slots = op.getKeyCache().getType().getDimSize(1);
  int64_t queries = rows / op.getKeyCache().getType().getDimSize(0); // Of a sequence.
  int64_t lanes = getLanesPerKey(headDim), groups = getKeyGroups(op, b.threads), tileN = context.config.getTileN();
  Value keyCache = b.operand(op.getKeyCache()), valueCache = b.operand(op.getValueCache());
  Value partials = b.allocateShared(b.warps * headDim), maxima = b.allocateShared(b.warps);
  Value factors = b.allocateShared(b.warps); // First the warps' sums.

  Expr head = b.block % heads, row = b.block / heads, column = b.lane % lanes * kChunk;
  // Lanes behind the end of the head repeat its beginning, with zeros of the query.
  Expr isInside = lanes * kChunk == headDim ? Expr() : column < headDim;
  Expr safeColumn = isInside ? select(isInside, column, b.index(0)) : column;
  Expr visible = b.load(b.operand(op.getPositions()), row).toIndex() + 1;
  Expr firstKey = (row / queries * slots * keyHeads + head / (heads / keyHeads)) * headDim + safeColumn;

  auto chunkType = VectorType::get(kChunk, b.builder.getBF16Type());
  auto loadChunk = [&](Value memory, Expr offset) {
    return b.wrap(vector::LoadOp::create(b.builder, chunkType, memory, ValueRange{offset}, /*nontemporal=*/false,
                                         llvm::MaybeAlign(2 * kChunk)));
  };
  Expr query = b.extend(loadChunk(b.operand(op.getQuery()), (row * heads + head) * headDim + safeColumn));
  query = query * (std::numbers::log2e / std::sqrt(double(headDim)));
  if (isInside)
    query = select(isInside, query, b.real(0));

  // Carried: maximum and sum of the group, this lane's weighted values.
  SmallVector<Expr> state = {b.real(kLowest), b.real(0), b.real(0).splat(kChunk)};
  state = b.loop(b.index(0), visible, tileN, state, [&](Expr first, ArrayRef<Expr> carried) {
    SmallVector<Expr> exists, keys, values, scores;
    for (int64_t i = 0; i < tileN; i += groups) {
      Expr number = first + (b.thread / lanes + i);
      exists.push_back(number < visible);
      Expr offset = firstKey + min(number, visible - 1) * (keyHeads * headDim);
      keys.push_back(loadChunk(keyCache, offset));
      values.push_back(loadChunk(valueCache, offset));
    }
    Expr newMax = carried[0];
    for (auto [key, isKey] : llvm::zip_equal(keys, exists)) {
      Expr wide = b.extend(key), dot = query.extract(0) * wide.extract(0);
      for (int64_t i = 1; i < kChunk; ++i)
        dot = fma(query.extract(i), wide.extract(i), dot);
      scores.push_back(select(isKey, b.sumLanes(dot, lanes), b.real(kLowest)));
      newMax = maxFast(b, newMax, scores.back());
    }
    Expr correction = exp2Fast(b, carried[0] - newMax);
    Expr sum = carried[1] * correction, weighted = carried[2] * correction;
    for (auto [score, value, isKey] : llvm::zip_equal(scores, values, exists)) {
      Expr weight = select(isKey, exp2Fast(b, score - newMax), b.real(0));
      sum = sum + weight;
      weighted = fma(weight, b.extend(value), weighted);
    }
    return SmallVector<Expr>{newMax, sum, weighted};
  });

  // The groups of a warp. Both of a pair compute the same.
  Expr largest = state[0];
  for (int64_t distance = lanes; distance < kWarpSize; distance *= 2)
    largest = maxFast(b, largest, b.shuffleXor(largest, distance));
  Expr factor = exp2Fast(b, state[0] - largest), sum = state[1] * factor;
  SmallVector<Expr> columns;
  for (int64_t i = 0; i < kChunk; ++i)
    columns.push_back(state[2].extract(i) * factor);
  for (int64_t distance = lanes; distance < kWarpSize; distance *= 2) {
    sum = sum + b.shuffleXor(sum, distance);
    for (Expr &element : columns)
      element = element + b.shuffleXor(element, distance);
  }
  b.ifThen(both(b.lane < lanes, isInside), [&] {
    for (auto [i, element] : llvm::enumerate(columns))
      b.store(element, partials, b.warp * headDim + column + i);
  });
  b.ifThen(b.lane == 0, [&] {
    b.store(largest, maxima, b.warp);
    b.store(sum, factors, b.warp);
  });
  b.barrier();

  b.ifThen(b.warp == 0, [&] {
    Expr isWarp = b.lane < b.warps, warp = min(b.lane, b.index(b.warps - 1));
    Expr maximum = select(isWarp, b.load(maxima, warp), b.real(kLowest));
    Expr most = b.maxLanes(maximum);
    Expr factor = select(isWarp, exp2Fast(b, maximum - most), b.real(0));
    Expr total = b.sumLanes(factor * b.load(factors, warp));
    b.warpBarrier();
    b.ifThen(isWarp, [&] { b.store(factor / total, factors, warp); });
  });
  b.barrier();
  Value result = b.result(op.getResult());
  b.forThreads(headDim, [&](Expr d) {
    Expr sum = b.load(factors, b.index(0)) * b.load(partials, d);
    for (int64_t warp = 1; warp < b.warps; ++warp)
      sum = fma(b.load(factors, b.index(warp)), b.load(partials, d + warp * headDim), sum);
    b.store(sum, result, (row * heads + head) * headDim + d);
  });
  // How many keys are visible is known at run time only: flops are not counted.
  return LaunchShape{{rows * heads, 1, 1}, {b.threads, 1, 1}, /*flops=*/0};
}

} // namespace mlir::moe::cuda::ampere
