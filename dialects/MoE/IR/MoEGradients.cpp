//===- MoEGradients.cpp - Gradient rules ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// For a loss L, `g` below is ∂L/∂result and each rule returns ∂L/∂operand for its operands. What a rule does not set
/// has no gradient; `moe-differentiate` refuses a program in which such an operand depends on a parameter.
///
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// What a rule is given and what it sets.
using Gradients = MutableArrayRef<Value>;
} // namespace

/// Refuses a gradient for the result `index`, a by-product that only the backward pass is meant to read.
static LogicalResult refuseGradientOfResult(Operation *op, ValueRange resultGradients, unsigned index, StringRef name) {
  if (!resultGradients[index])
    return success();
  return op->emitOpError() << "has no gradient for its result '" << name
                           << "', on which the loss depends; only the backward pass may use it";
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult AddOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] = operandGradients[1] = resultGradients[0];
  return success();
}

LogicalResult MultiplyOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  Value g = resultGradients[0];
  operandGradients[0] = MultiplyOp::create(builder, getLoc(), g, getRhs());
  operandGradients[1] = MultiplyOp::create(builder, getLoc(), g, getLhs());
  return success();
}

// ∂(a/b)/∂b = −(a/b)/b.
LogicalResult DivideOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  Value lhsGradient = DivideOp::create(builder, getLoc(), resultGradients[0], getRhs());
  Value product = MultiplyOp::create(builder, getLoc(), lhsGradient, getResult());
  operandGradients[0] = lhsGradient;
  operandGradients[1] = NegateOp::create(builder, getLoc(), product);
  return success();
}

LogicalResult CastOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] = CastOp::create(builder, getLoc(), getInput().getType(), resultGradients[0]);
  return success();
}

LogicalResult NegateOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] = NegateOp::create(builder, getLoc(), resultGradients[0]);
  return success();
}

LogicalResult SumOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] = BroadcastOp::create(builder, getLoc(), getInput().getType(), resultGradients[0]);
  return success();
}

LogicalResult BroadcastOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] = SumOp::create(builder, getLoc(), getInput().getType(), resultGradients[0]);
  return success();
}

//===----------------------------------------------------------------------===//
// Dense layers
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] =
      EmbeddingBackwardOp::create(builder, getLoc(), getTable().getType(), getIndices(), resultGradients[0]);
  return success();
}

/// op(lhs) · op(rhs) of the given type.
static Value matmul(OpBuilder &builder, Location loc, Type type, Value lhs, bool transposeLhs, Value rhs,
                    bool transposeRhs) {
  return MatmulOp::create(builder, loc, type, lhs, rhs, transposeLhs, transposeRhs);
}

/// The gradient of a product's result as the product's operands are stored: float32 sums of bf16 give a bf16 gradient.
static Value inTypeOf(OpBuilder &builder, Location loc, Value gradient, Value operand) {
  Type element = getElementTypeOrSelf(operand);
  auto type = cast<RankedTensorType>(gradient.getType());
  if (type.getElementType() == element)
    return gradient;
  return CastOp::create(builder, loc, type.clone(element), gradient);
}

// y = x·Wᵀ: ∂x = g·W, ∂W = gᵀ·x.
LogicalResult LinearOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  Value x = getInput(), weight = getWeight(), g = inTypeOf(builder, getLoc(), resultGradients[0], x);
  operandGradients[0] = matmul(builder, getLoc(), x.getType(), g, false, weight, false);
  operandGradients[1] = matmul(builder, getLoc(), weight.getType(), g, true, x, false);
  return success();
}

// C = A'·B' where ' transposes if asked: ∂A' = g·B'ᵀ and ∂B' = A'ᵀ·g, transposed as a whole if A or B is.
LogicalResult MatmulOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  Value a = getLhs(), b = getRhs(), g = inTypeOf(builder, getLoc(), resultGradients[0], a);
  bool transposeA = getTransposeLhs(), transposeB = getTransposeRhs();
  operandGradients[0] = transposeA ? matmul(builder, getLoc(), a.getType(), b, transposeB, g, true)
                                   : matmul(builder, getLoc(), a.getType(), g, false, b, !transposeB);
  operandGradients[1] = transposeB ? matmul(builder, getLoc(), b.getType(), g, true, a, transposeA)
                                   : matmul(builder, getLoc(), b.getType(), a, !transposeA, g, false);
  return success();
}

LogicalResult RMSNormOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  auto backward = RMSNormBackwardOp::create(builder, getLoc(), getInput().getType(), getWeight().getType(), getInput(),
                                            getWeight(), resultGradients[0], getEpsAttr());
  operandGradients[0] = backward.getInputGradient();
  operandGradients[1] = backward.getWeightGradient();
  return success();
}

LogicalResult GatedActivationOp::buildGradient(OpBuilder &builder, ValueRange resultGradients,
                                               Gradients operandGradients) {
  operandGradients[0] =
      GatedActivationBackwardOp::create(builder, getLoc(), getInput().getType(), getInput(), resultGradients[0]);
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

// A rotation: its transpose rotates back.
LogicalResult RopeOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] =
      RopeOp::create(builder, getLoc(), getInput().getType(), resultGradients[0], getCos(), getSin(), !getInverse());
  return success();
}

