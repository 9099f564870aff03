//===- MergeLoss.cpp - Take the loss from where its gradient is computed --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "passes/Objective/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MERGELOSSPASS
#include "passes/Objective/Passes.h.inc"

/// The gradient of `loss`, if its block has it.
static LinearCrossEntropyBackwardOp findBackward(LinearCrossEntropyOp loss) {
  for (Operation *user : loss.getHidden().getUsers())
    if (auto backward = dyn_cast<LinearCrossEntropyBackwardOp>(user);
        backward && backward->getBlock() == loss->getBlock() &&
        llvm::equal(loss->getOperands(), backward->getOperands().drop_back()))
      return backward;
  return {};
}

namespace {
struct MergeLossPass : impl::MergeLossPassBase<MergeLossPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<LinearCrossEntropyOp> losses;
    getOperation().walk([&](LinearCrossEntropyOp loss) { losses.push_back(loss); });
    for (LinearCrossEntropyOp loss : losses) {
      LinearCrossEntropyBackwardOp backward = findBackward(loss);
      // Their other operands are the same: what can be missing where the loss stands is the gradient of the loss.
      if (!backward || failed(moveOperationDependencies(rewriter, backward, loss)))
        continue;
      rewriter.moveOpBefore(backward, loss);
      rewriter.replaceOp(loss, backward.getLossSum());
    }
  }
};
} // namespace
} // namespace mlir::moe
