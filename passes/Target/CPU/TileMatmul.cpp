//===- TileMatmul.cpp - Small matmuls in registers --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/TileMatmul.h"

namespace mlir::moe::cpu {

//===----------------------------------------------------------------------===//
// Register tiles
//===----------------------------------------------------------------------===//

/// The tile of `rows` × `columns` (both known) at `row`, `column` of the block.
static void emitTile(KernelBuilder &b, const BlockMatmul &block, Expr row, int64_t rows, Expr column, int64_t columns) {
  int64_t vectors = llvm::divideCeil(columns, b.width);
  Expr tail = columns % b.width ? b.mask(b.index(columns % b.width)) : Expr();
  auto maskOf = [&](int64_t vector) { return vector == vectors - 1 ? tail : Expr(); };

  SmallVector<Expr> lhsRows, accumulators;
  for (int64_t i = 0; i < rows; ++i)
    lhsRows.push_back(block.lhsRow ? block.lhsRow(row + i) : block.lhs.at(row));
  Expr resultStart = block.result.at(row, column);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < vectors; ++v)
      accumulators.push_back(
          block.accumulate
              ? b.loadVector(block.result.memory, resultStart + i * block.result.rowStride + v * b.width, maskOf(v))
              : b.realVector(0));

  SmallVector<Expr> sums = b.loop(b.index(0), block.depth, 1, accumulators, [&](Expr k, ArrayRef<Expr> carried) {
    SmallVector<Expr> next(carried), rhs;
    Expr rhsStart = block.rhs.at(k, column), lhsColumn = k * block.lhs.columnStride;
    for (int64_t v = 0; v < vectors; ++v)
      rhs.push_back(b.loadVector(block.rhs.memory, rhsStart + v * b.width, maskOf(v)));
    for (int64_t i = 0; i < rows; ++i) {
      Expr offset = lhsRows[i] + lhsColumn + (block.lhsRow ? 0 : i * block.lhs.rowStride);
      Expr element = b.load(block.lhs.memory, offset).splat(b.width);
      for (int64_t v = 0; v < vectors; ++v)
        next[i * vectors + v] = fma(element, rhs[v], carried[i * vectors + v]);
    }
    return next;
  });

  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < vectors; ++v)
      b.storeVector(sums[i * vectors + v], block.result.memory, resultStart + i * block.result.rowStride + v * b.width,
                    maskOf(v));
}

/// All rows of the block at the columns [column, column + columns).
static void emitColumnOfTiles(KernelBuilder &b, const BlockMatmul &block, int64_t tileM, Expr column, int64_t columns) {
  Expr left = block.rows % tileM, full = block.rows - left;
  b.loop(b.index(0), full, tileM, [&](Expr row) { emitTile(b, block, row, tileM, column, columns); });
  if (tileM == 1)
    return;
  for (int64_t rows = llvm::PowerOf2Ceil(tileM) / 2; rows > 0; rows /= 2) {
    // The rows left are a sum of powers of two; the larger ones come first.
    Expr has = (left & rows) != 0;
    Expr row = full + (left & ~(2 * rows - 1));
    std::optional<int64_t> known = has.getConstant();
    if (!known)
      b.ifThen(has, [&] { emitTile(b, block, row, rows, column, columns); });
    else if (*known)
      emitTile(b, block, row, rows, column, columns);
  }
}

