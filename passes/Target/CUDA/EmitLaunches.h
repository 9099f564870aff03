//===- EmitLaunches.h - Kernels that launch others --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The blocks of a grid are divided among kernels, in the order in which they are launched. A block has the registers,
/// shared memory and threads of the most demanding of them; where a kernel has fewer threads, the others of its blocks
/// end at once. Rows that a kernel reads are computed before by each of its blocks, in shared memory:
///
/// ```
/// if block < 128:        rows of @rms_norm_1x1024; blocks 0 to 127 of @linear_1x2048x1024
/// elif block < 160:      rows of @rms_norm_1x1024; blocks 0 to 31 of @linear_1x512x1024
/// ```
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_EMITLAUNCHES_H
#define PASSES_TARGET_CUDA_EMITLAUNCHES_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda {

/// How each block of `reader` computes `rows`, which fit into one block, for its operand `operand`: null if it does
/// not, because these are not few, or the reader's emitter takes operands from global memory only. Arithmetic is the
/// same as in a launch.
moe_kernel::CUDAConfigAttr configurePrologue(moe_kernel::KernelOp rows, moe_kernel::KernelOp reader, unsigned operand);

/// Whether launches of `kernels`, which are configured and independent, are quicker as one: if they are short, so that
/// the launch itself counts, and no block of one needs much that those of the others do not.
bool fusesHorizontally(ArrayRef<moe_kernel::KernelOp> kernels);

/// Emits the kernels that `context.kernel` launches by `emitCode`, and has `finish` complete each block of code that a
/// block of threads runs, with what its emitter was given.
FailureOr<LaunchShape> emitLaunches(EmitterContext &context,
                                    function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitCode,
                                    function_ref<LogicalResult(Block *, EmitterContext &, const LaunchShape &)> finish);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_EMITLAUNCHES_H
