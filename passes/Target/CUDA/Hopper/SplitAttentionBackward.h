//===- SplitAttentionBackward.h - Gradients of attention in two kernels --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_SPLITATTENTIONBACKWARD_H
#define PASSES_TARGET_CUDA_HOPPER_SPLITATTENTIONBACKWARD_H

#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

/// Splits every kernel of an `attention_backward` that can run on warpgroup matmuls, so that its blocks do not all sum
/// result · result_gradient again:
///
/// ```mlir
/// %g:3 = moe_kernel.launch @backward(%q, %k, %v, %result, %lse, %result_gradient)
/// ```
/// becomes
/// ```mlir
/// %delta = moe_kernel.launch @backward_delta(%result, %result_gradient)  // rows
/// %g:3 = moe_kernel.launch @backward(%q, %k, %v, %lse, %delta, %result_gradient)  // attention_gradients
/// ```
void splitAttentionBackward(ModuleOp module, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_SPLITATTENTIONBACKWARD_H