LogicalResult AttentionOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  if (failed(refuseGradientOfResult(*this, resultGradients, 1, "lse")))
    return failure();
  auto backward =
      AttentionBackwardOp::create(builder, getLoc(), getQuery().getType(), getKey().getType(), getValue().getType(),
                                  getQuery(), getKey(), getValue(), getResult(), getLse(), resultGradients[0],
                                  getPositions(), getNumHeadsAttr(), getNumKvHeadsAttr(), getSequenceLengthAttr());
  llvm::copy(backward.getResults(), operandGradients.begin());
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouterScoresOp::buildGradient(OpBuilder &builder, ValueRange resultGradients,
                                            Gradients operandGradients) {
  operandGradients[0] = RouterScoresBackwardOp::create(builder, getLoc(), getLogits().getType(), getScores(),
                                                       resultGradients[0], getScoringFuncAttr());
  return success();
}

LogicalResult TopKGateOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] =
      TopKGateBackwardOp::create(builder, getLoc(), getScores().getType(), getScores(), getIndices(),
                                 resultGradients[0], getNormTopkProbAttr(), getRoutedScalingFactorAttr());
  return success();
}

// dispatch and combine are each other's transpose; for their weights both have the same dot products, between what is
// per token and what is per row.
LogicalResult DispatchOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  Value g = resultGradients[0];
  operandGradients[0] =
      CombineOp::create(builder, getLoc(), getInput().getType(), g, getPermutation(), getInverse(), getWeights());
  if (Value weights = getWeights())
    operandGradients[3] = RoutedDotOp::create(builder, getLoc(), weights.getType(), getInput(), g, getInverse());
  return success();
}

LogicalResult CombineOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  Value g = resultGradients[0];
  operandGradients[0] =
      DispatchOp::create(builder, getLoc(), getRows().getType(), g, getPermutation(), getInverse(), getWeights());
  if (Value weights = getWeights())
    operandGradients[3] = RoutedDotOp::create(builder, getLoc(), weights.getType(), g, getRows(), getInverse());
  return success();
}

// Per expert this is `matmul`: with ragged rows C = A·B or A·Bᵀ, with a ragged contraction C = Aᵀ·B.
LogicalResult GroupedMatmulOp::buildGradient(OpBuilder &builder, ValueRange resultGradients,
                                             Gradients operandGradients) {
  Value a = getLhs(), b = getRhs(), g = inTypeOf(builder, getLoc(), resultGradients[0], a);
  auto perRow = [&](Type type, Value rows, Value matrices, bool transpose) -> Value {
    return GroupedMatmulOp::create(builder, getLoc(), type, rows, matrices, getOffsets(), RaggedDim::rows, transpose);
  };
  if (getRagged() == RaggedDim::contraction) {
    operandGradients[0] = perRow(a.getType(), b, g, true);
    operandGradients[1] = perRow(b.getType(), a, g, false);
    return success();
  }
  operandGradients[0] = perRow(a.getType(), g, b, !getTransposeRhs());
  operandGradients[1] = GroupedMatmulOp::create(builder, getLoc(), b.getType(), getTransposeRhs() ? g : a,
                                                getTransposeRhs() ? a : g, getOffsets(), RaggedDim::contraction,
                                                /*transpose_rhs=*/false);
  return success();
}

LogicalResult WeightedGatedActivationOp::buildGradient(OpBuilder &builder, ValueRange resultGradients,
                                                       Gradients operandGradients) {
  auto backward = WeightedGatedActivationBackwardOp::create(
      builder, getLoc(), getResult().getType(), getInput().getType(), getWeights().getType(), getInput(),
      resultGradients[0], getPermutation(), getInverse(), getWeights());
  operandGradients[0] = backward.getInputGradient();
  operandGradients[3] = backward.getWeightsGradient();
  return success();
}

LogicalResult BalanceLossOp::buildGradient(OpBuilder &builder, ValueRange resultGradients, Gradients operandGradients) {
  operandGradients[0] = BalanceLossBackwardOp::create(builder, getLoc(), getScores().getType(), getScores(), getLoad(),
                                                      resultGradients[0], getAlphaAttr());
  return success();
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::buildGradient(OpBuilder &builder, ValueRange resultGradients,
                                            Gradients operandGradients) {
  if (failed(refuseGradientOfResult(*this, resultGradients, 1, "lse")))
    return failure();
  operandGradients[0] = CrossEntropyBackwardOp::create(builder, getLoc(), getLogits().getType(), getLogits(),
                                                       getTargets(), getWeights(), getLse(), resultGradients[0]);
  return success();
}

LogicalResult LinearCrossEntropyOp::buildGradient(OpBuilder &builder, ValueRange resultGradients,
                                                  Gradients operandGradients) {
  auto backward = LinearCrossEntropyBackwardOp::create(builder, getLoc(), getLossSum().getType(), getHidden().getType(),
                                                       getWeight().getType(), getHidden(), getWeight(), getTargets(),
                                                       getWeights(), resultGradients[0]);
  operandGradients[0] = backward.getHiddenGradient();
  operandGradients[1] = backward.getWeightGradient();
  return success();
}
