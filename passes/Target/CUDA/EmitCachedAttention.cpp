//===- EmitCachedAttention.cpp - Attention over caches ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A prompt is attended to in tiles of queries (AttentionTile.h). Few new tokens are taken one by one, a head to a
/// block, with a running softmax over chunks of as many keys as there are threads:
///
/// ```
/// for chunk of keys:
///   a warp per key: scores in shared memory
///   a thread per key: the chunk's maximum and sum, weights in shared memory
///   a thread per column of the head, groups of threads apart: weighted sum of the values
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/AttentionTile.h"
#include "passes/Target/CUDA/EmitStructured.h"

namespace mlir::moe::cuda {
namespace {

/// Up to this many new tokens a sequence, tiles of queries would be mostly empty.
constexpr int64_t kMaxSingleQueries = 4;
constexpr double kLowest = -1e30;

struct CachedAttentionEmitter {
  CachedAttentionEmitter(moe_kernel::CachedAttentionOp op, EmitterContext &context)
      : b(context), config(context.config), shape(makeShape(op)),
        sequences(op.getQuery().getType().getDimSize(0) / shape.queries),
        query(b.matrix(b.operand(op.getQuery()), shape.getQueryStride())),
        key(b.matrix(b.operand(op.getKeyCache()), shape.getKeyStride())),
        value(b.matrix(b.operand(op.getValueCache()), shape.getKeyStride())),
        result(b.matrix(b.result(op.getResult()), shape.getQueryStride())), positions(b.operand(op.getPositions())) {}

  static AttentionShape makeShape(moe_kernel::CachedAttentionOp op) {
    auto query = op.getQuery().getType().getShape(), cache = op.getKeyCache().getType().getShape();
    int64_t heads = op.getNumHeads(), keyHeads = op.getNumKvHeads();
    return {heads, keyHeads, query[1] / heads, query[0] / cache[0], cache[1]};
  }

  LaunchShape emit();
  int64_t emitTiles();
  int64_t emitSingleQueries();
  Expr visibleKeys(Expr row) { return b.load(positions, row).toIndex() + 1; }

