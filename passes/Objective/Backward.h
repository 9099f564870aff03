//===- Backward.h - Reverse-mode differentiation of one block ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Applies the gradient rules of a block's ops in reverse order and adds up what reaches a value along several ways.
///
///   BackwardBuilder backward(activity, builder);
///   backward.addGradient(loss, one);
///   if (failed(backward.differentiate(block)))
///     return failure();
///   use(backward.getGradient(parameter));
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_BACKWARD_H
#define PASSES_OBJECTIVE_BACKWARD_H

#include "passes/Objective/Activity.h"

namespace mlir::moe {

class BackwardBuilder {
public:
  /// Builds the gradient of a call as `GradientOpInterface::buildGradient` does; may replace and erase the call.
  using CallRule = function_ref<LogicalResult(func::CallOp call, OpBuilder &builder, ValueRange resultGradients,
                                              MutableArrayRef<Value> operandGradients)>;

  /// All gradients are built at the insertion point of `builder`, which the values of the differentiated blocks must
  /// dominate, at the latest when the caller is done.
  BackwardBuilder(const Activity &activity, OpBuilder &builder) : activity(activity), builder(builder) {}

  /// Adds to the gradient of `value`.
  void addGradient(Value value, Value gradient);
  /// The gradient of `value`, null if none has reached it.
  Value getGradient(Value value) const { return gradients.lookup(value); }

  /// Carries the gradients of what `block` computes to what it computes it from. Emits an error at an op between a
  /// source and a target that has no gradient, or none for an operand that depends on a source.
  LogicalResult differentiate(Block &block, CallRule callRule = refuseCall);

private:
  static LogicalResult refuseCall(func::CallOp call, OpBuilder &builder, ValueRange resultGradients,
                                  MutableArrayRef<Value> operandGradients);
  LogicalResult differentiate(Operation *op, CallRule callRule);

  const Activity &activity;
  OpBuilder &builder;
  llvm::DenseMap<Value, Value> gradients;
};

/// To be called once all that uses the gradients in `block` stands: erases ops that nobody uses, and gives gradients of
/// experts with weights the form that ExpertGradients.h describes.
void finishGradients(Block &block);

} // namespace mlir::moe

#endif // PASSES_OBJECTIVE_BACKWARD_H
