//===- QueryBlock.cpp - 128 queries and the keys they see -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/QueryBlock.h"

namespace mlir::moe::cuda {

static int64_t getTiles(const AttentionBuilder &b) { return llvm::divideCeil(b.shape.queries, kBlockRows); }

int64_t QueryBlock::getCount(const AttentionBuilder &b) { return b.sequences * b.shape.heads * getTiles(b); }

QueryBlock::QueryBlock(AttentionBuilder &b, Expr number, Value positions)
    : hasPositions(static_cast<bool>(positions)), b(b) {
  constexpr int64_t kCachedBytes = 32 << 20; // Of 50 MB in an H100.
  const AttentionShape &shape = b.shape;
  int64_t heads = b.sequences * shape.heads, headBytes = 4 * shape.keys * shape.headDim / shape.getGroup();
  int64_t together = chooseHeadsTogether(heads, kCachedBytes / headBytes), blocks = together * getTiles(b);
  Expr inGroup = number % blocks, headNumber = number / blocks * together + inGroup % together;
  sequence = headNumber / shape.heads;
  head = headNumber % shape.heads;
  tile = getTiles(b) - 1 - inGroup / together;
  steps = tile + 1;
  if (!positions)
    return;

  // Rows past the last of the sequence are given its bound. The producer has no rows of its own.
  auto firstKeyOf = [&](Expr row) {
    return b.firstKey(positions, sequence, min(max(row, b.i32(0)), b.i32(shape.queries - 1)));
  };
  firstKeys = {firstKeyOf(getQuery(0)), firstKeyOf(getQuery(1))};
  lastFirstKey = firstKeyOf(tile * kBlockRows + (kBlockRows - 1));
  steps = steps - firstKeyOf(tile * kBlockRows) / kBlockRows;
}

Expr QueryBlock::needsMask(Expr step) const {
  Expr isDiagonal = step == 0;
  if (!hasPositions)
    return isDiagonal;
  Expr isCut = (tile - step) * kBlockRows < lastFirstKey;
  return select(isDiagonal, isDiagonal, isCut);
}

SmallVector<Expr> QueryBlock::mask(ArrayRef<Expr> scores, Expr step) const {
  Expr hidden = b.real(-std::numeric_limits<double>::infinity());
  SmallVector<Expr> masked(scores);
  for (int64_t half = 0; half < 2; ++half) {
    // The columns that are seen, counted from the thread's first.
    Expr firstColumn = (tile - step) * kBlockRows + b.fragmentColumn, last = getQuery(half) - firstColumn;
    Expr first = hasPositions ? firstKeys[half] - firstColumn : Expr();
    for (auto [i, score] : llvm::enumerate(masked)) {
      if (b.getHalf(i) != half)
        continue;
      Expr column = b.i32(b.getColumn(i));
      score = select(column > last, hidden, score);
      if (first)
        score = select(column < first, hidden, score);
    }
  }
  return masked;
}

} // namespace mlir::moe::cuda
