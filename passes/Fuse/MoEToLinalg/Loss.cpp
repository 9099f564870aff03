//===- Loss.cpp - Cross entropy ---------------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

#include <limits>

namespace mlir::moe {

/// Per token max, Σ exp, lse and weighted loss; then the tokens' losses in order.
static SmallVector<Value> lowerCrossEntropy(CrossEntropyOp op, RowsBuilder &b) {
  Value logits = op.getLogits();
  Type type = getElementTypeOrSelf(op.getLse());
  ArrayRef<int64_t> extents = shapeOf(logits);
  int64_t tokens = extents[0];
  Value targets = b.reshape(op.getTargets(), {tokens}), weights = b.reshape(op.getWeights(), {tokens});

  RowsBuilder::Output highest{type, {0}, -std::numeric_limits<double>::infinity()}, perToken{type, {0}};
  Value max = b.compute(extents, {{logits, {0, 1}}}, highest,
                        [&](ValueRange v) -> Value { return arith::MaximumFOp::create(b, v[1], v[0]); });
  Value sum = b.compute(extents, {{logits, {0, 1}}, {max, {0}}}, perToken,
                        [&](ValueRange v) { return b.add(v[2], b.exp(b.sub(v[0], v[1]))); });
  Value lse =
      b.compute({tokens}, {{max, {0}}, {sum, {0}}}, perToken, [&](ValueRange v) { return b.add(v[0], b.log(v[1])); });
  Value losses = b.compute({tokens}, {{targets, {0}}, {weights, {0}}, {lse, {0}}}, perToken, [&](ValueRange v) {
    Value chosen = b.extract(logits, {b.loop(0), b.toIndex(v[0])});
    return b.mul(v[1], b.sub(v[2], chosen));
  });
  b.setLabel("sum");
  return {b.sumVector(losses), lse};
}

/// gradient · weight · (softmax − one-hot target).
static SmallVector<Value> lowerCrossEntropyBackward(CrossEntropyBackwardOp op, RowsBuilder &b) {
  Value logits = op.getLogits();
  Type type = getElementTypeOrSelf(logits), computed = b.computeType(type);
  int64_t tokens = shapeOf(logits)[0];
  Value targets = b.reshape(op.getTargets(), {tokens}), weights = b.reshape(op.getWeights(), {tokens});
  return {b.compute(shapeOf(logits),
                    {{logits, {0, 1}}, {targets, {0}}, {weights, {0}}, {op.getLse(), {0}}, {op.getLossGradient(), {}}},
                    {type, {0, 1}}, [&](ValueRange v) {
                      Value isTarget = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.loop(1), b.toIndex(v[1]));
                      Value oneHot = arith::SelectOp::create(b, isTarget, b.constant(computed, 1.0),
                                                             b.constant(computed, 0.0));
                      Value probability = b.exp(b.sub(v[0], v[3]));
                      return b.mul(b.mul(v[4], v[2]), b.sub(probability, oneHot));
                    })};
}

void populateLossLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerCrossEntropy);
  addLowering(patterns, lowerCrossEntropyBackward);
}

} // namespace mlir::moe
