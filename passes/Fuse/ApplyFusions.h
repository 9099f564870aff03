//===- ApplyFusions.h - How passes of this stage apply patterns --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_APPLYFUSIONS_H
#define PASSES_FUSE_APPLYFUSIONS_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {

/// Applies `patterns` within `op` until none matches. Scalar constants stay in the bodies that use them, so that a body
/// is all of a kernel.
LogicalResult applyFusions(Operation *op, RewritePatternSet &&patterns);

} // namespace mlir::moe

#endif // PASSES_FUSE_APPLYFUSIONS_H
