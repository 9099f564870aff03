//===- KernelGroups.h - Which ops of a function share a kernel --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_KERNELGROUPS_H
#define PASSES_FUSE_KERNELGROUPS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// Ops of one block that become one kernel, in block order: one structured op, or linalg.generic ops.
using KernelGroup = SmallVector<Operation *>;

/// Divides the structured ops and linalg.generic ops of `block` into kernels.
///
/// A linalg.generic joins the groups whose results it reads if
/// * all of them have as many rows (the extent of the first loop), or it accumulates over such rows
///   (`moe_kernel.accumulates`),
/// * within the group, results are read only in the row that is being computed, also through reshapes, and
/// * no op outside of the group lies between two ops of it, taking each other group as one.
///
/// Ops marked with `moe_kernel.batch` on operands of the same types (the updates of equal parameters) share kernels:
/// they are taken in order, as many at a time as the mark says. So the number of launches grows more slowly than that
/// of parameters, and the kernels of a deep model stay few.
SmallVector<KernelGroup> groupKernels(Block &block);

/// Whether `op` computes nothing and goes into every kernel that needs it: a reshape, a constant, an initial value.
bool isKernelSupport(Operation *op);

/// Whether `op` views its operand with another shape.
bool isReshape(Operation *op);

/// What `value` views, through any number of reshapes.
Value lookThroughReshapes(Value value);

/// Calls `callback` for every value that `op` or an op nested in it uses and that is defined outside of `op`.
void forEachOutsideValue(Operation *op, function_ref<void(Value)> callback);

} // namespace mlir::moe

#endif // PASSES_FUSE_KERNELGROUPS_H
