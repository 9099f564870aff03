//===- EmitRouter.cpp - From tokens to experts in one launch ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Blocks of (tokens × experts), see RouterShape.h:
///
/// ```
/// logits of the block by mma.sync, all stages in flight that fit, sums of the groups to shared memory
/// if the block has not all experts: logits to global memory; the last block of the tokens goes on with all of them
/// a warp for each token, several at a time: scores, experts, weights; counts per expert in shared memory
/// if it makes the plan: the last block of all sorts the entries
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/RouterShape.h"
#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/GridCounter.h"
#include "passes/Target/CUDA/PlanSlice.h"
#include "passes/Target/CUDA/TokenChoice.h"

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

class RouterEmitter {
public:
  RouterEmitter(moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape);
  LaunchShape emit();

private:
  void computeLogits();
  void routeTokens();
  void writeCounts();
  void makePlan();

  int64_t getRowTiles() const { return llvm::divideCeil(tokens, shape.rows); }
  int64_t getExpertTiles() const { return llvm::divideCeil(experts, shape.experts); }
  bool passesLogits() const { return getExpertTiles() > 1; }
  /// The sum of the groups, for a row of the block.
  Expr loadLogit(Expr row, Expr expert);

  moe_kernel::RouterOp op;
  EmitterContext &context;
  BlockBuilder b;
  RouterShape shape;
  int64_t tokens, width, experts;
  TokenChoice choice;
  Expr rowTile, firstToken, firstExpert; ///< Of the block.
  Value sums;                            ///< Of groups × rows × experts of the block.
  Value exchanged;                       ///< Logits [T, E] in global memory, if blocks pass them on.
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

RouterEmitter::RouterEmitter(moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape)
    : op(op), context(context), b(context), shape(shape), tokens(op.getInput().getType().getDimSize(0)),
      width(op.getInput().getType().getDimSize(1)), experts(op.getWeight().getType().getDimSize(0)),
      choice(b, op, experts) {
  rowTile = b.block / getExpertTiles();
  firstToken = rowTile * shape.rows;
  firstExpert = b.block % getExpertTiles() * shape.experts;
  sums = b.allocateShared(shape.groups * shape.rows * shape.getSumStride());
  if (passesLogits())
    exchanged = b.result(op.getScores());
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

void RouterEmitter::computeLogits() {
  int64_t warpRows = shape.getWarpRows(), warpExperts = shape.getWarpExperts();
  int64_t across = shape.experts / warpExperts, ofGroup = shape.getWarpsOfGroup(), stages = shape.stages;
  Expr group = b.warp / ofGroup, inGroup = b.warp % ofGroup;
  Expr warpRow = inGroup / across * warpRows, warpExpert = inGroup % across * warpExperts;
  RowsOperand lhs(b, b.operand(op.getInput()), tokens, width, firstToken, shape.rows, shape);
  RowsOperand rhs(b, b.operand(op.getWeight()), experts, width, firstExpert, shape.experts, shape);
  FragmentReader lhsReader = lhs.getReader(group, warpRow), rhsReader = rhs.getReader(group, warpExpert);
  WarpTile warp(b, warpRows, warpExperts);

  int64_t step = shape.groups * shape.depth;
  auto copy = [&](Expr depth, Expr stage) {
    lhs.copy(depth, stage);
    rhs.copy(depth, stage);
    commitCopies(b);
  };
  auto next = [&](Expr stage) { return select(stage == stages - 1, b.index(0), stage + 1); };
  for (int64_t stage = 0; stage < stages - 1; ++stage)
    copy(b.index(stage * step), b.index(stage));
  SmallVector<Expr> carried = warp.zeros();
  carried.append({b.index(0), b.index(stages - 1)});
  carried = b.loop(b.index(0), b.index(width), step, carried, [&](Expr depth, ArrayRef<Expr> carried) {
    SmallVector<Expr> accumulators(carried.take_front(warp.size()));
    Expr read = carried[warp.size()], write = carried[warp.size() + 1];
    waitForCopies(b, stages - 2);
    b.barrier();
    copy(depth + (stages - 1) * step, write);
    for (int64_t k = 0; k < shape.depth; k += kFragment) {
      SmallVector<Fragment> left, right;
      for (int64_t row = 0; row < warpRows; row += kFragment)
        left.push_back(lhsReader.load(lhs.getBuffer(read), row, k));
      for (int64_t expert = 0; expert < warpExperts; expert += kFragment)
        right.push_back(rhsReader.load(rhs.getBuffer(read), expert, k));
      warp.multiply(accumulators, left, right);
    }
    accumulators.append({next(read), next(write)});
    return accumulators;
  });

  ArrayRef<Expr> accumulators = ArrayRef<Expr>(carried).take_front(warp.size());
  Expr firstSum = group * (shape.rows * shape.getSumStride());
  for (int64_t i = 0; i < warpRows / kFragment; ++i)
    for (int64_t strip = 0; strip < warp.getStrips(); ++strip)
      for (int64_t part = 0; part < 4; ++part)
        b.store(warp.strip(accumulators, i, strip)[part], sums,
                firstSum + (warpRow + warp.row(i, part / 2)) * shape.getSumStride() + warpExpert + warp.column(strip) +
                    part % 2);
  b.barrier();
}

Expr RouterEmitter::loadLogit(Expr row, Expr expert) {
  Expr offset = row * shape.getSumStride() + expert, sum = b.load(sums, offset);
  for (int64_t group = 1; group < shape.groups; ++group)
    sum = sum + b.load(sums, offset + group * (shape.rows * shape.getSumStride()));
  return sum;
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

void RouterEmitter::routeTokens() {
  // As many tokens of a warp side by side as leave their scores in registers.
  int64_t count = choice.lanes.getCount(), perWarp = llvm::divideCeil(std::min(shape.rows, tokens), b.warps);
  int64_t atOnce = std::clamp<int64_t>(16 / count, 1, std::min<int64_t>(perWarp, 4));
  b.loop(b.warp, b.index(std::min(shape.rows, tokens)), b.warps * atOnce, [&](Expr first) {
    SmallVector<TokenChoice::Token> group;
    for (int64_t i = 0; i < atOnce; ++i) {
      // Rows that do not exist are computed like the others.
      Expr row = first + i * b.warps, token = firstToken + row;
      Expr exists = both(shape.rows % (b.warps * atOnce) == 0 ? Expr() : row < shape.rows,
                         tokens % shape.rows == 0 ? Expr() : token < tokens);
      if (exists) {
        row = select(exists, row, b.index(0));
        token = select(exists, token, firstToken);
      }
      LaneValues logits;
      if (passesLogits())
        logits = choice.lanes.load(exchanged, token * experts);
      else
        for (int64_t k = 0; k < count; ++k) {
          Expr expert = choice.lanes.expert(k), isOne = choice.lanes.exists(k);
          logits.push_back(loadLogit(row, isOne ? select(isOne, expert, b.index(0)) : expert));
        }
      group.push_back({token, logits, exists});
    }
    choice.emit(group);
  });
}

void RouterEmitter::writeCounts() {
  b.barrier();
  Value counts = b.result(op.getCounts());
  b.forThreads(experts,
               [&](Expr expert) { b.store(b.load(choice.counts, expert), counts, rowTile * experts + expert); });
}

void RouterEmitter::makePlan() {
  PlanSlice plan(b, b.result(op.getIndices()), b.result(op.getOffsets()), b.result(op.getPermutation()),
                 b.result(op.getInverse()), tokens * static_cast<int64_t>(op.getTopK()));
  auto emit = [&] { plan.emit(b.index(0), /*writesOffsets=*/Expr(), /*countOthers=*/nullptr); };
  if (getRowTiles() == 1) {
    b.barrier();
    return emit();
  }
  GridCounter(b, context, "planned", 1, getRowTiles()).ifLast(b.index(0), emit);
}

LaunchShape RouterEmitter::emit() {
  if (op.getCounts()) {
    choice.counts = b.allocateShared(experts, b.builder.getI32Type());
    b.forThreads(experts, [&](Expr expert) { b.store(b.i32(0), choice.counts, expert); });
  }
  computeLogits();
  auto goOn = [&] {
    routeTokens();
    if (op.getCounts())
      writeCounts();
    if (op.getOffsets())
      makePlan();
  };
  if (passesLogits()) {
    b.forThreads(shape.rows * shape.experts, [&](Expr i) {
      Expr row = i / shape.experts, column = i % shape.experts;
      Expr token = firstToken + row, expert = firstExpert + column;
      Expr exists = both(tokens % shape.rows == 0 ? Expr() : token < tokens,
                         experts % shape.experts == 0 ? Expr() : expert < experts);
      b.ifThen(exists, [&] { b.store(loadLogit(row, column), exchanged, token * experts + expert); });
    });
    GridCounter(b, context, "computed", getRowTiles(), getExpertTiles()).ifLast(rowTile, goOn);
  } else {
    goOn();
  }
  return {{getRowTiles() * getExpertTiles(), 1, 1}, {b.threads, 1, 1}, 2 * tokens * experts * width};
}

FailureOr<LaunchShape> emitRouter(moe_kernel::RouterOp op, EmitterContext &context) {
  std::optional<RouterShape> shape = RouterShape::get(context.config);
  if (!shape || !canRoute(op.getInput().getType(), op.getWeight().getType()))
    return op.emitError() << "cannot be emitted for " << context.config;
  if (shape->experts < op.getWeight().getType().getDimSize(0) && !op.getScores())
    return op.emitError() << "has blocks of " << shape->experts
                          << " experts, which pass their logits on in the memory of scores, but no scores";
  if (op.getCounts() && static_cast<int64_t>(*op.getChunk()) != shape->rows)
    return op.emitError() << "counts " << *op.getChunk() << " tokens at a time but its blocks have " << shape->rows;
  return RouterEmitter(op, context, *shape).emit();
}

} // namespace mlir::moe::cuda::ampere
