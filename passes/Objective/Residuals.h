//===- Residuals.h - What the backward pass keeps of the forward pass -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The backward part of a function is built in a block of its own that uses values of the forward block directly.
/// What it still uses when it is done are the residuals: the forward function returns them, its caller hands them on.
///
/// Policy: everything that a gradient rule uses is saved, except what costs little to compute again (a pass over
/// elements or rows, no matmul and no attention) from values that are saved anyway or that are arguments of the
/// function, which its caller has anyway. So recomputation never adds a residual: it only removes some.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_RESIDUALS_H
#define PASSES_OBJECTIVE_RESIDUALS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// Whether the policy computes the results of `op` again rather than keeping them.
bool isCheapToRecompute(Operation *op);

/// The values of `forward` that `backward` uses: arguments first, then in the order of their definition.
SmallVector<Value> collectResiduals(Block &forward, Block &backward);

/// Clones into `backward`, before their first use, the ops of `forward` that the policy recomputes. Constants are
/// always recomputed; the others if `recompute` is set.
void recomputeResiduals(Block &forward, Block &backward, bool recompute);

} // namespace mlir::moe

#endif // PASSES_OBJECTIVE_RESIDUALS_H
