//===- Backward.cpp - Reverse-mode differentiation of one block -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Backward.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "passes/Objective/ExpertGradients.h"

using namespace mlir;
using namespace mlir::moe;

void BackwardBuilder::addGradient(Value value, Value gradient) {
  Value &sum = gradients[value];
  sum = sum ? AddOp::create(builder, gradient.getLoc(), sum, gradient) : gradient;
}

LogicalResult BackwardBuilder::refuseCall(func::CallOp call, OpBuilder &, ValueRange, MutableArrayRef<Value>) {
  return call.emitOpError("has no gradient");
}

LogicalResult BackwardBuilder::differentiate(Operation *op, CallRule callRule) {
  SmallVector<Value> resultGradients =
      llvm::map_to_vector(op->getResults(), [&](Value result) { return getGradient(result); });
  if (llvm::none_of(resultGradients, [](Value gradient) { return static_cast<bool>(gradient); }))
    return success();
  // The values between sources and targets end at the sources: what computes those needs no gradient.
  SmallVector<Value> operands = llvm::to_vector(op->getOperands());
  if (llvm::none_of(operands, [&](Value operand) { return activity.isActive(operand); }))
    return success();

  Location loc = op->getLoc();
  StringRef name = op->getName().getStringRef();
  SmallVector<Value> operandGradients(operands.size());
  if (auto call = dyn_cast<func::CallOp>(op)) {
    if (failed(callRule(call, builder, resultGradients, operandGradients)))
      return failure();
  } else {
    auto differentiable = dyn_cast<GradientOpInterface>(op);
    if (!differentiable)
      return op->emitOpError("has no gradient but lies between a parameter and the loss");
    if (failed(differentiable.buildGradient(builder, resultGradients, operandGradients)))
      return failure();
  }
  for (auto [index, operand, gradient] : llvm::enumerate(operands, operandGradients)) {
    if (!activity.isActive(operand))
      continue;
    if (!gradient)
      return emitError(loc) << "'" << name << "' op has no gradient for operand #" << index
                            << ", which depends on a parameter";
    addGradient(operand, gradient);
  }
  return success();
}

LogicalResult BackwardBuilder::differentiate(Block &block, CallRule callRule) {
  // The rules may add ops to this very block and replace calls in it.
  SmallVector<Operation *> ops = llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
  for (Operation *op : llvm::reverse(ops))
    if (failed(differentiate(op, callRule)))
      return failure();
  return success();
}

/// Erases the ops of `block` whose results nobody uses and which do nothing else.
static void eraseDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void mlir::moe::finishGradients(Block &block) {
  eraseDeadOps(block);
  rewriteExpertGradients(block);
  eraseDeadOps(block); // What only the old form needed.
}
