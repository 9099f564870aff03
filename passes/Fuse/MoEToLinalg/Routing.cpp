//===- Routing.cpp - Dispatch, combine, scores and balance ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

#include <limits>

namespace mlir::moe {

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

static SmallVector<Value> lowerRouterScores(RouterScoresOp op, RowsBuilder &b) {
  Value logits = op.getLogits();
  Type type = getElementTypeOrSelf(logits);
  ArrayRef<int64_t> extents = shapeOf(logits);
  RowsBuilder::Output all{type, {0, 1}}, perRow{type, {0}};
  if (op.getScoringFunc() == ScoringFunc::sigmoid)
    return {b.compute(extents, {{logits, {0, 1}}}, all, [&](ValueRange v) { return b.sigmoid(v[0]); })};

  RowsBuilder::Output highest{type, {0}, -std::numeric_limits<double>::infinity()};
  Value max = b.compute(extents, {{logits, {0, 1}}}, highest,
                        [&](ValueRange v) -> Value { return arith::MaximumFOp::create(b, v[1], v[0]); });
  Value exps =
      b.compute(extents, {{logits, {0, 1}}, {max, {0}}}, all, [&](ValueRange v) { return b.exp(b.sub(v[0], v[1])); });
  Value sum = b.compute(extents, {{exps, {0, 1}}}, perRow, [&](ValueRange v) { return b.add(v[1], v[0]); });
  return {b.compute(extents, {{exps, {0, 1}}, {sum, {0}}}, all, [&](ValueRange v) { return b.div(v[0], v[1]); })};
}

static SmallVector<Value> lowerRouterScoresBackward(RouterScoresBackwardOp op, RowsBuilder &b) {
  Value scores = op.getScores(), gradient = op.getScoresGradient();
  Type type = getElementTypeOrSelf(scores);
  ArrayRef<int64_t> extents = shapeOf(scores);
  RowsBuilder::Input s{scores, {0, 1}}, d{gradient, {0, 1}};
  RowsBuilder::Output all{type, {0, 1}};
  if (op.getScoringFunc() == ScoringFunc::sigmoid)
    return {b.compute(extents, {s, d}, all,
                      [&](ValueRange v) { return b.mul(v[1], b.mul(v[0], b.sub(b.constant(type, 1.0), v[0]))); })};
  Value dot = b.compute(extents, {s, d}, {type, {0}}, [&](ValueRange v) { return b.add(v[2], b.mul(v[0], v[1])); });
  return {b.compute(extents, {s, d, {dot, {0}}}, all, [&](ValueRange v) { return b.mul(v[0], b.sub(v[1], v[2])); })};
}

//===----------------------------------------------------------------------===//
// Dispatch and combine
//===----------------------------------------------------------------------===//

static SmallVector<Value> lowerDispatch(DispatchOp op, RowsBuilder &b) {
  Value input = op.getInput(), weights = op.getWeights();
  int64_t topK = shapeOf(op.getInverse())[1];
  if (weights)
    weights = b.reshape(weights, {numElements(weights)});
  else
    b.setLabel("dispatch_unweighted");
  return {b.compute(shapeOf(op.getResult()), {{op.getPermutation(), {0}}}, {getElementTypeOrSelf(input), {0, 1}},
                    [&](ValueRange v) -> Value {
                      Value entry = b.toIndex(v[0]);
                      Value token = arith::DivUIOp::create(b, entry, b.index(topK));
                      Value element = b.extract(input, {token, b.loop(1)});
                      return weights ? b.mul(b.extract(weights, entry), element) : element;
                    })};
}

static SmallVector<Value> lowerCombine(CombineOp op, RowsBuilder &b) {
  Value rows = op.getRows(), inverse = op.getInverse();
  SmallVector<RowsBuilder::Input> inputs{{inverse, {0, 1}}};
  if (Value weights = op.getWeights())
    inputs.push_back({weights, {0, 1}});
  else
    b.setLabel("combine_unweighted");
  return {b.compute({shapeOf(inverse)[0], shapeOf(inverse)[1], shapeOf(rows)[1]}, inputs,
                    {getElementTypeOrSelf(rows), {0, 2}}, [&](ValueRange v) {
                      Value element = b.extract(rows, {b.toIndex(v[0]), b.loop(2)});
                      return b.add(v.back(), op.getWeights() ? b.mul(v[1], element) : element);
                    })};
}

static SmallVector<Value> lowerRoutedDot(RoutedDotOp op, RowsBuilder &b) {
  Value rows = op.getRows(), inverse = op.getInverse();
  return {b.compute({shapeOf(inverse)[0], shapeOf(inverse)[1], shapeOf(rows)[1]},
                    {{op.getTokens(), {0, 2}}, {inverse, {0, 1}}}, {getElementTypeOrSelf(op.getResult()), {0, 1}},
                    [&](ValueRange v) {
                      Value element = b.extract(rows, {b.toIndex(v[1]), b.loop(2)});
                      return b.add(v[2], b.mul(v[0], element));
                    })};
}

//===----------------------------------------------------------------------===//
// Load and balance
//===----------------------------------------------------------------------===//

static SmallVector<Value> lowerExpertLoad(ExpertLoadOp op, RowsBuilder &b) {
  Value offsets = op.getOffsets();
  return {b.compute(shapeOf(op.getLoad()), {}, {b.getI32Type(), {0}}, [&](ValueRange) -> Value {
    Value expert = b.loop(0), next = arith::AddIOp::create(b, expert, b.index(1));
    return arith::SubIOp::create(b, b.extract(offsets, next), b.extract(offsets, expert));
  })};
}

namespace {
/// What the balance loss needs of each token t: with L = Σ_e load_e (T·K, added up because K is known only to the
/// loads), the share q_t = Σ_e load_e·s_te / Σ_e s_te and the scale α·E / (T·L).
struct BalanceTerms {
  Value scoreSum, share, scale;
};
} // namespace

static BalanceTerms buildBalanceTerms(Value scores, Value load, const APFloat &alpha, RowsBuilder &b) {
  Type type = getElementTypeOrSelf(scores);
  ArrayRef<int64_t> extents = shapeOf(scores);
  int64_t tokens = extents[0], experts = extents[1];
  RowsBuilder::Output perToken{type, {0}};
  Value scoreSum = b.compute(extents, {{scores, {0, 1}}}, perToken, [&](ValueRange v) { return b.add(v[1], v[0]); });
  Value loaded = b.compute(extents, {{scores, {0, 1}}, {load, {1}}}, perToken, [&](ValueRange v) {
    return b.add(v[2], b.mul(v[0], arith::SIToFPOp::create(b, type, v[1])));
  });
  Value rows = b.compute(extents, {{load, {1}}}, {b.getI32Type(), {0}},
                         [&](ValueRange v) -> Value { return arith::AddIOp::create(b, v[1], v[0]); });
  Value share =
      b.compute({tokens}, {{loaded, {0}}, {scoreSum, {0}}}, perToken, [&](ValueRange v) { return b.div(v[0], v[1]); });
  Value scale = b.compute({tokens}, {{rows, {0}}}, perToken, [&](ValueRange v) {
    Value numerator = b.constant(type, alpha.convertToDouble() * experts / tokens);
    return b.div(numerator, arith::SIToFPOp::create(b, type, v[0]));
  });
  return {scoreSum, share, scale};
}

/// Σ_t scale · q_t.
static SmallVector<Value> lowerBalanceLoss(BalanceLossOp op, RowsBuilder &b) {
  Value scores = op.getScores();
  auto [scoreSum, share, scale] = buildBalanceTerms(scores, op.getLoad(), op.getAlpha(), b);
  Value parts = b.compute({shapeOf(scores)[0]}, {{share, {0}}, {scale, {0}}}, {getElementTypeOrSelf(scores), {0}},
                          [&](ValueRange v) { return b.mul(v[0], v[1]); });
  b.setLabel("sum");
  return {b.sumVector(parts)};
}

/// d s_te = gradient · scale · (load_e − q_t) / Σ_e s_te.
static SmallVector<Value> lowerBalanceLossBackward(BalanceLossBackwardOp op, RowsBuilder &b) {
  Value scores = op.getScores(), load = op.getLoad();
  Type type = getElementTypeOrSelf(scores);
  auto [scoreSum, share, scale] = buildBalanceTerms(scores, load, op.getAlpha(), b);
  Value slope = b.compute({shapeOf(scores)[0]}, {{op.getLossGradient(), {}}, {scale, {0}}, {scoreSum, {0}}},
                          {type, {0}}, [&](ValueRange v) { return b.div(b.mul(v[0], v[1]), v[2]); });
  return {b.compute(shapeOf(scores), {{load, {1}}, {share, {0}}, {slope, {0}}}, {type, {0, 1}},
                    [&](ValueRange v) { return b.mul(v[2], b.sub(arith::SIToFPOp::create(b, type, v[0]), v[1])); })};
}

/// The comparison with the mean is exact: load_e · E against Σ load.
static SmallVector<Value> lowerUpdateSelectionBias(UpdateSelectionBiasOp op, RowsBuilder &b) {
  Value bias = op.getBias();
  Type type = getElementTypeOrSelf(bias);
  int64_t experts = shapeOf(bias)[0];
  Value load = b.reshape(op.getLoad(), {1, experts});
  Value total = b.compute({1, experts}, {{load, {0, 1}}}, {b.getI32Type(), {0}},
                          [&](ValueRange v) -> Value { return arith::AddIOp::create(b, v[1], v[0]); });
  SmallVector<RowsBuilder::Input> inputs = {{b.reshape(bias, {1, experts}), {0, 1}}, {load, {0, 1}}, {total, {0}}};
  if (Value norm = op.getGradNorm())
    inputs.push_back({norm, {}});
  auto result = b.generic(
      {1, experts}, inputs, RowsBuilder::Output{type, {0, 1}}, [&](ValueRange v) -> SmallVector<Value> {
        double rate = op.getRate().convertToDouble();
        Value scaled = arith::MulIOp::create(b, v[1], b.constant(b.getI32Type(), experts));
        Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, scaled, v[2]);
        Value above = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, scaled, v[2]);
        Value down = b.select(above, b.constant(type, -rate), b.constant(type, 0.0));
        Value moved = b.add(v[0], b.select(below, b.constant(type, rate), down));
        return {op.getGradNorm() ? b.select(b.isFiniteNorm(v[3]), moved, v[0]) : moved};
      });
  result->setAttr(kInPlaceAttrName, b.getDenseI64ArrayAttr({0}));
  return {b.toModelShape(result.getResult(0), {experts})};
}

void populateRoutingLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerRouterScores);
  addLowering(patterns, lowerRouterScoresBackward);
  addLowering(patterns, lowerDispatch);
  addLowering(patterns, lowerCombine);
  addLowering(patterns, lowerRoutedDot);
  addLowering(patterns, lowerExpertLoad);
  addLowering(patterns, lowerBalanceLoss);
  addLowering(patterns, lowerBalanceLossBackward);
  addLowering(patterns, lowerUpdateSelectionBias);
}

} // namespace mlir::moe
