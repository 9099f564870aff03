//===- RouterTile.cpp - What follows the logits of a block ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/RouterTile.h"
#include "passes/Target/CUDA/GridCounter.h"
#include "passes/Target/CUDA/PlanSlice.h"

namespace mlir::moe::cuda {

RouterTile::RouterTile(BlockBuilder &b, moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape)
    : tokens(op.getInput().getType().getDimSize(0)), width(op.getInput().getType().getDimSize(1)),
      experts(op.getWeight().getType().getDimSize(0)),
      rowTile(b.block / static_cast<int64_t>(llvm::divideCeil(experts, shape.experts))),
      firstToken(rowTile * shape.rows),
      firstExpert(b.block % static_cast<int64_t>(llvm::divideCeil(experts, shape.experts)) * shape.experts), b(b),
      op(op), context(context), shape(shape), choice(b, op, experts),
      sums(b.allocateShared(shape.groups * getSumsOfGroup())) {
  if (!passesLogits())
    return;
  auto capabilities = getCapabilities(op->getParentOfType<ModuleOp>());
  if (capabilities && shape.fillsCluster(tokens, experts, *capabilities)) {
    cluster.emplace(b, getExpertTiles(), shape.rows * experts);
    exchanged = cluster->getMemory();
  } else {
    exchanged = b.result(op.getScores());
  }
}

Expr RouterTile::loadLogit(Expr row, Expr expert) {
  Expr offset = row * shape.getSumStride() + expert, sum = b.load(sums, offset);
  for (int64_t group = 1; group < shape.groups; ++group)
    sum = sum + b.load(sums, offset + group * getSumsOfGroup());
  return sum;
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

void RouterTile::routeTokens() {
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
        logits = choice.lanes.load(exchanged, getFirstLogit(row, token));
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

void RouterTile::writeCounts() {
  b.barrier();
  Value counts = b.result(op.getCounts());
  b.forThreads(experts,
               [&](Expr expert) { b.store(b.load(choice.counts, expert), counts, rowTile * experts + expert); });
}

void RouterTile::makePlan() {
  PlanSlice plan(b, b.result(op.getIndices()), b.result(op.getOffsets()), b.result(op.getPermutation()),
                 b.result(op.getInverse()), tokens * static_cast<int64_t>(op.getTopK()));
  auto emit = [&] { plan.emit(b.index(0), /*writesOffsets=*/Expr(), /*countOthers=*/nullptr); };
  if (getRowTiles() == 1) {
    b.barrier();
    return emit();
  }
  GridCounter(b, context, "planned", 1, getRowTiles()).ifLast(b.index(0), emit);
}

/// The plan of a single token, from the expert that each of the first lanes of its warp has chosen: a choice comes after
/// those of lower experts, and an expert's rows begin behind them.
void RouterTile::planToken(Expr chosen) {
  int64_t topK = op.getTopK(), perLane = llvm::divideCeil(experts + 1, kWarpSize);
  auto countIf = [&](Expr condition) { return select(condition, b.i32(1), b.i32(0)); };
  SmallVector<Expr> counts(1 + perLane, b.i32(0));
  counts = b.loop(b.index(0), b.index(topK), 1, counts, [&](Expr k, ArrayRef<Expr> carried) {
    Expr other = b.shuffle(chosen, k.toI32());
    SmallVector<Expr> next{carried[0] + countIf(other < chosen)};
    for (int64_t i = 0; i < perLane; ++i)
      next.push_back(carried[1 + i] + countIf(other < (b.lane + i * kWarpSize).toI32()));
    return next;
  });
  Value offsets = b.result(op.getOffsets());
  for (int64_t i = 0; i < perLane; ++i) {
    Expr expert = b.lane + i * kWarpSize;
    b.ifThen((i + 1) * kWarpSize <= experts + 1 ? Expr() : expert < experts + 1,
             [&] { b.store(counts[1 + i], offsets, expert); });
  }
  b.ifThen(topK == kWarpSize ? Expr() : b.lane < topK, [&] {
    b.store(b.lane.toI32(), b.result(op.getPermutation()), counts[0].toIndex());
    b.store(counts[0], b.result(op.getInverse()), b.lane);
  });
}

void RouterTile::passLogits() {
  b.forThreads(shape.rows * shape.experts, [&](Expr i) {
    Expr row = i / shape.experts, column = i % shape.experts;
    Expr token = firstToken + row, expert = firstExpert + column;
    Expr exists = both(tokens % shape.rows == 0 ? Expr() : token < tokens,
                       experts % shape.experts == 0 ? Expr() : expert < experts);
    b.ifThen(exists, [&] {
      Expr logit = loadLogit(row, column), offset = getFirstLogit(row, token) + expert;
      cluster ? cluster->store(logit, offset) : b.store(logit, exchanged, offset);
    });
  });
}

LaunchShape RouterTile::emit(function_ref<void()> computeLogits) {
  if (op.getCounts()) {
    choice.counts = b.allocateShared(experts, b.builder.getI32Type());
    b.forThreads(experts, [&](Expr expert) { b.store(b.i32(0), choice.counts, expert); });
  }
  bool plansToken = op.getOffsets() && tokens == 1 && op.getTopK() <= kWarpSize;
  if (plansToken)
    choice.afterToken = [&](Expr chosen) { planToken(chosen); };
  if (cluster)
    cluster->begin();
  computeLogits();
  b.barrier();
  auto goOn = [&] {
    routeTokens();
    if (op.getCounts())
      writeCounts();
    if (op.getOffsets() && !plansToken)
      makePlan();
  };
  if (cluster) {
    cluster->meet();
    passLogits();
    cluster->handOver();
    b.ifThen(cluster->isFirst(), goOn);
  } else if (passesLogits()) {
    passLogits();
    GridCounter(b, context, "computed", getRowTiles(), getExpertTiles()).ifLast(rowTile, goOn);
  } else {
    goOn();
  }
  return {{getRowTiles() * getExpertTiles(), 1, 1}, {b.threads, 1, 1}, 2 * tokens * experts * width};
}

LogicalResult checkRouter(moe_kernel::RouterOp op, const RouterShape &shape) {
  if (shape.experts < op.getWeight().getType().getDimSize(0) && !op.getScores())
    return op.emitError() << "has blocks of " << shape.experts
                          << " experts, which pass their logits on in the memory of scores, but no scores";
  if (op.getCounts() && static_cast<int64_t>(*op.getChunk()) != shape.rows)
    return op.emitError() << "counts " << *op.getChunk() << " tokens at a time but its blocks have " << shape.rows;
  return success();
}

} // namespace mlir::moe::cuda
