//===- CrossEntropy.h - Loss of logits and its gradient, per token - -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What `cross_entropy`, its gradient and the forms that include the projection are made of. Reads logits of any float
/// type; computes in float32 (float64 data: in float64).
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_MOETOLINALG_CROSSENTROPY_H
#define PASSES_FUSE_MOETOLINALG_CROSSENTROPY_H

#include "passes/Fuse/MoEToLinalg/Lowerings.h"

namespace mlir::moe {

/// Logits [T, V], and the target and weight of each of their tokens (T elements of any shape).
struct LabelledLogits {
  Value logits, targets, weights;
};

/// Both [T].
struct TokenLosses {
  Value losses; ///< weight · (lse − logits[target]).
  Value lse;    ///< log Σ exp(logits).
};

TokenLosses buildTokenLosses(RowsBuilder &builder, const LabelledLogits &tokens);

/// lossGradient · weight · (softmax − one-hot target) in the element type `elementType`.
Value buildLogitsGradient(RowsBuilder &builder, const LabelledLogits &tokens, Value lse, Value lossGradient,
                          Type elementType);

} // namespace mlir::moe

#endif // PASSES_FUSE_MOETOLINALG_CROSSENTROPY_H
