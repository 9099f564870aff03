//===- EmitAttentionGradients.cpp - Gradients of attention for sm_90a --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// arXiv:2205.14135, algorithm 4, in two kinds of blocks of one launch, each of which owns what it sums up:
///
/// ```
/// P  = 2^(c · Q Kᵀ − lse · log2 e), zeros where a query does not see a key
/// dS = P ∘ (dO Vᵀ − delta)
///
/// 128 keys, in registers keys × queries:        128 queries, in registers queries × keys:
///   for 64 queries that see them, of each head:   for 128 keys that they see:
///     dV += Pᵀ dO;  dK += dSᵀ Q                     dQ += dS K
/// ```
///
/// The scores and dO Vᵀ are formed twice: seven matmuls instead of five. In exchange no sum crosses blocks, so that
/// every run gives the same bits, and P and dS never leave the registers, which are laid out as the left operands that
/// they become. One pass would add each block's part of dQ to memory, in float32: for the same bits in an order that
/// makes blocks wait for each other, through shared memory that is then busier than the tensor cores, with a kernel to
/// clear the sums and one to round them.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/Hopper/KeyBlock.h"
#include "passes/Target/CUDA/Hopper/QueryBlock.h"

#include <numbers>

namespace mlir::moe::cuda {
namespace {

/// Of a score that must have no weight: far below any, yet finite.
constexpr double kLowest = -1e30;

class GradientsEmitter {
public:
  GradientsEmitter(moe_kernel::AttentionGradientsOp op, EmitterContext &context);
  LaunchShape emit();

private:
  /// What the accumulators of a step's columns need of 64 queries, in shared memory.
  struct Statistics {
    static constexpr int64_t kArrayBytes = 4 * kQueryStep;
    static constexpr int64_t kShift = 0, kDelta = kArrayBytes, kFirstKey = 2 * kArrayBytes, kBytes = 3 * kArrayBytes;
  };

  void emitKeyProducer(const KeyBlock &block);
  void emitStatistics(const KeyBlock &block);
  void emitKeyConsumer(const KeyBlock &block);
  void emitQueryProducer(const QueryBlock &block);
  void emitQueryConsumer(const QueryBlock &block);
  /// Runs `body` for each step of a block.
  void forSteps(Expr steps, function_ref<void(Expr)> body) {
    b.loop(b.index(0), steps.toIndex(), 1, [&](Expr counter) { body(counter.toI32()); });
  }
  void loadBoth(Value map, Value otherMap, const HeadRows &rows);
  /// 16 words of `type`, of the thread's columns, from those of all columns at `address`.
  SmallVector<Expr> loadColumns(Expr address, Type type);
  /// Where this consumer's rows begin in a tile.
  Expr part(Expr tile) { return b.opaque(tile) + b.consumer * (kWarpgroupRows * kSwizzleBytes); }

  AttentionBuilder b;
  Value lse, delta, positions;
  // Maps for 128 rows, for 64, and of the results.
  Value queryBlockMap, gradientBlockMap, keyMap, valueMap, queryStepMap, gradientStepMap;
  Value queryGradientMap, keyGradientMap, valueGradientMap;
  /// The block's own rows: keys and values, or queries and gradients of the result.
  Expr first, second, ownFull;
  /// What a block of keys streams, and a block of queries; in the same memory.
  Ring queries, gradients, keys, values;
  Ring statistics; ///< Written and read by threads.
};

} // namespace

GradientsEmitter::GradientsEmitter(moe_kernel::AttentionGradientsOp op, EmitterContext &context)
    : b(context, op), lse(b.operand(op.getLse())), delta(b.operand(op.getDelta())),
      positions(b.optionalOperand(op.getPositions())) {
  int64_t heads = b.shape.heads, keyHeads = b.shape.keyHeads;
  Value query = context.lookup(op.getQuery()), gradient = context.lookup(op.getResultGradient());
  queryBlockMap = b.headMap(query, heads, kBlockRows);
  gradientBlockMap = b.headMap(gradient, heads, kBlockRows);
  keyMap = b.headMap(context.lookup(op.getKey()), keyHeads, kBlockRows);
  valueMap = b.headMap(context.lookup(op.getValue()), keyHeads, kBlockRows);
  queryStepMap = b.headMap(query, heads, kQueryStep);
  gradientStepMap = b.headMap(gradient, heads, kQueryStep);
  queryGradientMap = b.headMap(context.results[0], heads, kWarpgroupRows);
  keyGradientMap = b.headMap(context.results[1], keyHeads, kWarpgroupRows);
  valueGradientMap = b.headMap(context.results[2], keyHeads, kWarpgroupRows);

  constexpr int64_t kQuerySlots = 4, kKeySlots = 2;
  first = b.allocateBytes(b.getBytes(kBlockRows));
  second = b.allocateBytes(b.getBytes(kBlockRows));
  queries = b.allocateRing(kQuerySlots, b.getBytes(kQueryStep));
  gradients = b.allocateRing(kQuerySlots, b.getBytes(kQueryStep));
  keys = {kKeySlots, b.getBytes(kBlockRows), queries.memory, queries.full, queries.empty};
  values = {kKeySlots, b.getBytes(kBlockRows), gradients.memory, gradients.full, gradients.empty};
  statistics = b.allocateRing(kQuerySlots, Statistics::kBytes);
  statistics.fullArrivals = kWarpSize;
  statistics.emptyArrivals = kConsumers * kWarpgroupSize;
  ownFull = b.allocateBarriers(1);
}

LaunchShape GradientsEmitter::emit() {
  b.ifThen(b.thread == 0, [&] {
    b.initBarrier(ownFull, 1);
    for (const Ring *ring : {&queries, &gradients, &statistics})
      b.initRing(*ring);
  });
  b.publishBarriers();

  // Blocks of keys take longer, so they come first.
  int64_t keyBlocks = KeyBlock::getCount(b), queryBlocks = QueryBlock::getCount(b);
  auto emitRoles = [&](auto makeBlock, auto produce, auto consume) {
    b.ifThenElse(
        b.warpgroup == 0,
        [&] {
          b.setRegisters(kProducerRegisters, /*increase=*/false);
          produce(makeBlock());
        },
        [&] {
          b.setRegisters(kConsumerRegisters, /*increase=*/true);
          consume(makeBlock());
        });
  };
  Expr number = b.block.toI32();
  b.ifThenElse(
      number < keyBlocks,
      [&] {
        emitRoles([&] { return KeyBlock(b, number, positions); },
                  [&](const KeyBlock &block) {
                    b.ifThenElse(
                        b.warp == 0, [&] { emitKeyProducer(block); }, [&] { emitStatistics(block); });
                  },
                  [&](const KeyBlock &block) { emitKeyConsumer(block); });
      },
      [&] {
        emitRoles([&] { return QueryBlock(b, number - keyBlocks, positions); },
                  [&](const QueryBlock &block) { b.ifThen(b.warp == 0, [&] { emitQueryProducer(block); }); },
                  [&](const QueryBlock &block) { emitQueryConsumer(block); });
      });

  // Five matmuls over the scores at and below the diagonal; what is formed twice is counted once.
  int64_t scores = b.sequences * b.shape.heads * b.shape.queries * (b.shape.queries + 1) / 2;
  return {{keyBlocks + queryBlocks, 1, 1}, {kAttentionThreads, 1, 1}, 10 * scores * b.shape.headDim};
}

void GradientsEmitter::loadBoth(Value map, Value otherMap, const HeadRows &rows) {
  b.arriveExpecting(ownFull, b.i32(2 * b.getBytes(kBlockRows)));
  b.loadRows(map, rows, kBlockRows, first, ownFull);
  b.loadRows(otherMap, rows, kBlockRows, second, ownFull);
}

//===----------------------------------------------------------------------===//
// Blocks of keys
//===----------------------------------------------------------------------===//

void GradientsEmitter::emitKeyProducer(const KeyBlock &block) {
  b.ifThen(b.elect(), [&] {
    loadBoth(keyMap, valueMap, block.getKeys());
    forSteps(block.steps, [&](Expr step) {
      b.fill(queries, step, queryStepMap, block.getQueries(step), kQueryStep);
      b.fill(gradients, step, gradientStepMap, block.getQueries(step), kQueryStep);
    });
  });
}

void GradientsEmitter::emitStatistics(const KeyBlock &block) {
  // Warp 0 brings tiles; the others take the steps in turn.
  constexpr int64_t kWarps = kWarpgroupSize / kWarpSize - 1;
  b.loop(b.warp - 1, block.steps.toIndex(), kWarps, [&](Expr counter) {
    Expr step = counter.toI32();
    // Loaded before the slot is empty, so that the memory's latency is hidden. Queries that do not exist have no
    // weight.
    HeadRows queryRows = block.getQueries(step);
    SmallVector<SmallVector<Expr>> values;
    for (int64_t row = 0; row < kQueryStep; row += kWarpSize) {
      Expr query = queryRows.row + b.lane.toI32() + row, exists = query < b.shape.queries;
      Expr index = b.token(queryRows.sequence, query) * b.shape.heads + queryRows.head.toIndex();
      Expr shift = select(exists, b.loadOrZero(lse, index, exists) * -std::numbers::log2e, b.real(kLowest));
      values.push_back({shift, b.loadOrZero(delta, index, exists)});
      if (positions)
        values.back().push_back(b.firstKey(positions, queryRows.sequence, min(query, b.i32(b.shape.queries - 1))));
    }
    b.waitEmpty(statistics, step);
    for (auto [part, words] : llvm::enumerate(values))
      for (auto [array, word] : llvm::enumerate(words))
        b.storeWord(word, statistics.address(step) + b.lane.toI32() * 4 +
                              (array * Statistics::kArrayBytes + part * kWarpSize * 4));
    b.arrive(statistics.fullBarrier(step));
  });
}

SmallVector<Expr> GradientsEmitter::loadColumns(Expr address, Type type) {
  SmallVector<Expr> columns;
  for (int64_t first = 0; first < kQueryStep; first += 8)
    llvm::append_range(columns, b.loadWords(address + b.fragmentColumn * 4 + first * 4, 2, type));
  return columns;
}

void GradientsEmitter::emitKeyConsumer(const KeyBlock &block) {
  b.wait(ownFull, b.i32(0));
  auto getColumn = [](int64_t i) { return i / 4 * 2 + i % 2; };
  Type f32 = b.builder.getF32Type(), i32 = b.builder.getI32Type();
  auto emitStep = [&](Expr counter, ArrayRef<Expr> sums) -> SmallVector<Expr> {
    Expr step = counter.toI32();
    Expr query = b.opaque(queries.address(step)), gradient = b.opaque(gradients.address(step));
    b.waitFull(queries, step);
    b.fenceMatmuls();
    Value products = b.multiplyRows(part(first), kBlockRows, query, kQueryStep);
    b.waitFull(gradients, step);
    b.fenceMatmuls();
    Value weightProducts = b.multiplyRows(part(second), kBlockRows, gradient, kQueryStep);

    b.waitFull(statistics, step);
    Expr statistic = b.opaque(statistics.address(step));
    SmallVector<Expr> shift = loadColumns(statistic + Statistics::kShift, f32);
    SmallVector<Expr> weights = b.unpack(b.waitForMatmuls(1, products).front());
    Expr lastFirstKey = positions ? b.loadWords(statistic + (Statistics::kBytes - 4), 1, i32)[0] : Expr();
    weights = b.changeIf(block.needsMask(step, lastFirstKey), weights, [&](ArrayRef<Expr> scores) {
      SmallVector<Expr> firstKeys =
          positions ? loadColumns(statistic + Statistics::kFirstKey, i32) : SmallVector<Expr>();
      return block.mask(scores, step, firstKeys);
    });
    for (auto [i, weight] : llvm::enumerate(weights))
      weight = b.exp2Fast(fma(weight, b.real(b.scoreScale), shift[getColumn(i)]));
    weights = b.computeBefore(weights, gradients, step);
    Value valueSums = b.addWeightedRows(b.fenceMatmuls(Value(sums[0])), b.packWeights(weights), gradient, kQueryStep);

    SmallVector<Expr> scores = b.unpack(b.waitForMatmuls(1, weightProducts).front());
    SmallVector<Expr> deltas = loadColumns(statistic + Statistics::kDelta, f32);
    b.arrive(statistics.emptyBarrier(step));
    for (auto [i, score] : llvm::enumerate(scores))
      score = weights[i] * (score - deltas[getColumn(i)]);
    Value keySums = b.addWeightedRows(b.fenceMatmuls(Value(sums[1])), b.packWeights(scores), query, kQueryStep);

    SmallVector<Value> next = b.waitForMatmuls(0, {valueSums, keySums});
    b.release(queries, step);
    b.release(gradients, step);
    return {b.wrap(next[0]), b.wrap(next[1])};
  };
  Expr none = b.wrap(b.noSums()), ownSteps = block.getConsumerSteps();
  SmallVector<Expr> sums = b.loop(b.index(0), ownSteps.toIndex(), 1, {none, none}, emitStep);
  b.loop(ownSteps.toIndex(), block.steps.toIndex(), 1, [&](Expr counter) {
    Expr step = counter.toI32();
    for (const Ring *ring : {&queries, &gradients}) {
      b.waitFull(*ring, step);
      b.release(*ring, step);
    }
    b.waitFull(statistics, step);
    b.arrive(statistics.emptyBarrier(step));
  });

  Expr one = b.real(1), scale = b.real(b.shape.getScale());
  HeadRows rows = block.getConsumerKeys();
  b.storeRows(sums[0], {one, one}, valueGradientMap, rows, part(second), kBlockRows);
  b.storeRows(sums[1], {scale, scale}, keyGradientMap, rows, part(first), kBlockRows);
}

//===----------------------------------------------------------------------===//
// Blocks of queries
//===----------------------------------------------------------------------===//

void GradientsEmitter::emitQueryProducer(const QueryBlock &block) {
  b.ifThen(b.elect(), [&] {
    loadBoth(queryBlockMap, gradientBlockMap, block.getQueries());
    forSteps(block.steps, [&](Expr step) {
      b.fill(keys, step, keyMap, block.getKeys(step), kBlockRows);
      b.fill(values, step, valueMap, block.getKeys(step), kBlockRows);
    });
  });
}

void GradientsEmitter::emitQueryConsumer(const QueryBlock &block) {
  SmallVector<Expr> shift, deltas; // Of the thread's rows.
  for (int64_t half = 0; half < 2; ++half) {
    Expr exists = block.exists(half), value = b.loadOrZero(lse, block.getIndex(half), exists);
    shift.push_back(select(exists, value * -std::numbers::log2e, b.real(kLowest)));
    deltas.push_back(b.loadOrZero(delta, block.getIndex(half), exists));
  }
  b.wait(ownFull, b.i32(0));
  auto emitStep = [&](Expr counter, ArrayRef<Expr> sums) -> SmallVector<Expr> {
    Expr step = counter.toI32();
    Expr key = b.opaque(keys.address(step)), value = b.opaque(values.address(step));
    b.waitFull(keys, step);
    b.fenceMatmuls();
    Value products = b.multiplyRows(part(first), kBlockRows, key, kBlockRows);
    b.waitFull(values, step);
    b.fenceMatmuls();
    Value weightProducts = b.multiplyRows(part(second), kBlockRows, value, kBlockRows);

    SmallVector<Expr> weights = b.unpack(b.waitForMatmuls(1, products).front());
    weights =
        b.changeIf(block.needsMask(step), weights, [&](ArrayRef<Expr> scores) { return block.mask(scores, step); });
    for (auto [i, weight] : llvm::enumerate(weights))
      weight = b.exp2Fast(fma(weight, b.real(b.scoreScale), shift[b.getHalf(i)]));
    weights = b.computeBefore(weights, values, step);

    SmallVector<Expr> scores = b.unpack(b.waitForMatmuls(0, weightProducts).front());
    b.release(values, step);
    for (auto [i, score] : llvm::enumerate(scores))
      score = weights[i] * (score - deltas[b.getHalf(i)]);
    Value next = b.addWeightedRows(b.fenceMatmuls(Value(sums[0])), b.packWeights(scores), key, kBlockRows);
    next = b.waitForMatmuls(0, next).front();
    b.release(keys, step);
    return {b.wrap(next)};
  };
  SmallVector<Expr> sums = b.loop(b.index(0), block.steps.toIndex(), 1, {b.wrap(b.noSums())}, emitStep);
  Expr scale = b.real(b.shape.getScale());
  b.storeRows(sums[0], {scale, scale}, queryGradientMap, block.getConsumerQueries(), part(first), kBlockRows);
}

LaunchShape emitWarpgroupAttentionGradients(moe_kernel::AttentionGradientsOp op, EmitterContext &context) {
  return GradientsEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda
