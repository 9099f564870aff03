//===- ConfigureAttention.h - Which attention runs on warpgroups --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_CONFIGUREATTENTION_H
#define PASSES_TARGET_CUDA_HOPPER_CONFIGUREATTENTION_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

/// Whether `op` (attention, attention_backward or attention_gradients) can run on warpgroup matmuls: bf16, heads of a
/// multiple of 16 elements up to 128.
bool canUseWarpgroups(Operation *op, const Capabilities &capabilities);

/// Their configuration for `op`, or null if they cannot run it.
moe_kernel::CUDAConfigAttr configureWarpgroupAttention(Operation *op, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_CONFIGUREATTENTION_H
