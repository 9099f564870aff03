//===- EmitScatter.cpp - Rows written where indices say ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/EmitStructured.h"

namespace mlir::moe::cuda {

/// A block owns tile_m rows of the result, a thread one column of them. All threads walk over the tokens in order; a
/// warp looks at 32 indices at once and stops at those of the block's rows. Sums are float32: in shared memory if the
/// result is not.
LaunchShape emitScatterAdd(moe_kernel::ScatterAddOp op, EmitterContext &context) {
  BlockBuilder b(context);
  auto rowsShape = op.getRows().getType().getShape();
  int64_t tokens = rowsShape[0], columns = rowsShape[1], targets = op.getResult().getType().getDimSize(0);
  int64_t tileRows = std::min(context.config.getTileM(), targets), rowTiles = llvm::divideCeil(targets, tileRows);
  int64_t columnTiles = llvm::divideCeil(columns, b.threads);
  Value indices = b.operand(op.getIndices());
  MatrixView rows = b.matrix(b.operand(op.getRows()), columns), result = b.matrix(b.result(op.getResult()), columns);

  Expr firstTarget = b.block / columnTiles * tileRows, targetsHere = b.blockSize(firstTarget, tileRows, targets);
  Expr column = b.block % columnTiles * b.threads + b.thread;
  Expr isColumn = columns % b.threads == 0 ? Expr() : column < columns;
  MatrixView resultHere = result.from(firstTarget, column), sums = resultHere;
  bool rounds = b.holdsBFloat16(result.memory);
  if (rounds)
    sums = b.allocateShared(tileRows, b.threads, b.threads).from(b.index(0), b.thread);
  auto forTargets = [&](function_ref<void(Expr)> body) {
    b.ifThen(isColumn, [&] { b.loop(b.index(0), targetsHere, 1, body); });
  };
  forTargets([&](Expr target) { b.store(b.real(0), sums.memory, sums.at(target)); });
  b.loop(tokens, kWarpSize, [&](Expr firstToken) {
    Expr token = firstToken + b.lane;
    Expr exists = tokens % kWarpSize == 0 ? Expr() : token < tokens;
    Expr target = b.loadOrZero(indices, token, exists).toIndex() - firstTarget;
    Expr isHere = both(exists, both(target < targetsHere, (target < 0) == 0));
    Expr targetInTile = target.toI32();
    b.loopWhile({b.ballot(isHere)}, [&](ArrayRef<Expr> left) { return left[0] != 0; },
                [&](ArrayRef<Expr> left) {
                  Expr owner = b.lowestBit(left[0]);
                  Expr at = sums.at(b.shuffle(targetInTile, owner).toIndex());
                  b.ifThen(isColumn, [&] {
                    Expr addend = b.load(rows.memory, rows.at(firstToken + owner.toIndex(), column));
                    b.store(b.load(sums.memory, at) + addend, sums.memory, at);
                  });
                  return SmallVector<Expr>{left[0] & (left[0] - 1)};
                });
  });
  if (rounds)
    forTargets([&](Expr target) {
      b.store(b.load(sums.memory, sums.at(target)), resultHere.memory, resultHere.at(target));
    });
  return {{rowTiles * columnTiles, 1, 1}, {b.threads, 1, 1}, tokens * columns};
}

LaunchShape emitCacheAppend(moe_kernel::CacheAppendOp op, EmitterContext &context) {
  BlockBuilder b(context);
  auto cacheShape = op.getCache().getType().getShape();
  int64_t sequences = cacheShape[0], capacity = cacheShape[1], columns = cacheShape[2];
  int64_t tokens = op.getRows().getType().getDimSize(0);
  Value positions = b.operand(op.getPositions());
  MatrixView rows = b.matrix(b.operand(op.getRows()), columns), cache = b.matrix(b.result(op.getResult()), columns);

  Expr token = b.block, sequence = token / (tokens / sequences);
  Expr slot = sequence * capacity + b.load(positions, token).toIndex();
  b.forThreads(columns, [&](Expr column) {
    b.store(b.loadElement(rows.memory, rows.at(token, column)), cache.memory, cache.at(slot, column));
  });
  return {{tokens, 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
