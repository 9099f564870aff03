//===- ExpertGradients.h - Gradients of weighted experts --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The rules of `combine` and `grouped_matmul` do not see each other. With row r of token t and weight w, rows A of the
/// activation of H, and the down projection Y = A·Wᵀ of an expert, y[t] = Σ w·Y[r] gives
///
/// ```
/// dY = w · dy[t]      dw = ⟨dy[t], Y⟩      dA = dY·W      dW = dYᵀ·A      dH = activation's gradient for dA
/// ```
/// which writes a matrix as wide as the tokens for every row and reads another one, Y. But a weight passes through the
/// product: with the gradient dP = dy[t]·W of P = w·A,
///
/// ```
/// dw = ⟨dP, A⟩        dW = dy[t]ᵀ·P        dH = activation's gradient for w·dP
/// ```
/// No row is weighted before a product, so products can read dy where the tokens are; Y is not needed; and what remains
/// is one pass over H and dP, rows as narrow as an expert.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_EXPERTGRADIENTS_H
#define PASSES_OBJECTIVE_EXPERTGRADIENTS_H

#include "mlir/IR/Block.h"

namespace mlir::moe {

/// Rewrites the gradients in `block` that have the first form above to the second one:
/// ```mlir
/// %dy_rows = moe.dispatch %dy plan(%permutation, %inverse) weights(%w) : ...
/// %dw = moe.routed_dot %dy, %y_rows, %inverse : ...
/// %da = moe.grouped_matmul %dy_rows, %down, %offsets {ragged = #moe.ragged<rows>} : ...
/// %dh = moe.gated_activation_backward %h, %da : ...
/// %ddown = moe.grouped_matmul %dy_rows, %a, %offsets {ragged = #moe.ragged<contraction>} : ...
/// ```
/// becomes
/// ```mlir
/// %dy_rows = moe.dispatch %dy plan(%permutation, %inverse) : ...
/// %dp = moe.grouped_matmul %dy_rows, %down, %offsets {ragged = #moe.ragged<rows>} : ...
/// %p, %dh, %dw = moe.weighted_gated_activation_backward %h, %dp plan(%permutation, %inverse) weights(%w) : ...
/// %ddown = moe.grouped_matmul %dy_rows, %p, %offsets {ragged = #moe.ragged<contraction>} : ...
/// ```
/// Only where the weights' gradient is computed as well: else %a may be kept from the forward pass anyway.
void rewriteExpertGradients(Block &block);

} // namespace mlir::moe

#endif // PASSES_OBJECTIVE_EXPERTGRADIENTS_H
