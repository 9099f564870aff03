//===- Elementwise.cpp - Elementwise ops, sums and activations --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

namespace mlir::moe {

/// Elementwise ops work on rows of any rank; a scalar is one row of one element.
static SmallVector<int64_t> elementwiseExtents(Value value) {
  SmallVector<int64_t> extents(shapeOf(value));
  if (extents.empty())
    extents.push_back(1);
  return extents;
}

static SmallVector<Value> lowerElementwise(Operation *op, RowsBuilder &b,
                                           function_ref<Value(ValueRange elements)> compute) {
  Value result = op->getResult(0);
  SmallVector<int64_t> extents = elementwiseExtents(result);
  SmallVector<unsigned> loops = llvm::to_vector(llvm::seq<unsigned>(0, extents.size()));
  SmallVector<RowsBuilder::Input> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back({b.reshape(operand, extents), loops});
  Value rows = b.compute(extents, inputs, {getElementTypeOrSelf(result), loops}, compute);
  return {b.toModelShape(rows, shapeOf(result))};
}

static SmallVector<Value> lowerAdd(AddOp op, RowsBuilder &b) {
  return lowerElementwise(op, b, [&](ValueRange v) { return b.add(v[0], v[1]); });
}
static SmallVector<Value> lowerMultiply(MultiplyOp op, RowsBuilder &b) {
  return lowerElementwise(op, b, [&](ValueRange v) { return b.mul(v[0], v[1]); });
}
static SmallVector<Value> lowerDivide(DivideOp op, RowsBuilder &b) {
  return lowerElementwise(op, b, [&](ValueRange v) { return b.div(v[0], v[1]); });
}
static SmallVector<Value> lowerNegate(NegateOp op, RowsBuilder &b) {
  return lowerElementwise(op, b, [&](ValueRange v) { return b.neg(v[0]); });
}

static SmallVector<Value> lowerCast(CastOp op, RowsBuilder &b) {
  Type type = getElementTypeOrSelf(op.getResult());
  return lowerElementwise(op, b, [&](ValueRange v) -> Value {
    if (v[0].getType().getIntOrFloatBitWidth() < type.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, type, v[0]);
    return v[0]; // What is computed is rounded.
  });
}

static SmallVector<Value> lowerBroadcast(BroadcastOp op, RowsBuilder &b) {
  Value result = op.getResult();
  SmallVector<int64_t> extents = elementwiseExtents(result);
  SmallVector<unsigned> loops = llvm::to_vector(llvm::seq<unsigned>(0, extents.size()));
  Value rows = b.compute(extents, {{op.getInput(), {}}}, {getElementTypeOrSelf(result), loops},
                         [&](ValueRange v) { return v[0]; });
  return {b.toModelShape(rows, shapeOf(result))};
}

/// Rows in parallel, then the rows' sums in order.
static SmallVector<Value> lowerSum(SumOp op, RowsBuilder &b) {
  Value input = op.getInput();
  if (shapeOf(input).empty())
    return {input};
  Type type = b.computeType(getElementTypeOrSelf(input));
  if (shapeOf(input).size() > 1) {
    int64_t rows = shapeOf(input)[0], columns = numElements(input) / rows;
    input = b.compute({rows, columns}, {{b.reshape(input, {rows, columns}), {0, 1}}}, {type, {0}},
                      [&](ValueRange v) { return b.add(v[1], v[0]); });
  }
  return {b.sumVector(input)};
}

/// Gate and up columns as the two halves [R, 2, n] of a row.
static Value splitGateAndUp(Value input, RowsBuilder &b) {
  return b.reshape(input, {shapeOf(input)[0], 2, shapeOf(input)[1] / 2});
}

static SmallVector<Value> lowerGatedActivation(GatedActivationOp op, RowsBuilder &b) {
  Value halves = splitGateAndUp(op.getInput(), b);
  Value result = op.getResult();
  return {b.compute(shapeOf(result), {}, {getElementTypeOrSelf(result), {0, 1}}, [&](ValueRange) {
    Value row = b.loop(0), column = b.loop(1);
    Value gate = b.extract(halves, {row, b.index(0), column}), up = b.extract(halves, {row, b.index(1), column});
    return b.swiglu(gate, up);
  })};
}

static SmallVector<Value> lowerGatedActivationBackward(GatedActivationBackwardOp op, RowsBuilder &b) {
  Value halves = splitGateAndUp(op.getInput(), b);
  Value gradient = b.compute(
      shapeOf(halves), {{op.getResultGradient(), {0, 2}}}, {getElementTypeOrSelf(halves), {0, 1, 2}},
      [&](ValueRange v) -> Value {
        Value row = b.loop(0), half = b.loop(1), column = b.loop(2);
        Value gate = b.extract(halves, {row, b.index(0), column}), up = b.extract(halves, {row, b.index(1), column});
        auto [gateGradient, upGradient] = b.swigluBackward(gate, up, v[0]);
        Value isGate = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, half, b.index(0));
        return arith::SelectOp::create(b, isGate, gateGradient, upGradient);
      });
  return {b.toModelShape(gradient, shapeOf(op.getInput()))};
}

