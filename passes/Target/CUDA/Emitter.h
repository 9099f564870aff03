//===- Emitter.h - How the CUDA target emits one kernel ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A kernel becomes a GPU function with one device pointer per operand, then one per result (a tied result's pointer
/// equals its operand's), launched on the grid that its emitter returns:
///
/// ```mlir
/// gpu.func @name(%operands: memref<...>..., %results: memref<...>..., %tensorMaps: !llvm.ptr...) kernel
/// ```
///
/// Tensor maps are parameters of 128 bytes by value (llvm.byval, nvvm.grid_constant) that the driver encodes for the
/// launch's buffers.
///
/// An emitter fills its body with gpu, scf, vector, memref, arith, math, nvgpu and nvvm ops. Memrefs are static and
/// contiguous (identity layout), in the default (global) memory space, aligned to 256 bytes; operands and results do
/// not alias except for tied ones. Shared memory is a memref in #gpu.address_space<workgroup>.
///
/// Reductions have a fixed order and there are no floating-point atomics: the same inputs give the same bits.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_EMITTER_H
#define PASSES_TARGET_CUDA_EMITTER_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "llvm/ADT/SmallBitVector.h"
#include <array>

namespace mlir::moe::cuda {

/// The moe_exec.object that holds the PTX of all kernels.
inline constexpr llvm::StringLiteral kObjectName = "cuda";
/// Bytes that the address of every buffer, and of dynamic shared memory, is a multiple of.
inline constexpr int64_t kBufferAlignment = 256;
inline constexpr int64_t kSharedAlignment = 1024; // Of tiles that TMA writes with a 128-byte swizzle.

/// What an emitter is given.
struct EmitterContext {
  ImplicitLocOpBuilder &builder; ///< Inserts into the function's entry block.
  moe_kernel::KernelOp kernel;
  moe_kernel::CUDAConfigAttr config;
  SmallVector<Value> arguments; ///< One memref per kernel argument.
  SmallVector<Value> results;   ///< One memref per kernel result (for a tied result, its argument's memref).

  /// The memref of a tensor value of the kernel: an argument.
  Value lookup(Value tensor) const { return arguments[cast<BlockArgument>(tensor).getArgNumber()]; }

  /// A memref of `type` (in #gpu.address_space<workgroup>) in the block's shared memory, at the next 128-byte boundary.
  /// The total is limited by the target's shared memory per block.
  Value allocateShared(MemRefType type);

  /// The address of a tensor map of `buffer` (one of `arguments` and `results`) for the ops of nvvm that move boxes:
  /// see #moe_exec.tensor_map, also for what is allowed. Asked twice for the same, it gives the same.
  Value tensorMap(Value buffer, ArrayRef<int64_t> dims, ArrayRef<int64_t> byteStrides, ArrayRef<int64_t> box,
                  int64_t swizzleBytes = 128);

  /// Whether the launch before this kernel's leaves the operand `tensor` alone, wherever the kernel is launched. Of such
  /// operands code may come before waitForPreviousKernel (DependentLaunch.h).
  bool isSettled(Value tensor) const {
    unsigned number = cast<BlockArgument>(tensor).getArgNumber();
    return number < settled.size() && settled[number];
  }

  llvm::SmallBitVector settled{};      ///< Operands that are; none if the kernel may not be launched early.
  SmallVector<int64_t> earlyInputs{};  ///< Of these, what is read before the kernel waits.
  bool waits = false;                  ///< It does so in a place of its own.
  std::function<void()> prologue{};    ///< Emits what computes operands in shared memory; after the kernel waits.
  int64_t sharedBytes = 0;             ///< What allocateShared has given out.
  SmallVector<Attribute> tensorMaps{}; ///< Of the parameters after all buffers.
};

/// What an emitter gives back.
struct LaunchShape {
  std::array<int64_t, 3> grid = {1, 1, 1};
  std::array<int64_t, 3> block = {1, 1, 1};
  int64_t flops = 0; ///< Useful floating-point operations of a launch; 0 if not counted.
};

/// Emits the structured op `op` of a kernel (Emit<Op>.cpp). Errors are emitted on the op.
FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context);

/// Emits a kernel made of linalg.generic ops (EmitRows.cpp).
FailureOr<LaunchShape> emitRows(EmitterContext &context);

/// Clones the scalar ops of `region`'s only block with `arguments` for its block arguments. Returns the terminator's
/// operands.
SmallVector<Value> cloneScalarRegion(ImplicitLocOpBuilder &builder, Region &region, ValueRange arguments);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_EMITTER_H
