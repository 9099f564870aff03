//===- ConfigureMatmul.cpp - Tiles of matmuls on warpgroups -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/Hopper/MatmulPlan.h"
#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

CUDAConfigAttr configureWarpgroupMatmul(MatmulOp op, const Capabilities &capabilities) {
  std::optional<MatmulPlan> plan = planMatmul(op, capabilities);
  if (!plan)
    return {};
  explain(op->getParentOfType<KernelOp>(), "wgmma, " + plan->describe() + (op.getRowIndex() ? ", gathers rows" : ""));
  return CUDAConfigAttr::get(op.getContext(), kMatmulThreads, plan->tileRows, plan->tileColumns, kStageDepth,
                             plan->stages, CUDAUnit::wgmma);
}

} // namespace mlir::moe::cuda
