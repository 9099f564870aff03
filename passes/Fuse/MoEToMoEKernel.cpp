//===- MoEToMoEKernel.cpp - Convert what is a structured kernel by itself --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/ScalarBuilder.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOETOMOEKERNELPASS
#include "passes/Fuse/Passes.h.inc"

using moe_kernel::MatmulKind;

namespace {
struct MatmulShape {
  MatmulKind kind = MatmulKind::dense;
  bool transposeLhs = false, transposeRhs = false;
};
} // namespace

/// Replaces `op` by a matmul that stores its accumulator, rounded if the result is bf16.
static LogicalResult replaceWithMatmul(Operation *op, Value lhs, Value rhs, Value offsets, MatmulShape shape,
                                       PatternRewriter &rewriter) {
  Type resultType = op->getResult(0).getType();
  Type elementType = getElementTypeOrSelf(resultType), accumulatorType = rewriter.getF32Type();
  if (elementType != accumulatorType && !elementType.isBF16())
    return rewriter.notifyMatchFailure(op, "only matmuls to float32 and bf16 become kernels");
  auto full = moe_kernel::TileExtentAttr::get(op->getContext(), moe_kernel::TileExtent::full);
  auto matmul = moe_kernel::MatmulOp::create(
      rewriter, op->getLoc(), resultType, lhs, rhs, offsets, /*row_index=*/Value(), /*extras=*/ValueRange(), shape.kind,
      shape.transposeLhs, shape.transposeRhs, /*paired=*/false, /*gather_rhs=*/false, /*row_divisor=*/1,
      /*extra_extents=*/rewriter.getArrayAttr({}), /*result_extents=*/rewriter.getArrayAttr(full));
  {
    OpBuilder::InsertionGuard guard(rewriter);
    Block *epilogue = rewriter.createBlock(&matmul.getEpilogue(), {}, accumulatorType, op->getLoc());
    ScalarBuilder builder(op->getLoc(), rewriter);
    Value stored = builder.round(epilogue->getArgument(0), elementType);
    moe_kernel::YieldOp::create(builder, stored);
  }
  rewriter.replaceOp(op, matmul);
  return success();
}

static LogicalResult convertLinear(LinearOp op, PatternRewriter &rewriter) {
  return replaceWithMatmul(op, op.getInput(), op.getWeight(), Value(), {.transposeRhs = true}, rewriter);
}

static LogicalResult convertMatmul(MatmulOp op, PatternRewriter &rewriter) {
  MatmulShape shape{MatmulKind::dense, op.getTransposeLhs(), op.getTransposeRhs()};
  return replaceWithMatmul(op, op.getLhs(), op.getRhs(), Value(), shape, rewriter);
}

static LogicalResult convertGroupedMatmul(GroupedMatmulOp op, PatternRewriter &rewriter) {
  bool rows = op.getRagged() == RaggedDim::rows;
  MatmulShape shape{rows ? MatmulKind::ragged_rows : MatmulKind::ragged_contraction, false, op.getTransposeRhs()};
  return replaceWithMatmul(op, op.getLhs(), op.getRhs(), op.getOffsets(), shape, rewriter);
}

static LogicalResult convertAttention(AttentionOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::AttentionOp>(op, op.getResultTypes(), op.getQuery(), op.getKey(),
                                                       op.getValue(), op.getPositions(), op.getNumHeads(),
                                                       op.getNumKvHeads(), op.getSequenceLength());
  return success();
}

static LogicalResult convertAttentionBackward(AttentionBackwardOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::AttentionBackwardOp>(
      op, op.getResultTypes(), op.getQuery(), op.getKey(), op.getValue(), op.getResult(), op.getLse(),
      op.getResultGradient(), op.getPositions(), op.getNumHeads(), op.getNumKvHeads(), op.getSequenceLength());
  return success();
}

static LogicalResult convertCachedAttention(CachedAttentionOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::CachedAttentionOp>(op, op.getType(), op.getQuery(), op.getKeyCache(),
                                                             op.getValueCache(), op.getPositions(), op.getNumHeads(),
                                                             op.getNumKvHeads());
  return success();
}

static LogicalResult convertCacheAppend(CacheAppendOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::CacheAppendOp>(op, op.getType(), op.getCache(), op.getRows(),
                                                         op.getPositions());
  return success();
}

static LogicalResult convertPlanRouting(PlanRoutingOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::PlanOp>(op, op.getResultTypes(), op.getIndices(), /*counts=*/Value(),
                                                  /*chunk=*/IntegerAttr());
  return success();
}

static LogicalResult convertEmbeddingBackward(EmbeddingBackwardOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::ScatterAddOp>(op, op.getType(), op.getIndices(), op.getResultGradient());
  return success();
}

/// A choice from scores that are computed elsewhere (see moe-fuse-routing for the usual case).
static LogicalResult convertTopKGate(TopKGateOp op, PatternRewriter &rewriter) {
  auto route = moe_kernel::RouteOp::create(rewriter, op.getLoc(), op.getScores().getType(), op.getWeights().getType(),
                                           op.getIndices().getType(), op.getScores(), op.getSelectionBias(),
                                           op.getTopK(), moe_kernel::RouteScoring::identity, op.getNormTopkProb(),
                                           op.getRoutedScalingFactor());
  rewriter.replaceOp(op, {route.getWeights(), route.getIndices()});
  return success();
}

static LogicalResult convertTopKGateBackward(TopKGateBackwardOp op, PatternRewriter &rewriter) {
  rewriter.replaceOpWithNewOp<moe_kernel::RouteBackwardOp>(
      op, op.getType(), op.getScores(), op.getIndices(), op.getWeightsGradient(), /*scores_gradient=*/Value(),
      moe_kernel::RouteScoring::identity, op.getNormTopkProb(), op.getRoutedScalingFactor());
  return success();
}

namespace {
struct MoEToMoEKernelPass : impl::MoEToMoEKernelPassBase<MoEToMoEKernelPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(convertLinear)
        .add(convertMatmul)
        .add(convertGroupedMatmul)
        .add(convertAttention)
        .add(convertAttentionBackward)
        .add(convertCachedAttention)
        .add(convertCacheAppend)
        .add(convertPlanRouting)
        .add(convertEmbeddingBackward)
        .add(convertTopKGate)
        .add(convertTopKGateBackward);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
} // namespace mlir::moe
