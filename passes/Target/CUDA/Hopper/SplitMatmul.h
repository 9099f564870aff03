//===- SplitMatmul.h - Matmuls in two kernels where these are faster --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_SPLITMATMUL_H
#define PASSES_TARGET_CUDA_HOPPER_SPLITMATMUL_H

#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

/// Takes the gather out of matmuls on warpgroups where copying the rows costs less than it saves, which is as much for
/// every column tile. Launches of a function that gather the same rows share the copy, and decide together:
///
/// ```mlir
/// %h = moe_kernel.launch @up(%tokens, %weights, %offsets, %index)
/// ```
/// becomes
/// ```mlir
/// %rows = moe_kernel.launch @up_rows(%tokens, %inverse)            // dispatch
/// %h = moe_kernel.launch @up_of_rows(%rows, %weights, %offsets)    // matmul without `rows`
/// ```
/// where %index is a plan's permutation and %inverse its inverse. Of another index, the copy gathers too.
void splitGathers(ModuleOp module, const Capabilities &capabilities);

/// Sums long contractions of matmuls that have few tiles in parts, so that all multiprocessors have some of it. The order
/// of the sums is fixed.
///
/// ```mlir
/// %dw = moe_kernel.launch @gradient(%y, %x, %extra)
/// ```
/// becomes
/// ```mlir
/// %parts = moe_kernel.launch @gradient_parts(%y, %x)    // matmul with `parts`, of f32
/// %dw = moe_kernel.launch @gradient(%parts, %extra)     // rows: the sum, and the epilogue
/// ```
void splitContractions(ModuleOp module, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_SPLITMATMUL_H