  BlockBuilder b;
  moe_kernel::CUDAConfigAttr config;
  AttentionShape shape;
  int64_t sequences;
  MatrixView query, key, value, result;
  Value positions;
};

} // namespace

LaunchShape CachedAttentionEmitter::emit() {
  int64_t blocks = shape.queries <= kMaxSingleQueries ? emitSingleQueries() : emitTiles();
  // How many keys are visible is known at run time only: flops are not counted.
  return {{blocks, 1, 1}, {b.threads, 1, 1}, /*flops=*/0};
}

int64_t CachedAttentionEmitter::emitTiles() {
  AttentionTile tile(b, shape, config);
  FlashAttention flash(tile);
  int64_t tiles = tile.getQueryTiles();
  Expr head = b.block % shape.heads, sequence = b.block / shape.heads % sequences;
  Expr firstQuery = (tiles - 1 - b.block / (shape.heads * sequences)) * tile.getQueries();
  Expr firstRow = sequence * shape.queries + firstQuery;
  Expr queryColumn = head * shape.headDim, keyColumn = head / shape.getGroup() * shape.headDim;

  FlashAttention::Block block;
  block.query = query.from(firstRow, queryColumn);
  block.key = key.from(sequence * shape.keys, keyColumn);
  block.value = value.from(sequence * shape.keys, keyColumn);
  block.result = result.from(firstRow, queryColumn);
  block.rows = b.blockSize(firstQuery, tile.getQueries(), shape.queries);
  block.firstKey = b.index(0);
  block.visibleKeys = [&](Expr row) { return visibleKeys(firstRow + min(row, block.rows - 1)); };
  block.keys = b.loop(b.index(0), block.rows, 1, {b.index(1)}, [&](Expr row, ArrayRef<Expr> most) {
    return SmallVector<Expr>{max(most[0], visibleKeys(firstRow + row))};
  })[0];
  flash.emit(block);
  return sequences * shape.heads * tiles;
}

int64_t CachedAttentionEmitter::emitSingleQueries() {
  Expr zero = b.index(0), head = b.block % shape.heads, row = b.block / shape.heads;
  Expr queryColumn = head * shape.headDim;
  MatrixView queryHere = query.from(row, queryColumn);
  Expr firstKey = row / shape.queries * shape.keys, keyColumn = head / shape.getGroup() * shape.headDim;
  MatrixView keys = key.from(firstKey, keyColumn), values = value.from(firstKey, keyColumn);
  Expr visible = visibleKeys(row);

  // Threads per row of values; each has the columns `column`, `column` + columnThreads, …
  int64_t columnThreads = std::min<int64_t>(b.threads, llvm::PowerOf2Ceil(shape.headDim));
  int64_t groups = b.threads / columnThreads, columnsEach = llvm::divideCeil(shape.headDim, columnThreads);
  Expr group = b.thread / columnThreads, column = b.thread % columnThreads;
  auto columnAt = [&](int64_t j) { return column + j * columnThreads; };
  auto exists = [&](int64_t j) {
    return shape.headDim % columnThreads == 0 ? Expr() : columnAt(j) < shape.headDim;
  };
  Value weights = b.allocateShared(b.threads), scratch = b.allocateShared(b.warps);
  MatrixView partial = b.allocateShared(groups, shape.headDim, shape.headDim);

  // Carried: the maximum, the sum, and the columns' weighted sums of this thread's group.
  SmallVector<Expr> state = {b.real(kLowest), b.real(0)};
  state.append(columnsEach, b.real(0));
  state = b.loop(zero, visible, b.threads, state, [&](Expr first, ArrayRef<Expr> carried) {
    Expr count = min(visible - first, b.index(b.threads));
    b.barrier(); // The weights of the last chunk have been read.
    b.loop(b.warp, count, b.warps, [&](Expr i) {
      Expr dot = b.loop(b.lane, b.index(shape.headDim), kWarpSize, {b.real(0)}, [&](Expr d, ArrayRef<Expr> sum) {
        Expr left = b.load(queryHere.memory, queryHere.at(zero, d));
        return SmallVector<Expr>{fma(left, b.load(keys.memory, keys.at(first + i, d)), sum[0])};
      })[0];
      dot = b.sumLanes(dot);
      b.ifThen(b.lane == 0, [&] { b.store(dot * shape.getScale(), weights, i); });
    });
    b.barrier();

    Expr hasKey = b.thread < count;
    Expr score = select(hasKey, b.load(weights, b.thread), carried[0]);
    Expr newMax = b.maxBlock(max(score, carried[0]), scratch);
    Expr weight = select(hasKey, exp(select(hasKey, score - newMax, b.real(0))), b.real(0));
    b.store(weight, weights, b.thread);
    Expr correction = exp(carried[0] - newMax);
    SmallVector<Expr> next = {newMax, carried[1] * correction + b.sumBlock(weight, scratch)};

    SmallVector<Expr> sums;
    for (Expr sum : carried.drop_front(2))
      sums.push_back(sum * correction);
    sums = b.loop(group, count, groups, sums, [&](Expr i, ArrayRef<Expr> carried) {
      SmallVector<Expr> next;
      Expr weight = b.load(weights, i);
      for (int64_t j = 0; j < columnsEach; ++j)
        next.push_back(
            fma(weight, b.loadOrZero(values.memory, values.at(first + i, columnAt(j)), exists(j)), carried[j]));
      return next;
    });
    next.append(sums);
    return next;
  });

  for (int64_t j = 0; j < columnsEach; ++j)
    b.ifThen(exists(j), [&] { b.store(state[2 + j], partial.memory, partial.at(group, columnAt(j))); });
  b.barrier();
  b.forThreads(shape.headDim, [&](Expr d) {
    Expr sum = b.load(partial.memory, partial.at(zero, d));
    for (int64_t i = 1; i < groups; ++i)
      sum = sum + b.load(partial.memory, partial.at(b.index(i), d));
    b.store(sum / state[1], result.memory, result.at(row, queryColumn + d));
  });
  return sequences * shape.queries * shape.heads;
}

LaunchShape emitCachedAttention(moe_kernel::CachedAttentionOp op, EmitterContext &context) {
  return CachedAttentionEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda
