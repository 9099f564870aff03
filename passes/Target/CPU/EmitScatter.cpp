//===- EmitScatter.cpp - Rows written where indices say ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/KernelBuilder.h"

namespace mlir::moe::cpu {

/// Columns of an item of scatter_add: a cache line, so that no two threads write to the same one.
static constexpr int64_t kScatterColumns = 16;

LaunchShape emitScatterAdd(moe_kernel::ScatterAddOp op, EmitterContext &context) {
  KernelBuilder b(context);
  auto rowsShape = op.getRows().getType().getShape();
  int64_t tokens = rowsShape[0], columns = rowsShape[1], targets = op.getResult().getType().getDimSize(0);
  int64_t blockColumns = std::min(kScatterColumns, columns);
  Value indices = b.operand(op.getIndices());
  MatrixView rows = b.matrix(b.operand(op.getRows()), columns), result = b.matrix(b.result(op.getResult()), columns);
  // Sums are float32: in scratch memory if the result is not.
  bool rounds = b.holdsBFloat16(result.memory);
  MatrixView scratch = rounds ? b.allocateMatrix(targets, b.roundUp(blockColumns)) : MatrixView();

  b.forEachItem([&](Expr item) {
    Expr first = item * blockColumns, columnsHere = b.blockSize(first, blockColumns, columns);
    MatrixView rowsHere = rows.from(b.index(0), first), resultHere = result.from(b.index(0), first);
    MatrixView sums = rounds ? scratch : resultHere;
    auto forColumns = [&](function_ref<void(Expr column, Expr mask)> body) {
      for (int64_t column = 0; column < blockColumns; column += b.width)
        body(b.index(column), b.tailMask(b.index(column), columnsHere));
    };
    b.loop(targets, 1, [&](Expr target) {
      forColumns([&](Expr column, Expr mask) {
        b.storeVector(b.realVector(0), sums.memory, sums.at(target, column), mask);
      });
    });
    b.loop(tokens, 1, [&](Expr token) {
      Expr target = b.load(indices, token).toIndex();
      forColumns([&](Expr column, Expr mask) {
        Expr offset = sums.at(target, column);
        Expr row = b.loadVector(rowsHere.memory, rowsHere.at(token, column), mask);
        b.storeVector(b.loadVector(sums.memory, offset, mask) + row, sums.memory, offset, mask);
      });
    });
    if (rounds)
      b.loop(targets, 1, [&](Expr target) {
        forColumns([&](Expr column, Expr mask) {
          Expr sum = b.loadVector(sums.memory, sums.at(target, column), mask);
          b.storeVector(sum, resultHere.memory, resultHere.at(target, column), mask);
        });
      });
  });
  int64_t items = llvm::divideCeil(columns, blockColumns);
  return {items, b.getScratchBytes(), tokens * columns};
}

LaunchShape emitCacheAppend(moe_kernel::CacheAppendOp op, EmitterContext &context) {
  KernelBuilder b(context);
  auto cacheShape = op.getCache().getType().getShape();
  int64_t sequences = cacheShape[0], capacity = cacheShape[1], columns = cacheShape[2];
  int64_t tokens = op.getRows().getType().getDimSize(0);
  Value positions = b.operand(op.getPositions());
  MatrixView rows = b.matrix(b.operand(op.getRows()), columns), cache = b.matrix(b.result(op.getResult()), columns);

  b.forEachItem([&](Expr token) {
    Expr sequence = token / (tokens / sequences);
    Expr slot = sequence * capacity + b.load(positions, token).toIndex();
    b.loop(columns, b.width, [&](Expr column) {
      Expr mask = b.tailMask(column, b.index(columns));
      b.storeVector(b.loadElements(rows.memory, rows.at(token, column), mask), cache.memory, cache.at(slot, column),
                    mask);
    });
  });
  return {tokens, b.getScratchBytes(), 0};
}

} // namespace mlir::moe::cpu
