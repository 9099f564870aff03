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

/// Adds the inputs `targets` and `weights`; takes the output `logits` away.
FailureOr<Loss> AttachLossPass::buildLoss(EntryPoint entry) {
  Value tokens = entry.getInput("tokens"), logits = entry.getOutput("logits");
  if (!tokens || !logits)
    return failure();
  auto tokensType = cast<RankedTensorType>(tokens.getType());
  // Float32 in a model; float64 where a test asks for it.
  Type elementType = getElementTypeOrSelf(logits.getType());
  Value targets = entry.addInput("targets", tokensType);
  Value weights = entry.addInput("weights", tokensType.clone(elementType));
  entry.removeOutput(*entry.findOutput("logits"));

  OpBuilder builder(entry.getTerminator());
  Location loc = logits.getLoc();
  auto scalar = RankedTensorType::get({}, elementType);
  auto tokensTimesStatistic =
      RankedTensorType::get({cast<RankedTensorType>(logits.getType()).getDimSize(0)}, elementType);
  auto crossEntropy = CrossEntropyOp::create(builder, loc, scalar, tokensTimesStatistic, logits, targets, weights);
  Value weightSum = SumOp::create(builder, loc, scalar, weights);
  return Loss{crossEntropy.getLossSum(), weightSum};
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
