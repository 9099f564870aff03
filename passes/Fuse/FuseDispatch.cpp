//===- FuseDispatch.cpp - Read dispatched rows where the tokens are --*- C++ -*-===//
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
#define GEN_PASS_DEF_FUSEDISPATCHPASS
#include "passes/Fuse/Passes.h.inc"

using moe_kernel::MatmulKind;

/// Whether the matmul that owns `use` can gather that operand by itself.
static bool canGather(OpOperand &use) {
  auto matmul = dyn_cast<moe_kernel::MatmulOp>(use.getOwner());
  if (!matmul || matmul.getRowIndex() || matmul.getKind() == MatmulKind::dense)
    return false;
  if (matmul.getKind() == MatmulKind::ragged_rows)
    return use.get() == matmul.getLhs() && use.get() != matmul.getRhs();
  // A contraction gathers one of its operands.
  return matmul.getLhs() != matmul.getRhs() && (use.get() == matmul.getLhs() || use.get() == matmul.getRhs());
}

/// If one use needs the rows in memory, the others read them there, too.
static LogicalResult fuseDispatch(DispatchOp dispatch, PatternRewriter &rewriter) {
  if (dispatch.getWeights())
    return rewriter.notifyMatchFailure(dispatch, "rows are weighted");
  if (dispatch->use_empty() || !llvm::all_of(dispatch->getUses(), canGather))
    return rewriter.notifyMatchFailure(dispatch, "a use needs the rows in memory");

  int64_t topK = cast<RankedTensorType>(dispatch.getInverse().getType()).getDimSize(1);
  for (OpOperand &use : llvm::make_early_inc_range(dispatch->getUses())) {
    auto matmul = cast<moe_kernel::MatmulOp>(use.getOwner());
    rewriter.modifyOpInPlace(matmul, [&] {
      matmul.setGatherRhs(use.get() == matmul.getRhs());
      matmul.setRowDivisor(topK);
      use.set(dispatch.getInput());
      matmul.getRowIndexMutable().assign(dispatch.getPermutation()); // Moves the operands: `use` is gone.
    });
  }
  rewriter.eraseOp(dispatch);
  return success();
}

namespace {
struct FuseDispatchPass : impl::FuseDispatchPassBase<FuseDispatchPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(fuseDispatch);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
