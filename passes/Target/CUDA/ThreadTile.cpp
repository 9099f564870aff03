//===- ThreadTile.cpp - A tile in the registers of a block ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/ThreadTile.h"

namespace mlir::moe::cuda {

/// Steps along k that are unrolled.
static constexpr int64_t kUnroll = 8;

/// The largest power of two up to 4 that divides `count`.
static int64_t vectorOf(int64_t count) { return std::min<int64_t>(4, count & -count); }

ThreadTile::ThreadTile(BlockBuilder &b, int64_t threadColumns, int64_t rows, int64_t columns, bool paired)
    : threadRows(b.threads / threadColumns), threadColumns(threadColumns),
      rowsEach(llvm::divideCeil(rows, threadRows)), columnsEach(llvm::divideCeil(columns, threadColumns)),
      threadRow(b.thread / threadColumns), threadColumn(b.thread % threadColumns) {
  if (paired)
    columnsEach = llvm::alignTo(columnsEach, 2);
  rowVector = vectorOf(rowsEach);
  columnVector = vectorOf(paired ? columnsEach / 2 : columnsEach);
}

int64_t ThreadTile::chooseThreadColumns(int64_t threads, int64_t rows, int64_t columns) {
  // A row of threads lies in one warp, so that rows are reduced by shuffles. Of grids that load as much, the one that
  // pads least.
  auto cost = [&](int64_t count) {
    int64_t rowsEach = llvm::divideCeil(rows, threads / count), columnsEach = llvm::divideCeil(columns, count);
    return std::pair(rowsEach + columnsEach, rowsEach * (threads / count) + columnsEach * count);
  };
  int64_t best = 1;
  for (int64_t count = 2; count <= kWarpSize; count *= 2)
    if (cost(count) < cost(best))
      best = count;
  return best;
}

/// `count` elements of a vector along k of one operand: as vectors if they are contiguous and stay aligned.
static SmallVector<Expr> loadElements(BlockBuilder &b, const MatrixView &matrix, Expr k, int64_t count, int64_t vector,
                                      function_ref<Expr(int64_t)> position) {
  // Element (k, i) of the view.
  if (matrix.columnStride != 1 || matrix.rowStride % vector != 0)
    vector = 1;
  SmallVector<Expr> elements;
  for (int64_t i = 0; i < count; i += vector)
    elements.append(b.loadVector(matrix.memory, matrix.at(k, position(i)), vector));
  return elements;
}

Accumulators ThreadTile::multiply(BlockBuilder &b, Accumulators accumulators, const MatrixView &lhs,
                                  const MatrixView &rhs, int64_t depth) const {
  auto step = [&](Expr k, Accumulators sums) {
    auto left = loadElements(b, lhs.transposed(), k, rowsEach, rowVector, [&](int64_t i) { return row(i); });
    auto right = loadElements(b, rhs, k, columnsEach, columnVector, [&](int64_t j) { return column(j); });
    for (int64_t i = 0; i < rowsEach; ++i)
      for (int64_t j = 0; j < columnsEach; ++j)
        at(sums, i, j) = fma(left[i], right[j], at(sums, i, j));
    return sums;
  };
  int64_t unrolled = llvm::alignDown(depth, kUnroll);
  if (unrolled > 0)
    accumulators = b.loop(b.index(0), b.index(unrolled), kUnroll, accumulators, [&](Expr k, ArrayRef<Expr> carried) {
      Accumulators sums(carried);
      for (int64_t i = 0; i < kUnroll; ++i)
        sums = step(k + i, std::move(sums));
      return sums;
    });
  for (int64_t k = unrolled; k < depth; ++k)
    accumulators = step(b.index(k), std::move(accumulators));
  return accumulators;
}

void ThreadTile::store(BlockBuilder &b, ArrayRef<Expr> accumulators, const MatrixView &target) const {
  for (int64_t i = 0; i < rowsEach; ++i)
    for (int64_t j = 0; j < columnsEach; ++j)
      b.store(at(accumulators, i, j), target.memory, target.at(row(i), column(j)));
}

} // namespace mlir::moe::cuda
