//===- ExpertGradients.cpp - Gradients of weighted experts ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/ExpertGradients.h"

#include "dialects/MoE/IR/MoEOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// The ops of one gradient of the first form.
struct ExpertGradients {
  DispatchOp rows;                     ///< dY.
  RoutedDotOp weights;                 ///< dw.
  GroupedMatmulOp activation;          ///< dA.
  GatedActivationBackwardOp input;     ///< dH.
  SmallVector<GroupedMatmulOp> matrix; ///< dW, one or none.
  Value activationRows;                ///< A.
};
} // namespace

/// Whether `value` is known where `op` stands.
static bool isKnownAt(Value value, Operation *op) {
  Operation *producer = value.getDefiningOp();
  return !producer || producer->getBlock() != op->getBlock() || producer->isBeforeInBlock(op);
}

/// ⟨dy, Y⟩ of the tokens and the plan of `rows`, where Y = A·Wᵀ with the W of `activation`.
static RoutedDotOp findWeightsGradient(DispatchOp rows, GroupedMatmulOp activation) {
  for (Operation *user : rows.getInput().getUsers()) {
    auto dot = dyn_cast<RoutedDotOp>(user);
    if (!dot || dot.getTokens() != rows.getInput() || dot.getInverse() != rows.getInverse() ||
        dot->getBlock() != rows->getBlock() || !rows->isBeforeInBlock(dot))
      continue;
    auto product = dot.getRows().getDefiningOp<GroupedMatmulOp>();
    if (product && product.getRagged() == RaggedDim::rows && product.getRhs() == activation.getRhs() &&
        product.getOffsets() == activation.getOffsets() && product.getTransposeRhs() != activation.getTransposeRhs())
      return dot;
  }
  return {};
}

static std::optional<ExpertGradients> match(DispatchOp rows) {
  if (!rows.getWeights())
    return std::nullopt;
  ExpertGradients found;
  found.rows = rows;
  for (Operation *user : rows->getUsers()) {
    auto product = dyn_cast<GroupedMatmulOp>(user);
    if (!product || product->getBlock() != rows->getBlock())
      return std::nullopt;
    if (product.getRagged() == RaggedDim::contraction) {
      found.matrix.push_back(product);
      continue;
    }
    if (found.activation || product.getLhs() != rows || product.getRhs() == rows || !product->hasOneUse())
      return std::nullopt;
    found.activation = product;
    found.input = dyn_cast<GatedActivationBackwardOp>(*product->getUsers().begin());
  }
  if (!found.input || found.input.getResultGradient() != found.activation || found.matrix.size() > 1)
    return std::nullopt;

  found.weights = findWeightsGradient(rows, found.activation);
  if (!found.weights)
    return std::nullopt;
  found.activationRows = found.weights.getRows().getDefiningOp<GroupedMatmulOp>().getLhs();
  auto activation = found.activationRows.getDefiningOp<GatedActivationOp>();
  if (!activation || activation.getInput() != found.input.getInput())
    return std::nullopt;
  for (GroupedMatmulOp matrix : found.matrix)
    if ((matrix.getLhs() == rows ? matrix.getRhs() : matrix.getLhs()) != found.activationRows)
      return std::nullopt;
  if (!isKnownAt(activation.getInput(), rows) || !isKnownAt(found.activation.getRhs(), rows) ||
      !isKnownAt(found.activation.getOffsets(), rows))
    return std::nullopt;
  return found;
}

static void rewrite(ExpertGradients &found) {
  OpBuilder builder(found.rows);
  DispatchOp old = found.rows;
  auto rows = DispatchOp::create(builder, old.getLoc(), old.getType(), old.getInput(), old.getPermutation(),
                                 old.getInverse(), /*weights=*/Value());
  found.activation.getLhsMutable().assign(rows);
  found.activation->moveBefore(old);
  Value input = found.input.getInput();
  auto backward = WeightedGatedActivationBackwardOp::create(
      builder, found.input.getLoc(), found.activationRows.getType(), input.getType(), old.getWeights().getType(), input,
      found.activation, old.getPermutation(), old.getInverse(), old.getWeights());
  for (GroupedMatmulOp matrix : found.matrix) {
    bool isLhs = matrix.getLhs() == old;
    (isLhs ? matrix.getLhsMutable() : matrix.getRhsMutable()).assign(rows);
    (isLhs ? matrix.getRhsMutable() : matrix.getLhsMutable()).assign(backward.getResult());
  }
  found.input.replaceAllUsesWith(backward.getInputGradient());
  found.weights.replaceAllUsesWith(backward.getWeightsGradient());
  found.input.erase();
  found.weights.erase();
  old.erase();
}

void mlir::moe::rewriteExpertGradients(Block &block) {
  for (DispatchOp rows : llvm::make_early_inc_range(block.getOps<DispatchOp>()))
    if (std::optional<ExpertGradients> found = match(rows))
      rewrite(*found);
}
