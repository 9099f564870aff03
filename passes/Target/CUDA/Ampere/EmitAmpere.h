//===- EmitAmpere.h - The emitters of unit = mma ----------------*- C++ -*-===//
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
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_AMPERE_EMITAMPERE_H
#define PASSES_TARGET_CUDA_AMPERE_EMITAMPERE_H

#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda::ampere {

LaunchShape emitMatmul(moe_kernel::MatmulOp op, EmitterContext &context);

/// Whether the warps of `config` can share its tile.
bool canEmitMatmul(moe_kernel::CUDAConfigAttr config, bool paired);

} // namespace mlir::moe::cuda::ampere

#endif // PASSES_TARGET_CUDA_AMPERE_EMITAMPERE_H
