//===- WarpgroupShape.cpp - Sizes of a matmul on warpgroups -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"
#include "passes/Target/CUDA/Hopper/DeferredEpilogue.h"
#include "passes/Target/CUDA/Hopper/ExtraTiles.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

/// Results of bf16 are transposed on their way through shared memory; extras are not.
static bool canSwap(MatmulOp op) {
  auto isScalar = [](TileExtentAttr extent) { return extent.getValue() == TileExtent::scalar; };
  auto isNarrow = [](Value result) { return getElementTypeOrSelf(result).isBF16(); };
  return op.getKind() == MatmulKind::ragged_contraction && llvm::all_of(op.getResults(), isNarrow) &&
         llvm::all_of(op.getExtraExtents().getAsRange<TileExtentAttr>(), isScalar);
}

WarpgroupShape::WarpgroupShape(MatmulOp op, int64_t tileRows)
    : kind(op.getParts() > 1 ? MatmulKind::ragged_contraction : op.getKind()), paired(op.getPaired()),
      gathersLhs(op.getRowIndex() && !op.getGatherRhs()), gathersRhs(op.getGatherRhs()), rowDivisor(op.getRowDivisor()),
      tileRows(tileRows) {
  auto lhs = op.getLhs().getType().getShape(), rhs = op.getRhs().getType().getShape();
  isRagged = op.getKind() != MatmulKind::dense;
  bool lhsByDepth = isRaggedContraction() || op.getTransposeLhs();
  lhsMajor = lhsByDepth ? Major::outer : Major::contraction;
  rhsMajor = op.getTransposeRhs() ? Major::contraction : Major::outer;
  rows = lhs[lhsByDepth ? 1 : 0];
  depth = lhs[lhsByDepth ? 0 : 1];
  columns = rhs[rhs.size() - (op.getTransposeRhs() ? 2 : 1)];
  if (op.getRowIndex())
    (isContraction() ? depth : rows) = op.getRowIndex().getType().getNumElements();
  if (op.getOffsets())
    experts = op.getOffsets().getType().getNumElements() - 1;
  else
    experts = op.getParts();
  if (gathersRhs && canSwap(op)) {
    isSwapped = true;
    std::swap(rows, columns);
    std::swap(gathersLhs, gathersRhs);
  }
  outputs = columns / halves();
  defersEpilogue = !sharesRows() && canDefer(op);
}

int64_t WarpgroupShape::getMostRowTiles() const {
  // Σ ceil(nₑ / t) is at most (Σ nₑ + E·(t − 1)) / t, and no tile is empty.
  if (isRaggedRows())
    return std::min(rows, (rows + experts * (tileRows - 1)) / tileRows);
  return llvm::divideCeil(rows, tileRows) * (isContraction() ? experts : 1);
}

/// What is not a stage: staging of results, barriers, offsets and the order of the experts.
static int64_t getFixedBytes(MatmulOp op, const WarpgroupShape &shape, int64_t tileColumns) {
  constexpr int64_t kBarriers = 256;
  int64_t tables = shape.experts > 1 || shape.kind != MatmulKind::dense ? 8 * (shape.experts + 1) : 0;
  if (shape.defersEpilogue)
    return getDeferredBytes(tileColumns) + kBarriers + kSharedAlignment + tables;
  int64_t extras = countExtraTiles(op) * kExtraTileBytes, gap = extras ? kSharedAlignment : 0;
  return kConsumerGroups * (2 * kWarpgroupRows * kSwizzleBytes + extras) + kBarriers + gap + tables;
}

int64_t chooseStages(MatmulOp op, const WarpgroupShape &shape, int64_t tileColumns, int64_t availableBytes) {
  constexpr int64_t kMost = 8;
  int64_t stageBytes = (shape.tileRows + tileColumns) * kStageDepth * 2;
  return std::min(kMost, (availableBytes - getFixedBytes(op, shape, tileColumns)) / stageBytes);
}

std::string findWarpgroupObstacle(MatmulOp op, const Capabilities &capabilities) {
  if (!capabilities.hasWarpgroupMatmul || !capabilities.hasTensorMemoryAccess)
    return (capabilities.arch + " has no warpgroup matmuls").str();
  if (!op.getLhs().getType().getElementType().isBF16() || !op.getRhs().getType().getElementType().isBF16())
    return "its operands are not of bf16";
  WarpgroupShape shape(op, kWarpgroupRows);
  constexpr int64_t kGranule = 8; // Elements of bf16 in the 16 bytes that strides of tensor maps are multiples of.
  if (op.getLhs().getType().getShape().back() % kGranule || op.getRhs().getType().getShape().back() % kGranule)
    return "rows of its operands are not multiples of 16 bytes";
  if (shape.outputs % kGranule)
    return "its " + std::to_string(shape.outputs) + " columns are not a multiple of 8";
  for (Value result : op.getResults())
    if (Type element = cast<ShapedType>(result.getType()).getElementType(); !element.isBF16() && !element.isF32())
      return "a result is neither of bf16 nor of f32";
  if (op.getResults().empty())
    return "it has no result";
  if (shape.isContraction() && !shape.isRagged && shape.depth % (shape.experts * kStageDepth) != 0)
    return "a part of its contraction is not a multiple of " + std::to_string(kStageDepth);
  if (op.sumsRows() && shape.outputs % kRowSumColumns)
    return "its " + std::to_string(shape.outputs) + " columns are not a multiple of the 64 that sums of rows take";
  return "";
}

} // namespace mlir::moe::cuda
