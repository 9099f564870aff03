//===- FuseElementwise.cpp - Fuse chains of elementwise linalg.generic ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/ApplyFusions.h"
#include "passes/Fuse/KernelLabels.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/RowsBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "passes/Fuse/Passes.h.inc"

/// The producer of `operand`, if `consumer` computes over the same loops and is the only one to read it.
static linalg::GenericOp getFusableProducer(linalg::GenericOp consumer, OpOperand &operand) {
  auto producer = operand.get().getDefiningOp<linalg::GenericOp>();
  if (!producer || producer->getNumResults() != 1 || !producer->hasOneUse() || !consumer.isDpsInput(&operand))
    return {};
  if (producer.getNumParallelLoops() != producer.getNumLoops() ||
      consumer.getNumParallelLoops() != consumer.getNumLoops() ||
      !consumer.getMatchingIndexingMap(&operand).isIdentity())
    return {};
  if (producer->hasAttr(kInPlaceAttrName) || consumer->hasAttr(kInPlaceAttrName))
    return {};
  return linalg::areElementwiseOpsFusable(&operand) ? producer : linalg::GenericOp();
}

static LogicalResult fuseElementwiseChain(linalg::GenericOp consumer, PatternRewriter &rewriter) {
  for (OpOperand &operand : consumer->getOpOperands()) {
    linalg::GenericOp producer = getFusableProducer(consumer, operand);
    if (!producer)
      continue;
    llvm::SmallSetVector<StringAttr, 4> labels;
    collectLabels(producer, labels);
    collectLabels(consumer, labels);
    FailureOr<linalg::ElementwiseOpFusionResult> fused = linalg::fuseElementwiseOps(rewriter, &operand);
    if (failed(fused))
      return rewriter.notifyMatchFailure(consumer, "upstream fusion failed");
    setLabels(fused->fusedOp, labels);
    auto replacements =
        llvm::map_to_vector(consumer->getResults(), [&](Value result) { return fused->replacements.lookup(result); });
    rewriter.replaceOp(consumer, replacements);
    return success();
  }
  return rewriter.notifyMatchFailure(consumer, "no producer is elementwise over the same loops");
}

/// extf(truncf(x)) in one body, where nothing stores the rounded value → x.
static LogicalResult dropRounding(arith::ExtFOp extension, PatternRewriter &rewriter) {
  auto rounding = extension.getIn().getDefiningOp<arith::TruncFOp>();
  if (!rounding || rounding.getIn().getType() != extension.getType() ||
      !isa<linalg::GenericOp>(extension->getParentOp()))
    return rewriter.notifyMatchFailure(extension, "does not extend what was just rounded");
  if (!llvm::all_of(rounding->getUsers(), llvm::IsaPred<arith::ExtFOp>))
    return rewriter.notifyMatchFailure(extension, "the rounded value is stored");
  rewriter.replaceOp(extension, rounding.getIn());
  return success();
}

namespace {
struct FuseElementwisePass : impl::FuseElementwisePassBase<FuseElementwisePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(fuseElementwiseChain).add(dropRounding);
    if (failed(applyFusions(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
