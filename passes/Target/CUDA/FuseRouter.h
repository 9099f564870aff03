//===- FuseRouter.h - A router in one launch --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// ```mlir
/// %logits = moe_kernel.launch @linear_8192x128x2048(%x, %w)                  // a matmul
/// %scores, %weights, %indices = moe_kernel.launch @router_softmax_top8_8192x128(%logits)  // a route
/// %offsets, %permutation, %inverse = moe_kernel.launch @plan_routing_8192x8x128(%indices)  // a plan
/// ```
/// becomes
/// ```mlir
/// %weights, %indices, %counts = moe_kernel.launch @linear_router_softmax_top8_8192x128(%x, %w)  // a router
/// %offsets, %permutation, %inverse = moe_kernel.launch @plan_routing_8192x8x128_counts(%indices, %counts)
/// ```
/// and where there are few entries, one launch of all three. A router of float32 stays as it is: tensor cores do not
/// multiply it exactly, and its products cost more than the launches.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_FUSEROUTER_H
#define PASSES_TARGET_CUDA_FUSEROUTER_H

#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

void fuseRouters(ModuleOp module, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_FUSEROUTER_H