/// The weight of the row whose entry of a plan's permutation is `entry`.
static Value extractRowWeight(Value weights, Value entry, RowsBuilder &b) {
  return b.extract(weights, b.toIndex(entry));
}

static SmallVector<Value> lowerWeightedGatedActivation(WeightedGatedActivationOp op, RowsBuilder &b) {
  Value halves = splitGateAndUp(op.getInput(), b);
  Value weights = b.reshape(op.getWeights(), {numElements(op.getWeights())});
  Value result = op.getResult();
  return {b.compute(shapeOf(result), {{op.getPermutation(), {0}}}, {getElementTypeOrSelf(result), {0, 1}},
                    [&](ValueRange v) {
                      Value row = b.loop(0), column = b.loop(1);
                      Value gate = b.extract(halves, {row, b.index(0), column});
                      Value up = b.extract(halves, {row, b.index(1), column});
                      return b.mul(extractRowWeight(weights, v[0], b), b.swiglu(gate, up));
                    })};
}

/// One kernel over rows, and one that puts the weights' gradients in the order of the tokens.
static SmallVector<Value> lowerWeightedGatedActivationBackward(WeightedGatedActivationBackwardOp op, RowsBuilder &b) {
  Value halves = splitGateAndUp(op.getInput(), b);
  Value weights = b.reshape(op.getWeights(), {numElements(op.getWeights())});
  Value result = op.getResult();
  Type type = getElementTypeOrSelf(result), weightType = getElementTypeOrSelf(weights);
  RowsBuilder::Input permutation{op.getPermutation(), {0}};
  auto gateAndUp = [&](Value column) {
    Value row = b.loop(0);
    return std::pair(b.extract(halves, {row, b.index(0), column}), b.extract(halves, {row, b.index(1), column}));
  };
  auto together = DistinctAttr::create(b.getUnitAttr());
  auto inOneKernel = [&](Value rows) {
    rows.getDefiningOp()->setAttr(kKernelAttrName, together);
    return rows;
  };

  Value dots =
      inOneKernel(b.compute(shapeOf(result), {{op.getResultGradient(), {0, 1}}}, {weightType, {0}}, [&](ValueRange v) {
        auto [gate, up] = gateAndUp(b.loop(1));
        return b.add(v[1], b.mul(v[0], b.swiglu(gate, up)));
      }));
  Value weighted = inOneKernel(b.compute(shapeOf(result), {permutation}, {type, {0, 1}}, [&](ValueRange v) {
    auto [gate, up] = gateAndUp(b.loop(1));
    return b.mul(extractRowWeight(weights, v[0], b), b.swiglu(gate, up));
  }));
  Value gradient = inOneKernel(b.compute(
      shapeOf(halves), {permutation, {op.getResultGradient(), {0, 2}}}, {type, {0, 1, 2}}, [&](ValueRange v) -> Value {
        auto [gate, up] = gateAndUp(b.loop(2));
        Value activationGradient = b.mul(extractRowWeight(weights, v[0], b), v[1]);
        auto [gateGradient, upGradient] = b.swigluBackward(gate, up, activationGradient);
        Value isGate = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.loop(1), b.index(0));
        return arith::SelectOp::create(b, isGate, gateGradient, upGradient);
      }));
  b.setLabel("weights_gradient");
  Value weightsGradient = b.compute(shapeOf(op.getInverse()), {{op.getInverse(), {0, 1}}}, {weightType, {0, 1}},
                                    [&](ValueRange v) { return b.extract(dots, b.toIndex(v[0])); });
  return {weighted, b.toModelShape(gradient, shapeOf(op.getInput())), weightsGradient};
}

void populateElementwiseLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerAdd);
  addLowering(patterns, lowerMultiply);
  addLowering(patterns, lowerDivide);
  addLowering(patterns, lowerNegate);
  addLowering(patterns, lowerCast);
  addLowering(patterns, lowerBroadcast);
  addLowering(patterns, lowerSum);
  addLowering(patterns, lowerGatedActivation);
  addLowering(patterns, lowerGatedActivationBackward);
  addLowering(patterns, lowerWeightedGatedActivation);
  addLowering(patterns, lowerWeightedGatedActivationBackward);
}

} // namespace mlir::moe
