//===- EmitStructured.h - The emitters of the structured ops ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One function per structured op, in Emit<...>.cpp. What a work item is:
///
/// | op | item |
/// |---|---|
/// | matmul | block_m rows × block_n columns; for `ragged_contraction` of one expert's matrix |
/// | attention | block_m queries of one head of one sequence |
/// | attention_backward | one key head of one sequence, with all query heads that use it |
/// | cached_attention | block_m queries (one, if few are given at a time) of one head of one sequence |
/// | route, route_backward | block_m tokens |
/// | plan | everything: one item |
/// | scatter_add | 16 columns of the result |
/// | cache_append | one row |
/// | sum_of_squares | one chunk |
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_EMITSTRUCTURED_H
#define PASSES_TARGET_CPU_EMITSTRUCTURED_H

#include "passes/Target/CPU/Emitter.h"

namespace mlir::moe::cpu {

LaunchShape emitMatmul(moe_kernel::MatmulOp op, EmitterContext &context);
LaunchShape emitAttention(moe_kernel::AttentionOp op, EmitterContext &context);
LaunchShape emitAttentionBackward(moe_kernel::AttentionBackwardOp op, EmitterContext &context);
LaunchShape emitCachedAttention(moe_kernel::CachedAttentionOp op, EmitterContext &context);
LaunchShape emitRoute(moe_kernel::RouteOp op, EmitterContext &context);
LaunchShape emitRouteBackward(moe_kernel::RouteBackwardOp op, EmitterContext &context);
LaunchShape emitPlan(moe_kernel::PlanOp op, EmitterContext &context);
LaunchShape emitScatterAdd(moe_kernel::ScatterAddOp op, EmitterContext &context);
LaunchShape emitCacheAppend(moe_kernel::CacheAppendOp op, EmitterContext &context);
LaunchShape emitSumOfSquares(moe_kernel::SumOfSquaresOp op, EmitterContext &context);

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_EMITSTRUCTURED_H
