//===- EmitStructured.cpp - The emitters of the structured ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/Common/KernelInfo.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe::cuda {

/// Tensor cores multiply bf16, and each kind of kernel only in tiles that its warps can share.
static FailureOr<LaunchShape> emitByMma(Operation *op, EmitterContext &context) {
  using namespace moe_kernel;
  if (!cast<ShapedType>(op->getOperand(0).getType()).getElementType().isBF16())
    return op->emitError("is configured for unit = mma, which multiplies bf16 only");
  auto refuse = [&] { return op->emitError() << "cannot be emitted for " << context.config; };
  return TypeSwitch<Operation *, FailureOr<LaunchShape>>(op)
      .Case([&](MatmulOp op) -> FailureOr<LaunchShape> {
        if (!ampere::canEmitMatmul(context.config, op.getPaired()))
          return refuse();
        return ampere::emitMatmul(op, context);
      })
      .Case([&](AttentionOp op) -> FailureOr<LaunchShape> {
        if (!ampere::canEmitAttention(context.config, op.getQuery().getType().getDimSize(1) / op.getNumHeads()))
          return refuse();
        return ampere::emitAttention(op, context);
      })
      .Case([&](AttentionBackwardOp op) -> FailureOr<LaunchShape> {
        if (!ampere::canEmitAttention(context.config, op.getQuery().getType().getDimSize(1) / op.getNumHeads()))
          return refuse();
        return ampere::emitAttentionBackward(op, context);
      })
      .Case([&](RouterOp op) { return ampere::emitRouter(op, context); })
      .Default([&](Operation *) { return refuse(); });
}

static FailureOr<LaunchShape> emitByStream(Operation *op, EmitterContext &context) {
  if (auto matmul = dyn_cast<moe_kernel::MatmulOp>(op))
    return ampere::emitStreamedMatmul(matmul, context);
  if (auto matmul = dyn_cast<moe_kernel::CombinedMatmulOp>(op))
    return ampere::emitCombinedMatmul(matmul, context);
  if (auto attention = dyn_cast<moe_kernel::CachedAttentionOp>(op))
    return ampere::emitStreamedCachedAttention(attention, context);
  return op->emitError("has no form that streams");
}

/// Those that configure chooses `wgmma` for.
static FailureOr<LaunchShape> emitWarpgroupOp(Operation *op, EmitterContext &context) {
  using namespace moe_kernel;
  return TypeSwitch<Operation *, FailureOr<LaunchShape>>(op)
      .Case([&](MatmulOp op) { return emitWarpgroupMatmul(op, context); })
      .Case([&](AttentionOp op) { return emitWarpgroupAttention(op, context); })
      .Case([&](AttentionGradientsOp op) { return emitWarpgroupAttentionGradients(op, context); })
      .Case([&](RouterOp op) { return emitWarpgroupRouter(op, context); })
      .Default([](Operation *op) { return op->emitError("has no form on warpgroup matmuls"); });
}

FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context) {
  using namespace moe_kernel;
  bool isForWarpgroups = context.config.getUnit() == CUDAUnit::wgmma;
  if (failed(target::checkStructuredOp(op, /*allowsParts=*/isForWarpgroups)))
    return failure();
  int64_t threads = context.config.getThreads();
  if (isForWarpgroups)
    return emitWarpgroupOp(op, context);
  if (failed(target::checkSumsNoRows(op)))
    return failure();
  if (!llvm::isPowerOf2_64(threads) || threads < 32 || threads > 1024)
    return op->emitError() << "is configured for " << threads
                           << " threads per block; it takes a power of two from 32 to 1024";
  if (context.config.getUnit() == CUDAUnit::mma)
    return emitByMma(op, context);
  if (context.config.getUnit() == CUDAUnit::stream)
    return emitByStream(op, context);
  return TypeSwitch<Operation *, FailureOr<LaunchShape>>(op)
      .Case([&](MatmulOp op) { return emitMatmul(op, context); })
      .Case([&](AttentionOp op) { return emitAttention(op, context); })
      .Case([&](AttentionBackwardOp op) { return emitAttentionBackward(op, context); })
      .Case([&](CachedAttentionOp op) { return emitCachedAttention(op, context); })
      .Case([&](RouteOp op) { return emitRoute(op, context); })
      .Case([&](RouteBackwardOp op) { return emitRouteBackward(op, context); })
      .Case([&](RouterOp op) { return emitTokenRouter(op, context); })
      .Case([&](PlanOp op) { return emitPlan(op, context); })
      .Case([&](DispatchOp op) { return emitDispatch(op, context); })
      .Case([&](ScatterAddOp op) { return emitScatterAdd(op, context); })
      .Case([&](CacheAppendOp op) { return emitCacheAppend(op, context); })
      .Case([&](SumOfSquaresOp op) { return emitSumOfSquares(op, context); })
      .Default([](Operation *op) { return op->emitError("is not a structured op that the CUDA target can emit"); });
}

} // namespace mlir::moe::cuda
