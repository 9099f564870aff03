//===- ConfigureAttention.cpp - Which attention runs on warpgroups --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/ConfigureAttention.h"
#include "passes/Target/CUDA/Hopper/AttentionBuilder.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

bool canUseWarpgroups(Operation *op, const Capabilities &capabilities) {
  constexpr int64_t kMostElements = 128; // Of a head: what the sums of a consumer leave registers for.
  if (!capabilities.hasWarpgroupMatmul || !capabilities.hasTensorMemoryAccess)
    return false;
  return TypeSwitch<Operation *, bool>(op)
      .Case<AttentionOp, AttentionBackwardOp, AttentionGradientsOp>([](auto op) {
        int64_t headDim = op.getQuery().getType().getDimSize(1) / op.getNumHeads();
        return getElementTypeOrSelf(op.getQuery()).isBF16() && headDim % kMatmulDepth == 0 && headDim <= kMostElements;
      })
      .Default(false);
}

CUDAConfigAttr configureWarpgroupAttention(Operation *op, const Capabilities &capabilities) {
  constexpr int64_t kStages = 2;
  if (isa<AttentionBackwardOp>(op) || !canUseWarpgroups(op, capabilities))
    return {};
  return CUDAConfigAttr::get(op->getContext(), kAttentionThreads, kBlockRows, kBlockRows, /*tileK=*/1, kStages,
                             CUDAUnit::wgmma);
}

} // namespace mlir::moe::cuda
