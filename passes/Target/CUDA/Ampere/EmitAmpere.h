//===- EmitAmpere.h - The emitters of unit = mma and stream -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// bf16 on the tensor cores of every GPU since sm_80, with nothing newer: cp.async, ldmatrix, mma.sync.
///
/// | op | block |
/// |---|---|
/// | matmul | a tile of tile_m × tile_n accumulators, tile_k steps of the contraction at a time, `stages` in flight |
/// | matmul, `unit = stream` | the same with few rows; each warp has a part of the contraction |
/// | combined_matmul, `unit = stream` | tile_n columns of a token, tile_k steps of the contraction at a time |
/// | cached_attention, `unit = stream` | a query of a head, tile_n keys at a time |
/// | attention | tile_m queries of one head of one sequence, tile_n keys at a time |
/// | attention_backward | the gradients of tile_m keys of a key head or of tile_m queries of a head, tile_n of the others at a time |
/// | router | the logits of tile_m tokens for tile_n experts, see RouterShape.h; the last block of the tokens goes on |
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_AMPERE_EMITAMPERE_H
#define PASSES_TARGET_CUDA_AMPERE_EMITAMPERE_H

#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda::ampere {

LaunchShape emitMatmul(moe_kernel::MatmulOp op, EmitterContext &context);
FailureOr<LaunchShape> emitStreamedMatmul(moe_kernel::MatmulOp op, EmitterContext &context);
FailureOr<LaunchShape> emitCombinedMatmul(moe_kernel::CombinedMatmulOp op, EmitterContext &context);
FailureOr<LaunchShape> emitStreamedCachedAttention(moe_kernel::CachedAttentionOp op, EmitterContext &context);
LaunchShape emitAttention(moe_kernel::AttentionOp op, EmitterContext &context);
LaunchShape emitAttentionBackward(moe_kernel::AttentionBackwardOp op, EmitterContext &context);
FailureOr<LaunchShape> emitRouter(moe_kernel::RouterOp op, EmitterContext &context);

/// Whether the warps of `config` can share its tile.
bool canEmitMatmul(moe_kernel::CUDAConfigAttr config, bool paired);
bool canEmitAttention(moe_kernel::CUDAConfigAttr config, int64_t headDim);

/// Why the rhs of `op`, or its caches, cannot be streamed, as the end of a sentence; empty if they can.
std::string findStreamObstacle(moe_kernel::MatmulOp op);
std::string findStreamObstacle(moe_kernel::CachedAttentionOp op);
bool canStream(moe_kernel::CombinedMatmulOp op);

/// How many groups of lanes a block has that take a key each.
int64_t getKeyGroups(moe_kernel::CachedAttentionOp op, int64_t threads);

} // namespace mlir::moe::cuda::ampere

#endif // PASSES_TARGET_CUDA_AMPERE_EMITAMPERE_H
