//===- FlashAttention.cpp - One block of queries ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/FlashAttention.h"

#include <cmath>

namespace mlir::moe::cpu {

/// Below every score; finite, so that differences stay numbers.
static constexpr double kLowest = -1e30;

AttentionShape::AttentionShape(const KernelBuilder &b, moe_kernel::CPUConfigAttr config, int64_t heads,
                               int64_t keyHeads, int64_t queryColumns, int64_t queries, int64_t keys)
    : heads(heads), keyHeads(keyHeads), headDim(queryColumns / heads), queries(queries), keys(keys),
      blockM(std::min(config.getBlockM(), queries)), blockN(std::min(b.roundUp(config.getBlockN()), b.roundUp(keys))),
      tileM(config.getTileM()), tileN(config.getTileN()) {}

double AttentionShape::getScale() const { return 1 / std::sqrt(double(headDim)); }

FlashAttention::FlashAttention(KernelBuilder &b, const AttentionShape &shape)
    : b(b), shape(shape), scores(b.allocateMatrix(shape.blockM, shape.blockN)),
      keyPanel(b.allocateMatrix(b.roundUp(shape.headDim), shape.blockN)),
      sums(b.allocateMatrix(shape.blockM, b.roundUp(shape.headDim))), rowMax(b.allocate(shape.blockM)),
      rowSum(b.allocate(shape.blockM)) {}

void FlashAttention::emit(const Block &given) {
  Block block = given;
  block.query = b.extended(given.query, given.rows, shape.blockM, shape.headDim);
  b.fillZeros(sums, block.rows, b.roundUp(shape.headDim));
  b.loop(b.index(0), block.rows, 1, [&](Expr row) {
    b.store(b.real(kLowest), rowMax, row);
    b.store(b.real(0), rowSum, row);
  });
  b.loop(block.firstKey, block.keys, shape.blockN, [&](Expr firstKey) { emitKeyBlock(block, firstKey); });
  emitFinish(block);
}

void FlashAttention::emitKeyBlock(const Block &block, Expr firstKey) {
  Expr keysHere = min(block.keys - firstKey, b.index(shape.blockN));
  MatrixView key = block.key.from(firstKey, b.index(0)), value = block.value.from(firstKey, b.index(0));
  emitPackTransposed(b, key, keysHere, b.index(shape.headDim), shape.blockN, keyPanel);
  BlockMatmul scoresOfBlock{.lhs = block.query, .rhs = keyPanel, .result = scores, .rows = block.rows};
  scoresOfBlock.depth = b.index(shape.headDim);
  scoresOfBlock.columns = shape.blockN;
  emitBlockMatmul(b, scoresOfBlock, shape.tileM, shape.tileN);

  b.loop(b.index(0), block.rows, 1, [&](Expr row) {
    Expr hidden = block.hiddenKeys ? block.hiddenKeys(row) - firstKey : Expr();
    emitSoftmaxRow(row, hidden, min(block.visibleKeys(row) - firstKey, keysHere));
  });

  BlockMatmul weightedValues{.lhs = scores, .rhs = value, .result = sums, .rows = block.rows};
  weightedValues.depth = keysHere;
  weightedValues.columns = shape.headDim;
  weightedValues.accumulate = true;
  emitBlockMatmul(b, weightedValues, shape.tileM, shape.tileN);
}

/// Turns the scores of a row into exp(score − maximum), zeros before `hidden` and from `visible` on (both may lie
/// outside of the block), and rescales what has been summed with the old maximum.
void FlashAttention::emitSoftmaxRow(Expr row, Expr hidden, Expr visible) {
  Expr start = scores.at(row), zero = b.index(0), end = b.index(shape.blockN);
  Expr scale = b.real(shape.getScale());
  Expr oldMax = b.load(rowMax, row).splat(b.width);

  Expr laneMax = b.loop(zero, end, b.width, {oldMax}, [&](Expr column, ArrayRef<Expr> carried) {
    Expr score = b.loadVector(scores.memory, start + column) * scale;
    return SmallVector<Expr>{select(b.rangeMask(hidden, visible, column), max(score, carried[0]), carried[0])};
  })[0];
  Expr newMax = b.reduceMax(laneMax);

  Expr laneSum = b.loop(zero, end, b.width, {b.realVector(0)}, [&](Expr column, ArrayRef<Expr> carried) {
    Expr mask = b.rangeMask(hidden, visible, column);
    Expr shifted = b.loadVector(scores.memory, start + column) * scale - newMax;
    Expr weight = select(mask, exp(select(mask, shifted, b.real(0))), b.real(0));
    b.storeVector(weight, scores.memory, start + column);
    return SmallVector<Expr>{carried[0] + weight};
  })[0];

  Expr correction = exp(oldMax - newMax);
  Expr sum = b.load(rowSum, row).splat(b.width) * correction + b.reduceSum(laneSum);
  b.store(newMax.extract(0), rowMax, row);
  b.store(sum.extract(0), rowSum, row);
  b.loop(b.roundUp(shape.headDim), b.width, [&](Expr column) {
    Expr offset = sums.at(row, column);
    b.storeVector(b.loadVector(sums.memory, offset) * correction, sums.memory, offset);
  });
}

void FlashAttention::emitFinish(const Block &block) {
  b.loop(b.index(0), block.rows, 1, [&](Expr row) {
    Expr sum = b.load(rowSum, row).splat(b.width), inverse = b.realVector(1) / sum;
    b.loop(shape.headDim, b.width, [&](Expr column) {
      b.storeVector(b.loadVector(sums.memory, sums.at(row, column)) * inverse, block.result.memory,
                    block.result.at(row, column), b.tailMask(column, b.index(shape.headDim)));
    });
    if (block.storeLse)
      block.storeLse(row, b.load(rowMax, row) + log(sum).extract(0));
  });
}

} // namespace mlir::moe::cpu
