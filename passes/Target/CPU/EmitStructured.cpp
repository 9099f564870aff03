//===- EmitStructured.cpp - The emitters of the structured ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe::cpu {

/// What all emitters rely on: operands are buffers of the kernel, and so are results, which they also work in.
static LogicalResult checkBuffers(Operation *op) {
  for (auto [number, operand] : llvm::enumerate(op->getOperands()))
    if (!isa<BlockArgument>(operand))
      return op->emitError() << "operand " << number << " is not an argument of the kernel";
  for (auto [number, result] : llvm::enumerate(op->getResults()))
    if (!result.hasOneUse() || !isa<moe_kernel::ReturnOp>(*result.user_begin()))
      return op->emitError() << "result " << number << " has " << llvm::range_size(result.getUses())
                             << " uses; the kernel has to return it once";
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    Type element = cast<ShapedType>(type).getElementType();
    if (!element.isF32() && !element.isInteger(32))
      return op->emitError() << "has a tensor of " << element
                             << "; the CPU target computes in f32 and indexes with i32";
  }
  return success();
}

FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context) {
  using namespace moe_kernel;
  if (failed(checkBuffers(op)))
    return failure();
  return TypeSwitch<Operation *, FailureOr<LaunchShape>>(op)
      .Case([&](MatmulOp op) { return emitMatmul(op, context); })
      .Case([&](AttentionOp op) { return emitAttention(op, context); })
      .Case([&](AttentionBackwardOp op) { return emitAttentionBackward(op, context); })
      .Case([&](CachedAttentionOp op) { return emitCachedAttention(op, context); })
      .Case([&](RouteOp op) { return emitRoute(op, context); })
      .Case([&](RouteBackwardOp op) { return emitRouteBackward(op, context); })
      .Case([&](PlanOp op) { return emitPlan(op, context); })
      .Case([&](ScatterAddOp op) { return emitScatterAdd(op, context); })
      .Case([&](CacheAppendOp op) { return emitCacheAppend(op, context); })
      .Case([&](SumOfSquaresOp op) { return emitSumOfSquares(op, context); })
      .Default([](Operation *op) { return op->emitError("is not a structured op that the CPU target can emit"); });
}

} // namespace mlir::moe::cpu
