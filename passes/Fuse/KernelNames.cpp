//===- KernelNames.cpp - Names that say what a kernel does ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/KernelNames.h"

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/KernelLabels.h"
#include "passes/Fuse/RowsBuilder.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {

static std::string toString(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::interleave(shape, stream, "x");
  return text;
}

/// The row or contraction count that a gather gives the operand `tensor`.
static int64_t countRows(moe_kernel::MatmulOp op, Value tensor, bool gathered) {
  return gathered && op.getRowIndex() ? shapeOf(op.getRowIndex())[0] : shapeOf(tensor)[0];
}

static std::string nameMatmul(moe_kernel::MatmulOp op) {
  std::string name;
  ArrayRef<int64_t> lhs = shapeOf(op.getLhs()), rhs = shapeOf(op.getRhs()).take_back(2);
  int64_t m = 0, n = op.getTransposeRhs() ? rhs[0] : rhs[1], k = 0;
  switch (op.getKind()) {
  case moe_kernel::MatmulKind::dense:
    if (op.getTransposeLhs())
      name = op.getTransposeRhs() ? "matmul_tt" : "matmul_tn";
    else
      name = op.getTransposeRhs() ? "linear" : "matmul";
    m = op.getTransposeLhs() ? lhs[1] : countRows(op, op.getLhs(), true);
    k = op.getTransposeLhs() ? lhs[0] : lhs[1];
    break;
  case moe_kernel::MatmulKind::ragged_rows:
    name = "grouped_matmul";
    m = countRows(op, op.getLhs(), true);
    k = lhs[1];
    break;
  case moe_kernel::MatmulKind::ragged_contraction:
    name = "grouped_contraction";
    m = lhs[1];
    k = countRows(op, op.getLhs(), !op.getGatherRhs());
    break;
  }
  if (op.getRowIndex())
    name += "_dispatch";
  llvm::SmallSetVector<StringAttr, 4> labels;
  collectLabels(op, labels);
  for (StringAttr label : labels)
    name += ("_" + label.getValue()).str();
  return name + "_" + toString({m, n, k});
}

static std::string nameRoute(StringRef scoring, StringRef what, int64_t topK, Value scores) {
  return ("router_" + scoring + what + "_top" + Twine(topK) + "_" + toString(shapeOf(scores))).str();
}

static std::string nameAttention(Operation *op, int64_t heads, int64_t kvHeads, Value query) {
  return (op->getName().stripDialect() + "_h" + Twine(heads) + "kv" + Twine(kvHeads) + "_" + toString(shapeOf(query)))
      .str();
}

static std::string nameStructured(Operation *op) {
  using namespace moe_kernel;
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case([](moe_kernel::MatmulOp op) { return nameMatmul(op); })
      .Case([](RouteOp op) {
        return nameRoute(stringifyRouteScoring(op.getScoring()), "", op.getTopK(), op.getLogits());
      })
      .Case([](RouteBackwardOp op) {
        return nameRoute(stringifyRouteScoring(op.getScoring()), "_backward", shapeOf(op.getIndices())[1],
                         op.getScores());
      })
      .Case<moe_kernel::AttentionOp, moe_kernel::AttentionBackwardOp, moe_kernel::CachedAttentionOp>(
          [](auto op) { return nameAttention(op, op.getNumHeads(), op.getNumKvHeads(), op.getQuery()); })
      .Case([](CombinedMatmulOp op) {
        return std::string("grouped_matmul_combine_") + (op.getResidual() ? "add_" : "") +
               toString({shapeOf(op.getResult())[0], shapeOf(op.getResult())[1], shapeOf(op.getRows())[1]});
      })
      .Case([](PlanOp op) {
        return "plan_routing_" +
               toString({shapeOf(op.getIndices())[0], shapeOf(op.getIndices())[1], shapeOf(op.getOffsets())[0] - 1});
      })
      .Case([](CacheAppendOp op) {
        return "cache_append_" + toString(shapeOf(op.getCache())) + "_" + toString(shapeOf(op.getPositions()));
      })
      .Default([](Operation *op) {
        return (op->getName().stripDialect() + "_" + toString(shapeOf(op->getResult(0)))).str();
      });
}

/// The labels of the ops, each once, and the shape of the last of the largest results; of a scalar, the loops that lead
/// to it.
static std::string nameRows(const KernelGroup &group, TypeRange results) {
  llvm::SmallSetVector<StringAttr, 4> labels;
  SmallVector<int64_t> shape;
  for (Operation *op : group) {
    collectLabels(op, labels);
    SmallVector<int64_t> loops = cast<linalg::GenericOp>(op).getStaticLoopRanges();
    if (loops.size() > shape.size())
      shape = loops;
  }
  ArrayRef<int64_t> result;
  for (Type type : results)
    if (ArrayRef<int64_t> candidate = cast<ShapedType>(type).getShape();
        llvm::product_of(candidate) >= llvm::product_of(result))
      result = candidate;
  std::string name;
  for (StringAttr label : labels)
    name += label.str() + "_";
  if (group.front()->hasAttr(kBatchAttrName) && group.size() > 1)
    name += "of" + std::to_string(group.size()) + "_";
  return name + toString(result.empty() ? ArrayRef<int64_t>(shape) : result);
}

std::string getKernelName(const KernelGroup &group, TypeRange results) {
  if (group.front()->hasTrait<moe_kernel::StructuredKernelOp>())
    return nameStructured(group.front());
  return nameRows(group, results);
}

} // namespace mlir::moe
