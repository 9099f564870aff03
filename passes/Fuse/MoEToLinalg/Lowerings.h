//===- Lowerings.h - How moe ops become linalg.generic ops ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_MOETOLINALG_LOWERINGS_H
#define PASSES_FUSE_MOETOLINALG_LOWERINGS_H

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/IR/PatternMatch.h"
#include "passes/Fuse/RowsBuilder.h"

#include <functional>

namespace mlir::moe {

/// Replaces ops of type OpT by what `lower` builds for them: one value per result.
template <typename OpT> class LowerToRows : public OpRewritePattern<OpT> {
public:
  using Lower = std::function<SmallVector<Value>(OpT op, RowsBuilder &builder)>;
  LowerToRows(MLIRContext *context, Lower lower) : OpRewritePattern<OpT>(context), lower(std::move(lower)) {}

  LogicalResult matchAndRewrite(OpT op, PatternRewriter &rewriter) const override {
    RowsBuilder builder(op.getLoc(), rewriter, op->getName().stripDialect());
    rewriter.replaceOp(op, lower(op, builder));
    return success();
  }

private:
  Lower lower;
};

template <typename OpT> void addLowering(RewritePatternSet &patterns, typename LowerToRows<OpT>::Lower lower) {
  patterns.add<LowerToRows<OpT>>(patterns.getContext(), std::move(lower));
}
template <typename OpT>
void addLowering(RewritePatternSet &patterns, SmallVector<Value> (*lower)(OpT op, RowsBuilder &builder)) {
  patterns.add<LowerToRows<OpT>>(patterns.getContext(), lower);
}

void populateElementwiseLowerings(RewritePatternSet &patterns);
void populateEmbeddingLowerings(RewritePatternSet &patterns);
void populateNormLowerings(RewritePatternSet &patterns);
void populateRoutingLowerings(RewritePatternSet &patterns);
void populateLossLowerings(RewritePatternSet &patterns);
/// `logitsBytes`: how much memory the logits of some tokens may take.
void populateLinearCrossEntropyLowerings(RewritePatternSet &patterns, int64_t logitsBytes);
void populateOptimizerLowerings(RewritePatternSet &patterns);

} // namespace mlir::moe

#endif // PASSES_FUSE_MOETOLINALG_LOWERINGS_H
