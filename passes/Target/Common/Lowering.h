//===- Lowering.h - Lowerings that come before the LLVM dialect --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_LOWERING_H
#define PASSES_TARGET_COMMON_LOWERING_H

#include "mlir/IR/Operation.h"

namespace mlir::moe::target {

/// Vectors of several dimensions to vectors of one, views of memory to address arithmetic.
LogicalResult lowerVectorsAndViews(Operation *root);

/// scf and affine to cf. A conversion of its own: afterwards the body of a function is not a single block.
LogicalResult lowerControlFlow(Operation *root);

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_LOWERING_H
