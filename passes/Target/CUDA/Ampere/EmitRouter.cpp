//===- EmitRouter.cpp - From tokens to experts in one launch ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Logits by mma.sync, with all stages in flight that fit; the rest is RouterTile.h.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/RouterTile.h"

namespace mlir::moe::cuda::ampere {

namespace {
/// Rows of an operand, which the contraction is contiguous in: copied to shared memory, each group's part of a stage
/// below that of the group before.
class RowsOperand {
public:
  RowsOperand(BlockBuilder &b, Value memory, int64_t extent, int64_t width, Expr firstRow, int64_t rows,
              const RouterShape &shape);

  /// Begins to copy the stage at `firstDepth` to buffer `stage`; zeros where there are no elements.
  void copy(Expr firstDepth, Expr stage);
  Expr getBuffer(Expr stage) const { return tile.getBuffer(stage); }
  FragmentReader getReader(Expr group, Expr firstRow) const {
    return {tile, /*depthIsContiguous=*/true, group * rows + firstRow};
  }

private:
  struct Piece {
    Expr exists, row, column; ///< Of the tile.
    Expr depth, offset, inside;
  };
  BlockBuilder &b;
  Value memory;
  int64_t rows, width;
  SharedTile tile;
  SmallVector<Piece> pieces;
};

} // namespace

RowsOperand::RowsOperand(BlockBuilder &b, Value memory, int64_t extent, int64_t width, Expr firstRow, int64_t rows,
                         const RouterShape &shape)
    : b(b), memory(memory), rows(rows), width(width), tile(b, shape.groups * rows, shape.depth, shape.stages) {
  forPieces(b, tile.rows, tile.columns, kChunk, [&](Expr row, Expr column, Expr exists) {
    Expr source = firstRow + row % rows;
    Expr inside = extent % rows == 0 ? Expr() : source < extent;
    if (inside)
      source = select(inside, source, b.index(0));
    Expr depth = row / rows * shape.depth + column;
    pieces.push_back({exists, row, column, depth, source * width + depth, inside});
  });
}

void RowsOperand::copy(Expr firstDepth, Expr stage) {
  Expr buffer = getBuffer(stage);
  for (const Piece &piece : pieces)
    b.ifThen(piece.exists, [&] {
      Expr valid = both(firstDepth + piece.depth < width, piece.inside);
      copyAsync(tile, buffer, piece.row, piece.column, memory, piece.offset + firstDepth, valid, kChunk);
    });
}

static void computeLogits(BlockBuilder &b, moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape,
                          RouterTile &tile) {
  int64_t width = tile.width, warpRows = shape.getWarpRows(), warpExperts = shape.getWarpExperts();
  int64_t across = shape.experts / warpExperts, ofGroup = shape.getWarpsOfGroup(), stages = shape.stages;
  Expr group = b.warp / ofGroup, inGroup = b.warp % ofGroup;
  Expr warpRow = inGroup / across * warpRows, warpExpert = inGroup % across * warpExperts;
  RowsOperand lhs(b, b.operand(op.getInput()), tile.tokens, width, tile.firstToken, shape.rows, shape);
  RowsOperand rhs(b, b.operand(op.getWeight()), tile.experts, width, tile.firstExpert, shape.experts, shape);
  FragmentReader lhsReader = lhs.getReader(group, warpRow), rhsReader = rhs.getReader(group, warpExpert);
  WarpTile warp(b, warpRows, warpExperts);

  int64_t step = shape.groups * shape.depth;
  auto next = [&](Expr stage) { return select(stage == stages - 1, b.index(0), stage + 1); };
  // A stage's group of copies has its tokens; its weights are in that or, if the kernel may read them before it waits for
  // the one before it, in an earlier one.
  auto copyFirstStages = [&](bool ofLhs, bool ofRhs) {
    for (int64_t stage = 0; stage < stages - 1; ++stage) {
      Expr depth = b.index(stage * step), buffer = b.index(stage);
      if (ofLhs)
        lhs.copy(depth, buffer);
      if (ofRhs)
        rhs.copy(depth, buffer);
      commitCopies(b);
    }
  };
  bool startsEarly = context.isSettled(op.getWeight());
  if (startsEarly) {
    copyFirstStages(/*ofLhs=*/false, /*ofRhs=*/true);
    waitForPreviousKernel(context, {op.getWeight()});
  }
  copyFirstStages(/*ofLhs=*/true, /*ofRhs=*/!startsEarly);
  auto storeSums = [&](ArrayRef<Expr> accumulators) {
    for (int64_t i = 0; i < warpRows / kFragment; ++i)
      for (int64_t strip = 0; strip < warp.getStrips(); ++strip)
        for (int64_t part = 0; part < 4; ++part)
          tile.storeSum(warp.strip(accumulators, i, strip)[part], group, warpRow + warp.row(i, part / 2),
                        warpExpert + warp.column(strip) + part % 2);
  };
  auto multiplyStage = [&](MutableArrayRef<Expr> accumulators, Expr read) {
    for (int64_t k = 0; k < shape.depth; k += kFragment) {
      SmallVector<Fragment> left, right;
      for (int64_t row = 0; row < warpRows; row += kFragment)
        left.push_back(lhsReader.load(lhs.getBuffer(read), row, k));
      for (int64_t expert = 0; expert < warpExperts; expert += kFragment)
        right.push_back(rhsReader.load(rhs.getBuffer(read), expert, k));
      warp.multiply(accumulators, left, right);
    }
  };
  SmallVector<Expr> carried = warp.zeros();
  int64_t steps = llvm::divideCeil(width, step);
  if (steps < stages) { // Everything is under way.
    for (int64_t stage = 0; stage < steps; ++stage) {
      waitForCopies(b, stages - 2 - stage);
      b.barrier();
      multiplyStage(carried, b.index(stage));
    }
    return storeSums(carried);
  }
  carried.append({b.index(0), b.index(stages - 1)});
  carried = b.loop(b.index(0), b.index(width), step, carried, [&](Expr depth, ArrayRef<Expr> carried) {
    SmallVector<Expr> accumulators(carried.take_front(warp.size()));
    Expr read = carried[warp.size()], write = carried[warp.size() + 1];
    waitForCopies(b, stages - 2);
    b.barrier();
    Expr following = depth + (stages - 1) * step;
    lhs.copy(following, write);
    rhs.copy(following, write);
    commitCopies(b);
    multiplyStage(accumulators, read);
    accumulators.append({next(read), next(write)});
    return accumulators;
  });

  storeSums(ArrayRef<Expr>(carried).take_front(warp.size()));
}

FailureOr<LaunchShape> emitRouter(moe_kernel::RouterOp op, EmitterContext &context) {
  std::optional<RouterShape> shape = RouterShape::get(context.config);
  if (!shape || !canRoute(op.getInput().getType(), op.getWeight().getType()))
    return op.emitError() << "cannot be emitted for " << context.config;
  if (failed(checkRouter(op, *shape)))
    return failure();
  BlockBuilder b(context);
  RouterTile tile(b, op, context, *shape);
  return tile.emit([&] { computeLogits(b, op, context, *shape, tile); });
}

} // namespace mlir::moe::cuda::ampere
