//===- EmitStructured.cpp - The emitters of the structured ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe::cpu {

/// The emitters read and write float32 and i32 in rows; anything else would be silently wrong.
static LogicalResult checkElementTypes(Operation *op) {
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    Type element = cast<ShapedType>(type).getElementType();
    if (!element.isF32() && !element.isInteger(32))
      return op->emitError() << "has a tensor of " << element << "; the CPU target computes in f32 and indexes with i32";
  }
  return success();
}

FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context) {
  using namespace moe_kernel;
  if (failed(checkElementTypes(op)))
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
