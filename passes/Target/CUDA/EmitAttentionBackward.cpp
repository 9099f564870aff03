//===- EmitAttentionBackward.cpp - Gradients of attention -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// arXiv:2205.14135, algorithm 4, without sums across blocks: some blocks own a tile of keys of a key head, the others a
/// tile of queries of a head, and each forms the scores that it needs anew.
///
/// ```
/// P  = exp(scale · Q Kᵀ − lse), zeros above the diagonal and across documents
/// dS = scale · P ∘ (dO Vᵀ − rowsum(dO ∘ O))
///
/// block of keys:                            block of queries:
///   for query head of the group:              for tile of keys of the document, up to the diagonal:
///     for tile of queries from the diagonal     dQ += dS K
///         to the end of the document:
///       dV += Pᵀ dO;  dK += dSᵀ Q
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/AttentionTile.h"
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/Common/PackedDocuments.h"

namespace mlir::moe::cuda {
namespace {

class AttentionBackwardEmitter {
public:
  AttentionBackwardEmitter(moe_kernel::AttentionBackwardOp op, EmitterContext &context);
  LaunchShape emit();

private:
  /// A tile of queries of a head, and one of keys.
  struct Place {
    Expr sequence, head, firstQuery, firstKey;
  };
  void emitKeyBlock(Expr number);
  void emitQueryBlock(Expr number);

  void loadQueries(const Place &place);
  void loadKeys(const Place &place);
  /// Leaves dS, and P if asked for, in shared memory. `delta` is that of the rows of this thread.
  void emitScoreGradients(const Place &place, ArrayRef<Expr> delta, bool keepWeights);
  /// rowsum(dO ∘ O) of the rows of this thread.
  SmallVector<Expr> emitDelta(const Place &place);

  Expr queryRow(const Place &place) { return place.sequence * shape.queries + place.firstQuery; }
  Expr keyRow(const Place &place) { return place.sequence * shape.keys + place.firstKey; }
  Expr queryColumn(const Place &place) { return place.head * shape.headDim; }
  Expr keyColumn(const Place &place) { return place.head / shape.getGroup() * shape.headDim; }
  Expr queriesHere(const Place &place) { return b.blockSize(place.firstQuery, tile.getQueries(), shape.queries); }
  Expr keysHere(const Place &place) { return b.blockSize(place.firstKey, tile.getKeys(), shape.keys); }