void emitBlockMatmul(KernelBuilder &b, const BlockMatmul &block, int64_t tileM, int64_t tileN) {
  int64_t left = block.columns % tileN, full = block.columns - left;
  if (full == tileN)
    emitColumnOfTiles(b, block, tileM, b.index(0), tileN);
  else if (full > 0)
    b.loop(full, tileN, [&](Expr column) { emitColumnOfTiles(b, block, tileM, column, tileN); });
  if (left > 0)
    emitColumnOfTiles(b, block, tileM, b.index(full), left);
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

void emitPackRows(KernelBuilder &b, Value source, function_ref<Expr(Expr)> sourceRow, Expr depth, Expr columns,
                  int64_t width, const MatrixView &panel) {
  b.loop(b.index(0), depth, 1, [&](Expr k) {
    Expr start = sourceRow(k), target = panel.at(k);
    for (int64_t column = 0; column < width; column += b.width) {
      Expr values = b.loadVector(source, start + column, b.tailMask(b.index(column), columns));
      b.storeVector(values, panel.memory, target + column);
    }
  });
}

/// Swaps the off-diagonal halves of all 2·distance squares of a square of vectors, for each distance: the transpose.
static void emitTranspose(KernelBuilder &b, MutableArrayRef<Expr> rows) {
  for (int64_t distance = b.width / 2; distance > 0; distance /= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t lane = 0; lane < b.width; ++lane) {
      bool second = lane & distance;
      upper.push_back(second ? b.width + lane - distance : lane);
      lower.push_back(second ? b.width + lane : lane + distance);
    }
    for (int64_t i = 0; i < b.width; ++i)
      if (!(i & distance)) {
        Expr first = rows[i], second = rows[i + distance];
        rows[i] = b.shuffle(first, second, upper);
        rows[i + distance] = b.shuffle(first, second, lower);
      }
  }
}

void emitPackTransposed(KernelBuilder &b, const MatrixView &source, Expr columns, Expr depth, int64_t width,
                        const MatrixView &panel) {
  b.loop(width, b.width, [&](Expr column) {
    SmallVector<Expr> sourceRows;
    for (int64_t i = 0; i < b.width; ++i)
      sourceRows.push_back(source.at(min(column + i, columns - 1)));
    b.loop(b.index(0), depth, b.width, [&](Expr k) {
      SmallVector<Expr> square;
      Expr mask = b.tailMask(k, depth);
      for (Expr row : sourceRows)
        square.push_back(b.loadVector(source.memory, row + k, mask));
      emitTranspose(b, square);
      for (auto [i, values] : llvm::enumerate(square))
        b.storeVector(values, panel.memory, panel.at(k + int64_t(i), column));
    });
  });
}

//===----------------------------------------------------------------------===//
// Dot products
//===----------------------------------------------------------------------===//

/// Lane i of the result is the sum of the lanes of vectors[i]; a tree of as many additions as there are vectors.
static Expr emitSumOfEach(KernelBuilder &b, SmallVector<Expr> vectors) {
  for (int64_t distance = 1; distance < b.width; distance *= 2) {
    SmallVector<int64_t> own, partner;
    for (int64_t lane = 0; lane < b.width; ++lane) {
      int64_t base = lane & distance ? b.width : 0;
      own.push_back(base + lane);
      partner.push_back(base + (lane ^ distance));
    }
    SmallVector<Expr> sums;
    for (size_t i = 0; i < vectors.size(); i += 2)
      sums.push_back(b.shuffle(vectors[i], vectors[i + 1], own) + b.shuffle(vectors[i], vectors[i + 1], partner));
    vectors = std::move(sums);
  }
  return vectors.front();
}

Expr emitDotProducts(KernelBuilder &b, Value vectorMemory, Expr vectorStart, const MatrixView &rows, Expr count,
                     int64_t depth) {
  SmallVector<Expr> rowStarts, sums(b.width, b.realVector(0));
  for (int64_t i = 0; i < b.width; ++i)
    rowStarts.push_back(rows.at(min(b.index(i), count - 1)));
  auto step = [&](Expr k, ArrayRef<Expr> carried, Expr mask) {
    Expr own = b.loadVector(vectorMemory, vectorStart + k, mask);
    SmallVector<Expr> next;
    for (int64_t i = 0; i < b.width; ++i)
      next.push_back(fma(own, b.loadVector(rows.memory, rowStarts[i] + k, mask), carried[i]));
    return next;
  };
  int64_t tail = depth % b.width, full = depth - tail;
  if (full > 0)
    sums = b.loop(b.index(0), b.index(full), b.width, sums,
                  [&](Expr k, ArrayRef<Expr> carried) { return step(k, carried, {}); });
  if (tail > 0)
    sums = step(b.index(full), sums, b.mask(b.index(tail)));
  return emitSumOfEach(b, std::move(sums));
}

} // namespace mlir::moe::cpu
