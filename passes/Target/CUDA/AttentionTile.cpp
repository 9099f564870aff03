//===- AttentionTile.cpp - Scores of queries and keys in a block -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/AttentionTile.h"

#include <cmath>

namespace mlir::moe::cuda {

/// Below every score, yet finite: differences with it are defined.
static constexpr double kLowest = -1e30;

double AttentionShape::getScale() const { return 1 / std::sqrt(double(headDim)); }

static ThreadTile makeScores(BlockBuilder &b, const AttentionShape &shape, moe_kernel::CUDAConfigAttr config) {
  int64_t queries = std::min(config.getTileM(), shape.queries), keys = std::min(config.getTileN(), shape.keys);
  return {b, ThreadTile::chooseThreadColumns(b.threads, queries, keys), queries, keys};
}

AttentionTile::AttentionTile(BlockBuilder &b, const AttentionShape &shape, moe_kernel::CUDAConfigAttr config)
    : b(b), shape(shape), scores(makeScores(b, shape, config)),
      queryHeads(b, scores.threadColumns, scores.getRows(), shape.headDim),
      keyHeads(b, scores.threadColumns, scores.getColumns(), shape.headDim) {}

MatrixView AttentionTile::allocateHeads(int64_t rows) {
  // An odd stride: threads that read one column of different rows meet different banks.
  int64_t columns = std::max(queryHeads.getColumns(), shape.headDim);
  return b.allocateShared(rows, columns, columns | 1);
}

MatrixView AttentionTile::allocateScores() {
  // The products with values walk along rows, for as many keys as thread tiles of keys have.
  int64_t columns = std::max(getKeys(), keyHeads.getRows());
  return b.allocateShared(getQueries(), columns, llvm::alignTo(columns, 4) + 4);
}

void AttentionTile::loadHeads(const MatrixView &source, Expr count, int64_t rows, const MatrixView &target) {
  b.forThreads(rows * shape.headDim, [&](Expr i) {
    Expr row = i / shape.headDim, column = i % shape.headDim;
    Expr value = b.loadOrZero(source.memory, source.at(row, column), row < count);
    b.store(value, target.memory, target.at(row, column));
  });
}

Accumulators AttentionTile::multiplyHeads(const MatrixView &query, const MatrixView &key) {
  return scores.multiply(b, scores.zeros(b), query, key.transposed(), shape.headDim);
}

void AttentionTile::storeHeads(const ThreadTile &heads, ArrayRef<Expr> sums, Expr count, const MatrixView &target,
                               ArrayRef<Expr> factors) {
  for (int64_t i = 0; i < heads.rowsEach; ++i)
    b.ifThen(heads.row(i) < count, [&] {
      for (int64_t j = 0; j < heads.columnsEach; ++j) {
        Expr column = heads.column(j), sum = heads.at(sums, i, j);
        Expr exists = heads.getColumns() == shape.headDim ? Expr() : column < shape.headDim;
        b.ifThen(exists, [&] {
          b.store(factors.empty() ? sum : sum * factors[i], target.memory, target.at(heads.row(i), column));
        });
      }
    });
}

//===----------------------------------------------------------------------===//
// FlashAttention
//===----------------------------------------------------------------------===//

FlashAttention::FlashAttention(AttentionTile &tile)
    : tile(tile), b(tile.b), query(tile.allocateHeads(tile.getQueries())), key(tile.allocateHeads(tile.getKeys())),
      value(tile.allocateHeads(tile.getKeys())), weights(tile.allocateScores()) {}

void FlashAttention::emit(const Block &block) {
  tile.loadHeads(block.query, block.rows, tile.getQueries(), query);

  int64_t rowsEach = tile.scores.rowsEach;
  auto pack = [](const State &state) {
    SmallVector<Expr> values(state.rowMax);
    values.append(state.rowSum);
    values.append(state.sums);
    return values;
  };
  auto unpack = [&](ArrayRef<Expr> values) {
    return State{SmallVector<Expr>(values.take_front(rowsEach)), SmallVector<Expr>(values.slice(rowsEach, rowsEach)),
                 Accumulators(values.drop_front(2 * rowsEach))};
  };
  State initial{SmallVector<Expr>(rowsEach, b.real(kLowest)), SmallVector<Expr>(rowsEach, b.real(0)),
                tile.queryHeads.zeros(b)};
  State last = unpack(b.loop(block.firstKey, block.keys, tile.getKeys(), pack(initial),
                             [&](Expr firstKey, ArrayRef<Expr> carried) {
                               return pack(emitKeyTile(block, firstKey, unpack(carried)));
                             }));

  SmallVector<Expr> inverse;
  for (Expr sum : last.rowSum)
    inverse.push_back(1 / sum);
  tile.storeHeads(tile.queryHeads, last.sums, block.rows, block.result, inverse);
  if (block.storeLse)
    for (int64_t i = 0; i < rowsEach; ++i) {
      Expr row = tile.scores.row(i), isFirst = tile.scores.column(0) == 0;
      b.ifThen(both(row < block.rows, isFirst),
               [&] { block.storeLse(row, last.rowMax[i] + log(last.rowSum[i])); });
    }
}

FlashAttention::State FlashAttention::emitKeyTile(const Block &block, Expr firstKey, State state) {
  const ThreadTile &scores = tile.scores;
  Expr keysHere = block.keys - firstKey, scale = b.real(tile.shape.getScale());
  b.barrier(); // The last tile of keys and values has been read.
  tile.loadHeads(block.key.from(firstKey, b.index(0)), keysHere, tile.getKeys(), key);
  tile.loadHeads(block.value.from(firstKey, b.index(0)), keysHere, tile.getKeys(), value);
  b.barrier();

  Accumulators weightsHere = tile.multiplyHeads(query, key);
  for (int64_t i = 0; i < scores.rowsEach; ++i) {
    Expr visible = block.visibleKeys(scores.row(i)) - firstKey;
    Expr hidden = block.hiddenKeys ? block.hiddenKeys(scores.row(i)) - firstKey : Expr();
    SmallVector<Expr> isVisible;
    Expr newMax = state.rowMax[i];
    for (int64_t j = 0; j < scores.columnsEach; ++j) {
      Expr &score = scores.at(weightsHere, i, j);
      isVisible.push_back(isWithin(scores.column(j), hidden, visible));
      score = score * scale;
      newMax = select(isVisible[j], max(score, newMax), newMax);
    }
    newMax = b.maxLanes(newMax, scores.threadColumns);
    Expr sum = b.real(0);
    for (int64_t j = 0; j < scores.columnsEach; ++j) {
      Expr &score = scores.at(weightsHere, i, j);
      score = select(isVisible[j], exp(select(isVisible[j], score - newMax, b.real(0))), b.real(0));
      sum = sum + score;
    }
    Expr correction = exp(state.rowMax[i] - newMax);
    state.rowMax[i] = newMax;
    state.rowSum[i] = state.rowSum[i] * correction + b.sumLanes(sum, scores.threadColumns);
    for (int64_t j = 0; j < tile.queryHeads.columnsEach; ++j)
      tile.queryHeads.at(state.sums, i, j) = tile.queryHeads.at(state.sums, i, j) * correction;
  }
  scores.store(b, weightsHere, weights);
  b.barrier();
  state.sums = tile.queryHeads.multiply(b, state.sums, weights, value, tile.getKeys());
  return state;
}

} // namespace mlir::moe::cuda
