//===- FuseRouting.cpp - Fuse scores, top-k choice and weights --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEROUTINGPASS
#include "passes/Fuse/Passes.h.inc"

static moe_kernel::RouteScoring toRouteScoring(ScoringFunc function) {
  return function == ScoringFunc::softmax ? moe_kernel::RouteScoring::softmax : moe_kernel::RouteScoring::sigmoid;
}

/// topk_gate(router_scores(logits)) → route(logits). The scores stay a result: the balance loss and the gradients read
/// them.
static LogicalResult fuseRoute(TopKGateOp gate, PatternRewriter &rewriter) {
  auto scores = gate.getScores().getDefiningOp<RouterScoresOp>();
  if (!scores)
    return rewriter.notifyMatchFailure(gate, "the scores are not computed here");
  auto route = moe_kernel::RouteOp::create(rewriter, gate.getLoc(), scores.getType(), gate.getWeights().getType(),
                                           gate.getIndices().getType(), scores.getLogits(), gate.getSelectionBias(),
                                           gate.getTopK(), toRouteScoring(scores.getScoringFunc()),
                                           gate.getNormTopkProb(), gate.getRoutedScalingFactor());
  // Uses of the scores that stand before the gate keep their own; usually there are none.
  rewriter.replaceUsesWithIf(scores, route.getScores(), [&](OpOperand &use) {
    Operation *user = gate->getBlock()->findAncestorOpInBlock(*use.getOwner());
    return user && route->isBeforeInBlock(user);
  });
  rewriter.replaceOp(gate, {route.getWeights(), route.getIndices()});
  if (scores->use_empty())
    rewriter.eraseOp(scores);
  return success();
}

/// router_scores_backward(scores, topk_gate_backward(scores, …) [+ other gradient of the scores]) → route_backward.
static LogicalResult fuseRouteBackward(RouterScoresBackwardOp backward, PatternRewriter &rewriter) {
  Value gradient = backward.getScoresGradient(), other;
  if (auto sum = gradient.getDefiningOp<AddOp>(); sum && sum->hasOneUse()) {
    bool gateIsLhs = sum.getLhs().getDefiningOp<TopKGateBackwardOp>() != nullptr;
    gradient = gateIsLhs ? sum.getLhs() : sum.getRhs();
    other = gateIsLhs ? sum.getRhs() : sum.getLhs();
  }
  auto gate = gradient.getDefiningOp<TopKGateBackwardOp>();
  if (!gate || !gate->hasOneUse() || gate.getScores() != backward.getScores())
    return rewriter.notifyMatchFailure(backward, "the gradient of the scores is not that of their top-k choice");
  rewriter.replaceOpWithNewOp<moe_kernel::RouteBackwardOp>(
      backward, backward.getType(), gate.getScores(), gate.getIndices(), gate.getWeightsGradient(), other,
      toRouteScoring(backward.getScoringFunc()), gate.getNormTopkProb(), gate.getRoutedScalingFactor());
  return success();
}

namespace {
struct FuseRoutingPass : impl::FuseRoutingPassBase<FuseRoutingPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(fuseRoute).add(fuseRouteBackward);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