  BlockBuilder b;
  AttentionShape shape;
  AttentionTile tile;
  int64_t sequences;
  target::PackedDocuments documents;
  MatrixView query, key, value, result, lse, resultGradient; ///< Tensors.
  MatrixView queryGradient, keyGradient, valueGradient;
  MatrixView queryTile, outputTile, keyTile, valueTile, weights, scoreGradients; ///< Shared: Q, dO, K, V, P, dS.
};

} // namespace

AttentionBackwardEmitter::AttentionBackwardEmitter(moe_kernel::AttentionBackwardOp op, EmitterContext &context)
    : b(context), shape{int64_t(op.getNumHeads()), int64_t(op.getNumKvHeads()),
                        op.getQuery().getType().getDimSize(1) / int64_t(op.getNumHeads()),
                        int64_t(op.getSequenceLength()), int64_t(op.getSequenceLength())},
      tile(b, shape, context.config), sequences(op.getQuery().getType().getDimSize(0) / shape.queries),
      documents(b, op.getPositions() ? b.operand(op.getPositions()) : Value(), shape.queries) {
  int64_t queryStride = shape.getQueryStride(), keyStride = shape.getKeyStride();
  query = b.matrix(b.operand(op.getQuery()), queryStride);
  key = b.matrix(b.operand(op.getKey()), keyStride);
  value = b.matrix(b.operand(op.getValue()), keyStride);
  result = b.matrix(b.operand(op.getResult()), queryStride);
  lse = b.matrix(b.operand(op.getLse()), shape.heads);
  resultGradient = b.matrix(b.operand(op.getResultGradient()), queryStride);
  queryGradient = b.matrix(b.result(op.getQueryGradient()), queryStride);
  keyGradient = b.matrix(b.result(op.getKeyGradient()), keyStride);
  valueGradient = b.matrix(b.result(op.getValueGradient()), keyStride);

  queryTile = tile.allocateHeads(tile.getQueries());
  outputTile = tile.allocateHeads(tile.getQueries());
  keyTile = tile.allocateHeads(tile.getKeys());
  valueTile = tile.allocateHeads(tile.getKeys());
  weights = tile.allocateScores();
  scoreGradients = tile.allocateScores();
}

LaunchShape AttentionBackwardEmitter::emit() {
  int64_t keyBlocks = sequences * shape.keyHeads * tile.getKeyTiles();
  int64_t queryBlocks = sequences * shape.heads * tile.getQueryTiles();
  b.ifThenElse(
      b.block < keyBlocks, [&] { emitKeyBlock(b.block); }, [&] { emitQueryBlock(b.block - keyBlocks); });
  // Five matmuls over the scores at and below the diagonal; what is formed twice is counted once.
  int64_t scores = sequences * shape.heads * shape.queries * (shape.queries + 1) / 2;
  return {{keyBlocks + queryBlocks, 1, 1}, {b.threads, 1, 1}, 10 * scores * shape.headDim};
}

void AttentionBackwardEmitter::emitKeyBlock(Expr number) {
  // The first keys of a sequence are seen by most queries: they come first.
  Expr keyHead = number % shape.keyHeads;
  Place place;
  place.sequence = number / shape.keyHeads % sequences;
  place.head = keyHead * shape.getGroup();
  place.firstKey = number / (shape.keyHeads * sequences) * tile.getKeys();
  loadKeys(place);

  Accumulators zeros = tile.keyHeads.zeros(b), sums = zeros;
  sums.append(zeros);
  Expr firstTile = place.firstKey / tile.getQueries() * tile.getQueries();
  Expr endOfQueries = documents.endOfQueries(place.sequence, place.firstKey + keysHere(place) - 1);
  auto forHead = [&](Expr member, ArrayRef<Expr> carried) {
    Place here = place;
    here.head = place.head + member;
    return b.loop(firstTile, endOfQueries, tile.getQueries(), carried,
                  [&](Expr firstQuery, ArrayRef<Expr> carried) {
                    here.firstQuery = firstQuery;
                    b.barrier(); // The last tile of queries has been read.
                    loadQueries(here);
                    b.barrier();
                    emitScoreGradients(here, emitDelta(here), /*keepWeights=*/true);
                    b.barrier();
                    size_t half = carried.size() / 2;
                    Accumulators next = tile.keyHeads.multiply(b, Accumulators(carried.take_front(half)),
                                                               weights.transposed(), outputTile, tile.getQueries());
                    next.append(tile.keyHeads.multiply(b, Accumulators(carried.drop_front(half)),
                                                       scoreGradients.transposed(), queryTile, tile.getQueries()));
                    return next;
                  });
  };
  sums = b.loop(b.index(0), b.index(shape.getGroup()), 1, sums, forHead);

  ArrayRef<Expr> all(sums);
  Expr column = keyHead * shape.headDim;
  tile.storeHeads(tile.keyHeads, all.take_front(zeros.size()), keysHere(place),
                  valueGradient.from(keyRow(place), column));
  tile.storeHeads(tile.keyHeads, all.drop_front(zeros.size()), keysHere(place),
                  keyGradient.from(keyRow(place), column));
}

void AttentionBackwardEmitter::emitQueryBlock(Expr number) {
  // The last queries of a sequence see most keys: they come first.
  Place place;
  place.head = number % shape.heads;
  place.sequence = number / shape.heads % sequences;
  place.firstQuery = (tile.getQueryTiles() - 1 - number / (shape.heads * sequences)) * tile.getQueries();
  loadQueries(place);
  SmallVector<Expr> delta = emitDelta(place);

  Expr firstTile = documents.firstKey(place.sequence, place.firstQuery) / tile.getKeys() * tile.getKeys();
  Expr keys = place.firstQuery + queriesHere(place);
  Accumulators sums = b.loop(firstTile, keys, tile.getKeys(), tile.queryHeads.zeros(b),
                             [&](Expr firstKey, ArrayRef<Expr> carried) {
                               Place here = place;
                               here.firstKey = firstKey;
                               b.barrier(); // The last tile of keys has been read.
                               loadKeys(here);
                               b.barrier();
                               emitScoreGradients(here, delta, /*keepWeights=*/false);
                               b.barrier();
                               return tile.queryHeads.multiply(b, Accumulators(carried), scoreGradients, keyTile,
                                                               tile.getKeys());
                             });
  tile.storeHeads(tile.queryHeads, sums, queriesHere(place), queryGradient.from(queryRow(place), queryColumn(place)));
}

void AttentionBackwardEmitter::loadQueries(const Place &place) {
  Expr row = queryRow(place), column = queryColumn(place), count = queriesHere(place);
  tile.loadHeads(query.from(row, column), count, tile.getQueries(), queryTile);
  tile.loadHeads(resultGradient.from(row, column), count, tile.getQueries(), outputTile);
}

void AttentionBackwardEmitter::loadKeys(const Place &place) {
  Expr row = keyRow(place), column = keyColumn(place), count = keysHere(place);
  tile.loadHeads(key.from(row, column), count, tile.getKeys(), keyTile);
  tile.loadHeads(value.from(row, column), count, tile.getKeys(), valueTile);
}

SmallVector<Expr> AttentionBackwardEmitter::emitDelta(const Place &place) {
  const ThreadTile &heads = tile.queryHeads;
  SmallVector<Expr> delta;
  for (int64_t i = 0; i < heads.rowsEach; ++i) {
    Expr row = heads.row(i), isQuery = row < queriesHere(place), sum = b.real(0);
    for (int64_t j = 0; j < heads.columnsEach; ++j) {
      Expr column = queryColumn(place) + heads.column(j), tensorRow = queryRow(place) + row;
      Expr exists = heads.getColumns() == shape.headDim ? Expr() : heads.column(j) < shape.headDim;
      Expr valid = both(isQuery, exists);
      Expr gradient = b.loadOrZero(resultGradient.memory, resultGradient.at(tensorRow, column), valid);
      sum = fma(gradient, b.loadOrZero(result.memory, result.at(tensorRow, column), valid), sum);
    }
    delta.push_back(b.sumLanes(sum, heads.threadColumns));
  }
  return delta;
}

void AttentionBackwardEmitter::emitScoreGradients(const Place &place, ArrayRef<Expr> delta, bool keepWeights) {
  const ThreadTile &scores = tile.scores;
  Expr scale = b.real(shape.getScale()), zero = b.real(0);
  Accumulators weightsHere = tile.multiplyHeads(queryTile, keyTile);
  Accumulators gradients = tile.multiplyHeads(outputTile, valueTile);
  for (int64_t i = 0; i < scores.rowsEach; ++i) {
    Expr row = scores.row(i), isQuery = row < queriesHere(place);
    Expr rowLse = b.loadOrZero(lse.memory, lse.at(queryRow(place) + row, place.head), isQuery);
    Expr visible = select(isQuery, min(place.firstQuery + row + 1 - place.firstKey, keysHere(place)), b.index(0));
    Expr hidden;
    if (documents) {
      Expr query = place.firstQuery + min(row, queriesHere(place) - 1);
      hidden = documents.firstKey(place.sequence, query) - place.firstKey;
    }
    for (int64_t j = 0; j < scores.columnsEach; ++j) {
      Expr &weight = scores.at(weightsHere, i, j), &gradient = scores.at(gradients, i, j);
      Expr isVisible = isWithin(scores.column(j), hidden, visible);
      weight = select(isVisible, exp(select(isVisible, weight * scale - rowLse, zero)), zero);
      gradient = select(isVisible, weight * (gradient - delta[i]) * scale, zero);
    }
  }
  if (keepWeights)
    scores.store(b, weightsHere, weights);
  scores.store(b, gradients, scoreGradients);
}

LaunchShape emitAttentionBackward(moe_kernel::AttentionBackwardOp op, EmitterContext &context) {
  return AttentionBackwardEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda
