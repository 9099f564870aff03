//===- Emitter.h - How the CPU target emits one kernel ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A kernel becomes a function on memrefs that computes work items [begin, end) (see include/moe/CpuKernel.h):
///
/// ```mlir
/// func.func @name(%operands: memref<...>..., %results: memref<...>..., %begin: index, %end: index, %scratch:
/// memref<?xi8>)
/// ```
///
/// An emitter fills its body with scf, vector, memref, arith and math ops. Memrefs are static, contiguous (identity
/// layout) and 64-byte aligned; operands and results do not alias. A tied result has no parameter of its own.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_EMITTER_H
#define PASSES_TARGET_CPU_EMITTER_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Target/Common/CloneRegion.h"

namespace mlir::moe::cpu {

/// The moe_exec.object that holds the code of all kernels.
inline constexpr llvm::StringLiteral kObjectName = "cpu";

/// On a kernel's func.func: the buffer of include/moe/CpuKernel.h that each memref parameter but the scratch memory is.
inline constexpr llvm::StringLiteral kBuffersAttrName = "moe_kernel.buffers";

/// What an emitter is given.
struct EmitterContext {
  ImplicitLocOpBuilder &builder; ///< Inserts into the function's entry block.
  moe_kernel::KernelOp kernel;
  moe_kernel::CPUConfigAttr config;
  SmallVector<Value> arguments; ///< One memref per kernel argument.
  SmallVector<Value> results;   ///< One memref per kernel result (for a tied result, its argument's memref).
  Value begin, end;             ///< The work items to compute (index).
  Value scratch;                ///< memref<?xi8>, 64-byte aligned, owned by the calling thread.

  /// The memref of a tensor value of the kernel: an argument.
  Value lookup(Value tensor) const { return arguments[cast<BlockArgument>(tensor).getArgNumber()]; }
};

/// What an emitter gives back.
struct LaunchShape {
  int64_t items = 0;        ///< Work items of a launch.
  int64_t scratchBytes = 0; ///< Scratch memory per thread.
  int64_t flops = 0;        ///< Useful floating-point operations of a launch; 0 if not counted.
};

/// Emits the structured op `op` of a kernel (Emit<Op>.cpp). Errors are emitted on the op.
FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context);

/// Emits a kernel made of linalg.generic ops (EmitRows.cpp).
FailureOr<LaunchShape> emitRows(EmitterContext &context);

using target::cloneRegionAtWidth;

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_EMITTER_H
