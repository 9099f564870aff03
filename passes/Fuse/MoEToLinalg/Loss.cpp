//===- Loss.cpp - Cross entropy --------------------------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/MoEToLinalg/CrossEntropy.h"

#include <limits>

namespace mlir::moe {

TokenLosses buildTokenLosses(RowsBuilder &b, const LabelledLogits &tokens) {
  Value logits = tokens.logits;
  Type type = getElementTypeOrSelf(tokens.weights);
  ArrayRef<int64_t> extents = shapeOf(logits);
  int64_t count = extents[0];
  Value targets = b.reshape(tokens.targets, {count}), weights = b.reshape(tokens.weights, {count});

  RowsBuilder::Output highest{type, {0}, -std::numeric_limits<double>::infinity()}, perToken{type, {0}};
  Value max = b.compute(extents, {{logits, {0, 1}}}, highest,
                        [&](ValueRange v) -> Value { return arith::MaximumFOp::create(b, v[1], v[0]); });
  Value sum = b.compute(extents, {{logits, {0, 1}}, {max, {0}}}, perToken,
                        [&](ValueRange v) { return b.add(v[2], b.exp(b.sub(v[0], v[1]))); });
  Value lse =
      b.compute({count}, {{max, {0}}, {sum, {0}}}, perToken, [&](ValueRange v) { return b.add(v[0], b.log(v[1])); });
  Value losses = b.compute({count}, {{targets, {0}}, {weights, {0}}, {lse, {0}}}, perToken, [&](ValueRange v) {
    Value chosen = b.extract(logits, {b.loop(0), b.toIndex(v[0])});
    return b.mul(v[1], b.sub(v[2], chosen));
  });
  return {losses, lse};
}

Value buildLogitsGradient(RowsBuilder &b, const LabelledLogits &tokens, Value lse, Value lossGradient,
                          Type elementType) {
  Value logits = tokens.logits;
  Type type = getElementTypeOrSelf(lse);
  int64_t count = shapeOf(logits)[0];
  Value targets = b.reshape(tokens.targets, {count}), weights = b.reshape(tokens.weights, {count});
  return b.compute(shapeOf(logits), {{logits, {0, 1}}, {targets, {0}}, {weights, {0}}, {lse, {0}}, {lossGradient, {}}},
                   {elementType, {0, 1}}, [&](ValueRange v) {
                     Value isTarget = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.loop(1), b.toIndex(v[1]));
                     Value oneHot = arith::SelectOp::create(b, isTarget, b.constant(type, 1.0), b.constant(type, 0.0));
                     Value probability = b.exp(b.sub(v[0], v[3]));
                     return b.mul(b.mul(v[4], v[2]), b.sub(probability, oneHot));
                   });
}

static SmallVector<Value> lowerCrossEntropy(CrossEntropyOp op, RowsBuilder &b) {
  TokenLosses tokens = buildTokenLosses(b, {op.getLogits(), op.getTargets(), op.getWeights()});
  b.setLabel("sum");
  return {b.sumVector(tokens.losses), tokens.lse};
}

static SmallVector<Value> lowerCrossEntropyBackward(CrossEntropyBackwardOp op, RowsBuilder &b) {
  return {buildLogitsGradient(b, {op.getLogits(), op.getTargets(), op.getWeights()}, op.getLse(), op.getLossGradient(),
                              getElementTypeOrSelf(op.getLogits()))};
}

void populateLossLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerCrossEntropy);
  addLowering(patterns, lowerCrossEntropyBackward);
}

} // namespace mlir::moe
