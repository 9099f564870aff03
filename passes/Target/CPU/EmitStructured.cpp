//===- EmitStructured.cpp - The emitters of the structured ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/Common/KernelInfo.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe::cpu {

FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context) {
  using namespace moe_kernel;
  if (failed(target::checkStructuredOp(op)) || failed(target::checkSumsNoRows(op)))
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
