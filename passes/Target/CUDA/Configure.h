//===- Configure.h - The configuration of matmuls and attention -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_CONFIGURE_H
#define PASSES_TARGET_CUDA_CONFIGURE_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

/// The largest tile that leaves a block for every multiprocessor; the smallest if none does.
moe_kernel::CUDAConfigAttr configureMatmul(moe_kernel::MatmulOp op, const Capabilities &capabilities);

/// Fails, with an error on `op`, if its rows cannot be streamed.
FailureOr<moe_kernel::CUDAConfigAttr> configureCombinedMatmul(moe_kernel::CombinedMatmulOp op,
                                                              const Capabilities &capabilities);

/// For attention, attention_backward and cached_attention. Fails, with an error on the kernel, if heads do not fit.
FailureOr<moe_kernel::CUDAConfigAttr> configureAttention(Operation *op, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_CONFIGURE_H
