//===- CpuKernel.h - The calling convention of CPU kernels ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The contract between code generation for the CPU and the `cpu` driver. A kernel is an extern "C" function of an
/// ELF shared object without dependencies; its name is `Kernel.name` of the artifact.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_CPUKERNEL_H
#define MOE_CPUKERNEL_H

#include <cstdint>

namespace moe {

/// Computes the work items [begin, end) of a launch of `Kernel.grid.x` items.
///
/// \param buffers  one pointer per operand, then one per result, each aligned to 64 bytes (`Launch.buffers`).
///                 A result computed in place has its operand's pointer.
/// \param scratch  `Kernel.scratch_bytes` bytes, aligned to 64, owned by the calling thread; contents undefined.
///
/// Items are independent: any split of the items over threads gives the same bits. A kernel never fails.
using CpuKernel = void (*)(void *const *buffers, int64_t begin, int64_t end, void *scratch);

/// Alignment in bytes of every buffer and of scratch memory.
inline constexpr int64_t kCpuBufferAlignment = 64;

} // namespace moe

#endif // MOE_CPUKERNEL_H
