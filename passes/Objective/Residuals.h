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
/// Policies (`ActivationCheckpointing`). Constants are always computed again.
///
/// * `none`: everything that a gradient rule uses is saved.
/// * `selective`: the same, except what costs little to compute again (a pass over elements or rows, no matmul and no
///   attention) from values that are saved anyway or that are arguments of the function, which its caller has anyway.
///   So recomputation never adds a residual: it only removes some.
/// * `full`: everything is computed again from the arguments, except the routing, that is, which experts a token goes
///   to with what weights (topk_gate) and the plan made of that (plan_routing). A choice is not continuous: if a target
///   computed the scores again in another order of summation (another fusion of the same ops may well do so), a tie
///   could fall the other way, and the backward pass would be that of another function. Saved, a choice is exactly the
///   one that was made; it is a few bytes a token. What calls compute is saved too.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_RESIDUALS_H
#define PASSES_OBJECTIVE_RESIDUALS_H

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// Whether `policy` may compute the results of `op` again rather than keep them, given its operands.
bool mayRecompute(Operation *op, ActivationCheckpointing policy);

/// The values of `forward` that `backward` uses: arguments first, then in the order of their definition.
SmallVector<Value> collectResiduals(Block &forward, Block &backward);

/// Clones into `backward`, before their first use, the ops of `forward` that `policy` recomputes.
void recomputeResiduals(Block &forward, Block &backward, ActivationCheckpointing policy);

} // namespace mlir::moe

#endif // PASSES_OBJECTIVE_RESIDUALS_H
