//===- DependentLaunch.h - Kernels launched before the last ended --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Programmatic dependent launch (CUDA Programming Guide, section of that name): a kernel may be launched while the one
/// before it still runs, and waits by itself. So the time of a launch, and what a kernel does before it needs memory,
/// pass while the one before works.
///
/// ```
/// shared memory's addresses, barriers, indices   // may run beside the kernel before
/// griddepcontrol.wait                            // all of the kernel before is done, and seen
/// griddepcontrol.launch_dependents               // the next one may be launched once all blocks are here
/// everything that touches global memory
/// ```
///
/// docs/cuda.md says why that keeps the order of a program.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_DEPENDENTLAUNCH_H
#define PASSES_TARGET_CUDA_DEPENDENTLAUNCH_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::moe::cuda {

/// Writes the two instructions in front of the first op of `body`, all that a block of threads runs, that may touch global
/// memory.
void waitForPreviousKernel(Block *body);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_DEPENDENTLAUNCH_H
