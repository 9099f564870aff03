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
/// Memory that the kernel before does not write is as it will be when that begins, so it may be read before the wait
/// (`early_inputs` of moe_exec.kernel): weights on their way to shared memory while the kernel before works.
///
/// docs/cuda.md says why that keeps the order of a program.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_DEPENDENTLAUNCH_H
#define PASSES_TARGET_CUDA_DEPENDENTLAUNCH_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/Emitter.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::moe::cuda {

/// Writes the two instructions where the builder stands, in the kernel's outermost block of code: what comes before
/// reads no operands of the kernel but `early` ones, each of them settled (EmitterContext), and past the first-level
/// cache, which may still hold what was there before. For emitters; a kernel waits once.
void waitForPreviousKernel(EmitterContext &context, ArrayRef<Value> early);

/// Writes the two instructions in front of the first op of `body`, all the code of `context.kernel`, that may touch global
/// memory, unless the emitter has. In that case checks that nothing before them writes global memory or reads others than
/// early inputs.
LogicalResult waitForPreviousKernel(Block *body, const EmitterContext &context);

/// Asks the second-level cache, at the start of `body` and so before the kernel waits, for those of `buffers` that have
/// 8 KB at most: the weights of a norm come from memory while the kernel before works. A hint: nothing is read. For few
/// blocks.
void prefetch(Block *body, ArrayRef<Value> buffers);

/// Operands of `kernel` that are settled in every launch of it that the module's programs have; none if there is none.
llvm::SmallBitVector findSettledOperands(moe_kernel::KernelOp kernel);

/// Whether a kernel whose blocks take `sharedBytes` should be launched while the one before it runs. Not if there is
/// shared memory for one such block only on a multiprocessor: it cannot begin before the other kernel's blocks have left
/// anyway, and layers of experts take up to 1.44 times as long when it is (measured on an H100; that it is the order in
/// which multiprocessors get their blocks is a guess). Where the kernel `streams`, its blocks have no line of memory in
/// common, and any order is as good: each begins to read as soon as its multiprocessor has nothing else to do.
inline bool gainsFromEarlyLaunch(int64_t sharedBytes, bool streams, const Capabilities &capabilities) {
  return capabilities.hasDependentLaunch && (streams || sharedBytes <= capabilities.sharedBytes / 2);
}

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_DEPENDENTLAUNCH_H
