//===- EmitAttention.cpp - Attention of bf16 for sm_90a ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// arXiv:2407.08608, algorithm 2: the scores of the next keys are formed while the softmax of these is computed. Keys
/// are taken from the diagonal back, so that every query sees one of the first keys, and only those hold keys that come
/// after a query.
///
/// ```
/// S = Q Kᵀ of the diagonal, masked; m, l, P = softmax S; O = 0
/// for keys back from the diagonal:
///   start S = Q Kᵀ;  O = O · factor;  start O += P V
///   when S is there: m, l, P, factor = softmax S, continued
/// O = O · factor + P V;  O / l
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/Hopper/QueryBlock.h"

#include <numbers>

namespace mlir::moe::cuda {
namespace {

class AttentionEmitter {
public:
  AttentionEmitter(moe_kernel::AttentionOp op, EmitterContext &context);
  LaunchShape emit();

private:
  /// Of the two rows of a thread: the largest score, the sum of weights (of this thread's columns) relative to it, and
  /// what sums up to the last keys have to be multiplied by.
  struct Softmax {
    SmallVector<Expr> rowMax, rowSum, factor;
  };
  /// Turns scores into weights. Without `old`, these are the first.
  Softmax continueSoftmax(const Softmax *old, SmallVector<Expr> &scores);
  Value rescale(Value sums, ArrayRef<Expr> factor);

  void emitProducer();
  void emitConsumer();

