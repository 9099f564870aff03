//===- AttachLoss.cpp - Give train_step and evaluate their loss -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/EntryPoint.h"
#include "passes/Objective/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ATTACHLOSSPASS
#include "passes/Objective/Passes.h.inc"

namespace {
/// The weighted cross entropy of an entry point's logits, summed, and the sum of the weights.
struct Loss {
  Value sum, weightSum;
};

struct AttachLossPass : impl::AttachLossPassBase<AttachLossPass> {
  void runOnOperation() override {
    if (EntryPoint entry = EntryPoint::find(getOperation(), EntryKind::train_step))
      if (failed(attachMean(entry)))
        return signalPassFailure();
    if (EntryPoint entry = EntryPoint::find(getOperation(), EntryKind::evaluate))
      if (failed(attachSums(entry)))
        return signalPassFailure();
  }

private:
  static FailureOr<Loss> buildLoss(EntryPoint entry);
  static LogicalResult attachMean(EntryPoint entry);
  static LogicalResult attachSums(EntryPoint entry);
};
} // namespace

/// The cross entropy of `logits`, together with the projection that computes them if nothing else needs them.
static Value buildCrossEntropy(OpBuilder &builder, Value logits, Value targets, Value weights) {
  Location loc = logits.getLoc();
  Type statistic = getElementTypeOrSelf(weights);
  auto scalar = RankedTensorType::get({}, statistic);
  if (auto linear = logits.getDefiningOp<LinearOp>(); linear && linear->use_empty()) {
    Value lossSum = LinearCrossEntropyOp::create(builder, loc, scalar, linear.getInput(), linear.getWeight(), targets,
                                                 weights);
    linear.erase();
    return lossSum;
  }
  auto perToken = RankedTensorType::get({cast<RankedTensorType>(logits.getType()).getDimSize(0)}, statistic);
  return CrossEntropyOp::create(builder, loc, scalar, perToken, logits, targets, weights).getLossSum();
}

/// Adds the inputs `targets` and `weights`; takes the output `logits` away.
FailureOr<Loss> AttachLossPass::buildLoss(EntryPoint entry) {
  Value tokens = entry.getInput("tokens"), logits = entry.getOutput("logits");
  if (!tokens || !logits)
    return failure();
  auto tokensType = cast<RankedTensorType>(tokens.getType());
  // Float32 in a model, whatever its logits hold; float64 where a test asks for it.
  Type elementType = getElementTypeOrSelf(logits.getType());
  if (!elementType.isF64())
    elementType = Float32Type::get(entry.getFunc().getContext());
  Value targets = entry.addInput("targets", tokensType);
  Value weights = entry.addInput("weights", tokensType.clone(elementType));
  entry.removeOutput(*entry.findOutput("logits"));

  OpBuilder builder(entry.getTerminator());
  Value lossSum = buildCrossEntropy(builder, logits, targets, weights);
  return Loss{lossSum, SumOp::create(builder, lossSum.getLoc(), lossSum.getType(), weights)};
}

LogicalResult AttachLossPass::attachMean(EntryPoint entry) {
  FailureOr<Loss> loss = buildLoss(entry);
  if (failed(loss))
    return failure();
  OpBuilder builder(entry.getTerminator());
  entry.addOutput("loss", DivideOp::create(builder, loss->sum.getLoc(), loss->sum, loss->weightSum), 0);
  return success();
}

LogicalResult AttachLossPass::attachSums(EntryPoint entry) {
  FailureOr<Loss> loss = buildLoss(entry);
  if (failed(loss))
    return failure();
  entry.addOutput("loss_sum", loss->sum, 0);
  entry.addOutput("weight_sum", loss->weightSum, 1);
  if (std::optional<unsigned> auxLoss = entry.findOutput("aux_loss"))
    entry.removeOutput(*auxLoss);
  return success();
}

} // namespace mlir::moe
