//===- CloneRegion.h - Scalar code at vector width --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_CLONEREGION_H
#define PASSES_TARGET_COMMON_CLONEREGION_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe::target {

/// Clones the scalar op `op` on `operands`, which are scalars or vectors of one shape: on scalars if all of them are,
/// else on vectors, with scalars broadcast.
Value cloneElementwise(ImplicitLocOpBuilder &builder, Operation *op, ValueRange operands);

/// Clones the scalar ops of `region`'s only block with `arguments` for its block arguments, at the type of the
/// arguments: vectors stay vectors, scalars that meet vectors are broadcast. Returns the terminator's operands.
SmallVector<Value> cloneRegionAtWidth(ImplicitLocOpBuilder &builder, Region &region, ValueRange arguments);

/// Combines the lanes of a one-dimensional vector in a fixed order, halves first: the shape of the tree, and so the
/// bits, depend on the number of lanes only.
Value reduceLanes(ImplicitLocOpBuilder &builder, Value vector, function_ref<Value(Value, Value)> combine);

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_CLONEREGION_H