  AttentionBuilder b;
  QueryBlock block;
  Value queryMap, keyMap, valueMap, resultMap, lse;
  Expr query;     ///< 128 rows in shared memory.
  Expr queryFull; ///< Their barrier.
  Ring keys, values;
};

} // namespace

AttentionEmitter::AttentionEmitter(moe_kernel::AttentionOp op, EmitterContext &context)
    : b(context, op), block(b, b.block.toI32(), b.optionalOperand(op.getPositions())) {
  const AttentionShape &shape = b.shape;
  queryMap = b.headMap(context.lookup(op.getQuery()), shape.heads, kBlockRows);
  keyMap = b.headMap(context.lookup(op.getKey()), shape.keyHeads, kBlockRows);
  valueMap = b.headMap(context.lookup(op.getValue()), shape.keyHeads, kBlockRows);
  resultMap = b.headMap(context.results[0], shape.heads, kWarpgroupRows);
  lse = b.result(op.getLse());

  constexpr int64_t kSlots = 2;
  int64_t bytes = b.getBytes(kBlockRows);
  query = b.allocateBytes(bytes);
  keys = b.allocateRing(kSlots, bytes);
  values = b.allocateRing(kSlots, bytes);
  queryFull = b.allocateBarriers(1);
}

LaunchShape AttentionEmitter::emit() {
  b.ifThen(b.thread == 0, [&] {
    b.initBarrier(queryFull, 1);
    b.initRing(keys);
    b.initRing(values);
  });
  b.publishBarriers();
  b.ifThenElse(
      b.warpgroup == 0, [&] { emitProducer(); }, [&] { emitConsumer(); });

  // Two matmuls over the scores at and below the diagonal.
  int64_t scores = b.sequences * b.shape.heads * b.shape.queries * (b.shape.queries + 1) / 2;
  return {{QueryBlock::getCount(b), 1, 1}, {kAttentionThreads, 1, 1}, 4 * scores * b.shape.headDim};
}

void AttentionEmitter::emitProducer() {
  b.setRegisters(kProducerRegisters, /*increase=*/false);
  b.ifThen(b.warp == 0, [&] {
    b.ifThen(b.elect(), [&] {
      b.arriveExpecting(queryFull, b.i32(b.getBytes(kBlockRows)));
      b.loadRows(queryMap, block.getQueries(), kBlockRows, query, queryFull);
      b.loop(b.index(0), block.steps.toIndex(), 1, [&](Expr counter) {
        Expr step = counter.toI32();
        b.fill(keys, step, keyMap, block.getKeys(step), kBlockRows);
        b.fill(values, step, valueMap, block.getKeys(step), kBlockRows);
      });
    });
  });
}

AttentionEmitter::Softmax AttentionEmitter::continueSoftmax(const Softmax *old, SmallVector<Expr> &scores) {
  constexpr int64_t kChains = 4; // Independent maxima and sums, that are combined at the end.
  Softmax next;
  auto combine = [&](ArrayRef<Expr> chains, function_ref<Expr(Expr, Expr)> with) {
    return with(with(chains[0], chains[1]), with(chains[2], chains[3]));
  };
  auto larger = [&](Expr lhs, Expr rhs) { return b.larger(lhs, rhs); };
  auto add = [](Expr lhs, Expr rhs) { return lhs + rhs; };
  for (int64_t half = 0; half < 2; ++half) {
    SmallVector<Expr *> row;
    for (auto [i, score] : llvm::enumerate(scores))
      if (b.getHalf(i) == half)
        row.push_back(&score);
    SmallVector<Expr> chains;
    for (auto [i, score] : llvm::enumerate(row))
      i < kChains ? chains.push_back(*score) : (void)(chains[i % kChains] = b.larger(chains[i % kChains], *score));
    Expr rowMax = b.reduceLanes(combine(chains, larger), 4, larger);
    if (old)
      rowMax = b.larger(rowMax, old->rowMax[half]);

    Expr shift = rowMax * -b.scoreScale;
    SmallVector<Expr> sums;
    for (auto [i, score] : llvm::enumerate(row)) {
      *score = b.exp2Fast(fma(*score, b.real(b.scoreScale), shift));
      i < kChains ? sums.push_back(*score) : (void)(sums[i % kChains] = sums[i % kChains] + *score);
    }
    Expr rowSum = combine(sums, add), factor = b.real(1);
    if (old) {
      factor = b.exp2Fast((old->rowMax[half] - rowMax) * b.scoreScale);
      rowSum = fma(old->rowSum[half], factor, rowSum);
    }
    next.rowMax.push_back(rowMax);
    next.rowSum.push_back(rowSum);
    next.factor.push_back(factor);
  }
  return next;
}

Value AttentionEmitter::rescale(Value sums, ArrayRef<Expr> factor) {
  SmallVector<Expr> values = b.unpack(sums);
  for (auto [i, value] : llvm::enumerate(values))
    value = value * factor[b.getHalf(i)];
  return b.pack(values);
}

void AttentionEmitter::emitConsumer() {
  b.setRegisters(kConsumerRegisters, /*increase=*/true);
  Expr queryPart = query + b.consumer * (kWarpgroupRows * kSwizzleBytes);
  auto multiply = [&](Expr step) {
    b.waitFull(keys, step);
    b.fenceMatmuls();
    return b.multiplyRows(queryPart, kBlockRows, keys.address(step), kBlockRows);
  };
  auto addValues = [&](Value sums, ArrayRef<Expr> weights, Expr step) {
    b.waitFull(values, step);
    return b.addWeightedRows(b.fenceMatmuls(sums), weights, values.address(step), kBlockRows);
  };

  b.wait(queryFull, b.i32(0));
  Expr zero = b.i32(0);
  SmallVector<Expr> scores = b.unpack(b.waitForMatmuls(0, multiply(zero)).front());
  b.release(keys, zero);
  scores = block.mask(scores, zero);
  Softmax softmax = continueSoftmax(nullptr, scores);
  SmallVector<Expr> weights = b.packWeights(scores);

  auto carry = [&](Value sums, ArrayRef<Expr> weights, const Softmax &softmax) {
    SmallVector<Expr> carried{b.wrap(sums)};
    for (ArrayRef<Expr> part :
         {weights, ArrayRef<Expr>(softmax.rowMax), ArrayRef<Expr>(softmax.rowSum), ArrayRef<Expr>(softmax.factor)})
      llvm::append_range(carried, part);
    return carried;
  };
  auto uncarry = [&](ArrayRef<Expr> carried) {
    ArrayRef<Expr> tail = carried.take_back(6);
    weights.assign(carried.begin() + 1, carried.end() - 6);
    softmax = {SmallVector<Expr>(tail.take_front(2)), SmallVector<Expr>(tail.slice(2, 2)),
               SmallVector<Expr>(tail.take_back(2))};
    return Value(carried[0]);
  };
  auto emitStep = [&](Expr counter, ArrayRef<Expr> carried) {
    Value sums = uncarry(carried);
    Expr step = counter.toI32();
    Value products = multiply(step);
    sums = addValues(rescale(sums, softmax.factor), weights, step - 1);
    SmallVector<Expr> scores = b.unpack(b.waitForMatmuls(1, products).front());
    b.release(keys, step);
    if (block.hasPositions)
      scores =
          b.changeIf(block.needsMask(step), scores, [&](ArrayRef<Expr> scores) { return block.mask(scores, step); });
    Softmax next = continueSoftmax(&softmax, scores);
    scores = b.computeBefore(scores, values, step - 1);
    sums = b.waitForMatmuls(0, sums).front();
    b.release(values, step - 1);
    return carry(sums, b.packWeights(scores), next);
  };
  Value sums = uncarry(b.loop(b.index(1), block.steps.toIndex(), 1, carry(b.noSums(), weights, softmax), emitStep));
  sums = addValues(rescale(sums, softmax.factor), weights, block.steps - 1);

  SmallVector<Expr> inverse;
  for (int64_t half = 0; half < 2; ++half) {
    Expr rowSum = b.sumLanes(softmax.rowSum[half], 4);
    inverse.push_back(1 / rowSum);
    b.ifThen(both(b.fragmentColumn == 0, block.exists(half)), [&] {
      Expr value = fma(softmax.rowMax[half], b.real(b.scoreScale), b.log2Fast(rowSum)) * std::numbers::ln2;
      b.store(value, lse, block.getIndex(half));
    });
  }
  sums = b.waitForMatmuls(0, sums).front();
  b.storeRows(sums, inverse, resultMap, block.getConsumerQueries(), queryPart, kBlockRows);
}

LaunchShape emitWarpgroupAttention(moe_kernel::AttentionOp op, EmitterContext &context) {
  return AttentionEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda
