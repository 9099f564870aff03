//===- FuseCombine.cpp - Sum up rows where they are computed --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/Passes.h"
#include "passes/Target/Target.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSECOMBINEPASS
#include "passes/Fuse/Passes.h.inc"

using moe_kernel::MatmulKind;

/// Whether `matmul` multiplies the rows of experts, and stores the products, rounded or as they are, and nothing else.
static bool isPlainMatmulOfRows(moe_kernel::MatmulOp matmul) {
  Block &epilogue = matmul.getEpilogue().front();
  return matmul.getKind() == MatmulKind::ragged_rows && matmul.getTransposeRhs() && !matmul.getRowIndex() &&
         !matmul.getPaired() && matmul.getExtras().empty() && matmul->getNumResults() == 1 &&
         llvm::all_of(epilogue.without_terminator(), [](Operation &op) { return isa<arith::TruncFOp>(op); });
}

namespace {
struct FuseCombine : OpRewritePattern<CombineOp> {
  FuseCombine(MLIRContext *context, const Target &target) : OpRewritePattern(context), target(target) {}

  LogicalResult matchAndRewrite(CombineOp combine, PatternRewriter &rewriter) const override {
    auto matmul = combine.getRows().getDefiningOp<moe_kernel::MatmulOp>();
    if (!combine.getWeights() || !matmul || !combine.getRows().hasOneUse() || !isPlainMatmulOfRows(matmul))
      return rewriter.notifyMatchFailure(combine, "its rows are not the products of a matmul for it alone");
    if (!target.combinesRows(matmul, cast<ShapedType>(combine.getType()).getDimSize(0)))
      return rewriter.notifyMatchFailure(combine, "the target does not sum them up in the matmul");

    Operation *last = combine;
    Value residual;
    if (combine->hasOneUse())
      if (auto add = dyn_cast<AddOp>(*combine->user_begin()); add && add->getBlock() == combine->getBlock()) {
        last = add;
        residual = add.getOperand(add.getOperand(0) == combine.getResult() ? 1 : 0);
      }
    rewriter.setInsertionPoint(last);
    rewriter.replaceOpWithNewOp<moe_kernel::CombinedMatmulOp>(last, last->getResult(0).getType(), matmul.getLhs(),
                                                              matmul.getRhs(), matmul.getOffsets(),
                                                              combine.getInverse(), combine.getWeights(), residual);
    if (residual)
      rewriter.eraseOp(combine);
    rewriter.eraseOp(matmul);
    return success();
  }

private:
  const Target &target;
};

struct FuseCombinePass : impl::FuseCombinePassBase<FuseCombinePass> {
  void runOnOperation() override {
    auto module = getOperation()->getParentOfType<ModuleOp>();
    if (!module || !module->hasAttr(kTargetAttrName))
      return;
    std::unique_ptr<Target> target = getTarget(module);
    if (!target)
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseCombine>(&getContext(), *target);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
