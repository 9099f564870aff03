//===- KeyBlock.cpp - 128 keys and the queries that see them ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/KeyBlock.h"

namespace mlir::moe::cuda {

static int64_t getTiles(const AttentionBuilder &b) { return llvm::divideCeil(b.shape.keys, kBlockRows); }

int64_t KeyBlock::getCount(const AttentionBuilder &b) { return b.sequences * b.shape.keyHeads * getTiles(b); }

KeyBlock::KeyBlock(AttentionBuilder &b, Expr number, Value positions)
    : hasPositions(static_cast<bool>(positions)), b(b) {
  // Enough heads for blocks of similar length to run at the same time, and few enough to read the same queries.
  constexpr int64_t kHeadsTogether = 16;
  const AttentionShape &shape = b.shape;
  int64_t heads = b.sequences * shape.keyHeads;
  int64_t together = chooseHeadsTogether(heads, kHeadsTogether), blocks = together * getTiles(b);
  Expr inGroup = number % blocks, headNumber = number / blocks * together + inGroup % together;
  sequence = headNumber / shape.keyHeads;
  keyHead = headNumber % shape.keyHeads;
  tile = inGroup / together;

  Expr firstBlock = tile * (kBlockRows / kQueryStep);
  queryBlocks = b.i32(llvm::divideCeil(shape.queries, kQueryStep));
  if (positions) {
    // The first keys of queries do not decrease, so the blocks of queries that see a key are neighbours.
    Expr lastKey = tile * kBlockRows + (kBlockRows - 1);
    queryBlocks = b.loopWhile(
        {firstBlock + 1, queryBlocks}, [](ArrayRef<Expr> bounds) { return bounds[0] < bounds[1]; },
        [&](ArrayRef<Expr> bounds) -> SmallVector<Expr> {
          Expr middle = (bounds[0] + bounds[1]) / 2;
          Expr isSeen = b.firstKey(positions, sequence, middle * kQueryStep) < lastKey + 1;
          return {select(isSeen, middle + 1, bounds[0]), select(isSeen, bounds[1], middle)};
        })[0];
  }
  steps = (queryBlocks - firstBlock) * shape.getGroup();
}

HeadRows KeyBlock::getQueries(Expr step) const {
  int64_t group = b.shape.getGroup();
  return {sequence, keyHead * group + step % group, (queryBlocks - 1 - step / group) * kQueryStep};
}

Expr KeyBlock::needsMask(Expr step, Expr lastFirstKey) const {
  Expr firstKey = tile * kBlockRows, isDiagonal = getQueries(step).row < firstKey + kBlockRows;
  return hasPositions ? select(isDiagonal, isDiagonal, firstKey < lastFirstKey) : isDiagonal;
}

SmallVector<Expr> KeyBlock::mask(ArrayRef<Expr> scores, Expr step, ArrayRef<Expr> firstKeys) const {
  Expr hidden = b.real(-std::numeric_limits<double>::infinity());
  SmallVector<Expr> masked(scores);
  for (auto [i, score] : llvm::enumerate(masked)) {
    Expr key = getConsumerKeys().row + b.fragmentRow + 8 * b.getHalf(i);
    // The first column that comes not before the key, counted from the thread's first.
    Expr firstColumn = key - (getQueries(step).row + b.fragmentColumn);
    score = select(b.i32(b.getColumn(i)) < firstColumn, hidden, score);
    if (hasPositions)
      score = select(key < firstKeys[i / 4 * 2 + i % 2], hidden, score);
  }
  return masked;
}

} // namespace mlir::moe::cuda
