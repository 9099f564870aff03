//===- KernelInfo.h - What every emitter asks of a kernel -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_KERNELINFO_H
#define PASSES_TARGET_COMMON_KERNELINFO_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"

namespace mlir::moe::target {

/// The structured op of `kernel`, or null if it has none: of rows, or of launches.
Operation *findStructuredOp(moe_kernel::KernelOp kernel);

/// Fails, with an error on `kernel` that names `target` ("CPU"), if an argument or result is not of i32, f32, bf16 or,
/// with `allowsDoubles`, i64 or f64.
LogicalResult checkElementTypes(moe_kernel::KernelOp kernel, StringRef target, bool allowsDoubles);

/// What the emitters of structured ops rely on beside the ops' verifiers: operands are buffers of the kernel, and so
/// are results, which they also work in; unless `allowsParts`, a matmul sums all of its contraction. Fails with an
/// error on `op`.
LogicalResult checkStructuredOp(Operation *op, bool allowsParts = false);

/// Fails, with an error on `op`, if it is a matmul with a result of extent `row_sum`.
LogicalResult checkSumsNoRows(Operation *op);

/// The kernels that `kernel` launches as its parts, in order; none if it is of another form.
SmallVector<moe_kernel::KernelOp> getParts(moe_kernel::KernelOp kernel);

/// Bytes that a launch has to move at least: every buffer once, those computed in place twice. What is only overwritten
/// is not read, and of what is gathered no more is read than is gathered. What several parts of a kernel read counts
/// for each.
int64_t getCompulsoryBytes(moe_kernel::KernelOp kernel);

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_KERNELINFO_H
