//===- EmitLaunches.h - Kernels that launch others --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Horizontal fusion: the blocks of a grid are divided among kernels, in the order in which they are launched. A block
/// has the registers, shared memory and threads of the most demanding of them; where a kernel has fewer threads, the
/// others of its blocks end at once.
///
/// ```
/// if block < 128:        blocks 0 to 127 of @linear_1x2048x1024
/// elif block < 160:      blocks 0 to 31 of @linear_1x512x1024
/// ```
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_EMITLAUNCHES_H
#define PASSES_TARGET_CUDA_EMITLAUNCHES_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda {

/// Whether launches of `kernels`, which are configured and independent, are quicker as one: if they are short, so that
/// the launch itself counts, and no block of one needs much that those of the others do not.
bool fusesHorizontally(ArrayRef<moe_kernel::KernelOp> kernels);

/// Emits the kernels that `context.kernel` launches by `emitBody`. `bodies` become the blocks of code of which each
/// block of threads runs one.
FailureOr<LaunchShape> emitLaunches(EmitterContext &context,
                                    function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitBody,
                                    SmallVectorImpl<Block *> &bodies);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_EMITLAUNCHES_H
