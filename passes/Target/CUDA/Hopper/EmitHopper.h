//===- EmitHopper.h - The emitters for sm_90a -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_EMITHOPPER_H
#define PASSES_TARGET_CUDA_HOPPER_EMITHOPPER_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda {

/// `unit = wgmma`: a persistent grid of blocks with a producer and two consumers.
FailureOr<LaunchShape> emitWarpgroupMatmul(moe_kernel::MatmulOp op, EmitterContext &context);

/// The configuration of `op` for wgmma, or null where other kernels serve it better or alone.
moe_kernel::CUDAConfigAttr configureWarpgroupMatmul(moe_kernel::MatmulOp op, const Capabilities &capabilities);

/// A block has 64 or 128 tokens and some or all experts: see RouterShape.h.
FailureOr<LaunchShape> emitWarpgroupRouter(moe_kernel::RouterOp op, EmitterContext &context);

/// A block has 128 queries of a head; it takes 128 keys at a time.
LaunchShape emitWarpgroupAttention(moe_kernel::AttentionOp op, EmitterContext &context);

/// A block has 128 keys of a key head, and takes 64 queries at a time, or 128 queries of a head, and takes 128 keys at
/// a time.
LaunchShape emitWarpgroupAttentionGradients(moe_kernel::AttentionGradientsOp op, EmitterContext &context);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_EMITHOPPER_H
