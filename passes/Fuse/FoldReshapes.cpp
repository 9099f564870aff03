//===- FoldReshapes.cpp - Compute in the shape that is gathered from --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/ApplyFusions.h"
#include "passes/Fuse/KernelGroups.h"
#include "passes/Fuse/KernelLabels.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/RowsBuilder.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FOLDRESHAPESPASS
#include "passes/Fuse/Passes.h.inc"

/// Whether the body of a linalg.generic reads elements of `tensor` at places of its own choice.
static bool isGatheredFrom(Value tensor) { return llvm::any_of(tensor.getUsers(), llvm::IsaPred<tensor::ExtractOp>); }

/// What computes `expand`'s elements, if nothing but `expand` reads it, seen through collapses: an op of parallel loops
/// that knows of them only by its operands.
static linalg::GenericOp findProducer(tensor::ExpandShapeOp expand) {
  Value source = expand.getSrc();
  while (source.hasOneUse() && source.getDefiningOp<tensor::CollapseShapeOp>())
    source = source.getDefiningOp()->getOperand(0);
  auto producer = source.getDefiningOp<linalg::GenericOp>();
  bool canReshape = producer && source.hasOneUse() && producer->getNumResults() == 1 &&
                    producer.getNumParallelLoops() == producer.getNumLoops() &&
                    producer.getIndexingMapMatchingResult(producer->getOpResult(0)).isIdentity() &&
                    producer.getRegionOutputArgs().front().use_empty() && !producer->hasAttr(kInPlaceAttrName) &&
                    producer.getBody()->getOps<linalg::IndexOp>().empty();
  return canReshape ? producer : linalg::GenericOp();
}

/// The loops that `group` leaves if those without iterations are left out, but one at least.
static SmallVector<unsigned> dropUnitLoops(ArrayRef<int64_t> group, ArrayRef<int64_t> extents) {
  SmallVector<unsigned> loops;
  for (int64_t loop : group)
    if (extents[loop] != 1)
      loops.push_back(loop);
  if (loops.empty())
    loops.push_back(group.front());
  return loops;
}

static LogicalResult computeExpanded(tensor::ExpandShapeOp expand, PatternRewriter &rewriter) {
  linalg::GenericOp producer = findProducer(expand);
  if (!producer || !isGatheredFrom(expand.getResult()))
    return rewriter.notifyMatchFailure(expand, "is not gathered from, or its producer can have no other shape");
  auto from = cast<RankedTensorType>(producer->getResult(0).getType()), to = expand.getResultType();
  auto groups = getReassociationIndicesForReshape(from, to);
  if (from.getRank() == 0 || from.getRank() >= to.getRank() || !groups)
    return rewriter.notifyMatchFailure(expand, "does not divide dimensions of what is computed");
  if (from.getDimSize(0) != to.getDimSize(0))
    return rewriter.notifyMatchFailure(expand, "divides rows, which the producer shares with what it reads");

  rewriter.setInsertionPoint(producer);
  RowsBuilder b(producer.getLoc(), rewriter, /*label=*/"");
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand *input : producer.getDpsInputOperands()) {
    SmallVector<int64_t> shape;
    SmallVector<AffineExpr> loops;
    for (AffineExpr loop : producer.getMatchingIndexingMap(input).getResults())
      for (unsigned inner : dropUnitLoops((*groups)[cast<AffineDimExpr>(loop).getPosition()], to.getShape())) {
        shape.push_back(to.getDimSize(inner));
        loops.push_back(rewriter.getAffineDimExpr(inner));
      }
    inputs.push_back(b.reshape(input->get(), shape));
    maps.push_back(AffineMap::get(to.getRank(), 0, loops, rewriter.getContext()));
  }
  maps.push_back(rewriter.getMultiDimIdentityMap(to.getRank()));
  Value init = tensor::EmptyOp::create(b, to.getShape(), to.getElementType());
  SmallVector<utils::IteratorType> iterators(to.getRank(), utils::IteratorType::parallel);
  auto expanded = linalg::GenericOp::create(b, TypeRange(to), inputs, init, maps, iterators);
  rewriter.inlineRegionBefore(producer.getRegion(), expanded.getRegion(), expanded.getRegion().end());
  expanded->setDiscardableAttrs(producer->getDiscardableAttrDictionary());

  Operation *reshape = expand.getSrc().getDefiningOp();
  rewriter.replaceOp(expand, expanded);
  while (reshape != producer) {
    Operation *before = reshape->getOperand(0).getDefiningOp();
    rewriter.eraseOp(reshape);
    reshape = before;
  }
  rewriter.eraseOp(producer);
  return success();
}

namespace {
struct FoldReshapesPass : impl::FoldReshapesPassBase<FoldReshapesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(computeExpanded);
    if (failed(applyFusions(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
