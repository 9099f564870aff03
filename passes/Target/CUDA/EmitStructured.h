//===- EmitStructured.h - The emitters of the structured ops ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One function per structured op, in Emit<...>.cpp. What a block computes, and what the configuration says about it:
///
/// | op | block |
/// |---|---|
/// | matmul | a tile of tile_m × tile_n accumulators, tile_k steps of the contraction at a time (MatmulSchedule.h) |
/// | attention | tile_m queries of one head of one sequence, tile_n keys at a time |
/// | attention_backward | the gradients of tile_n keys of a key head, or those of tile_m queries of a head |
/// | attention_gradients | the same, on warpgroups only (Hopper/EmitAttentionGradients.cpp) |
/// | cached_attention | as attention; a single query of a head, if few are given at a time (bf16: Ampere/EmitCachedAttention.cpp) |
/// | route, route_backward | a token per warp |
/// | router | tile_m tokens × tile_n experts (RouterTile.h), one token or a tile of tensor cores |
/// | plan | tile_m entries, having counted all |
/// | dispatch | tile_m vectors of each thread |
/// | scatter_add | tile_m rows of the result, a warp for each |
/// | cache_append | one row |
/// | sum_of_squares | one chunk |
///
/// The number of threads is a power of two, at least 32.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_EMITSTRUCTURED_H
#define PASSES_TARGET_CUDA_EMITSTRUCTURED_H

#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda {

/// Tokens that a block of scatter_add looks through at once. If there are more, it has a row for each warp.
inline constexpr int64_t kScatterTurn = 16384;

LaunchShape emitMatmul(moe_kernel::MatmulOp op, EmitterContext &context);
LaunchShape emitAttention(moe_kernel::AttentionOp op, EmitterContext &context);
LaunchShape emitAttentionBackward(moe_kernel::AttentionBackwardOp op, EmitterContext &context);
LaunchShape emitCachedAttention(moe_kernel::CachedAttentionOp op, EmitterContext &context);
LaunchShape emitRoute(moe_kernel::RouteOp op, EmitterContext &context);
LaunchShape emitRouteBackward(moe_kernel::RouteBackwardOp op, EmitterContext &context);
FailureOr<LaunchShape> emitTokenRouter(moe_kernel::RouterOp op, EmitterContext &context);
LaunchShape emitPlan(moe_kernel::PlanOp op, EmitterContext &context);
LaunchShape emitDispatch(moe_kernel::DispatchOp op, EmitterContext &context);
LaunchShape emitScatterAdd(moe_kernel::ScatterAddOp op, EmitterContext &context);
LaunchShape emitCacheAppend(moe_kernel::CacheAppendOp op, EmitterContext &context);
LaunchShape emitSumOfSquares(moe_kernel::SumOfSquaresOp op, EmitterContext &context);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_EMITSTRUCTURED_H
