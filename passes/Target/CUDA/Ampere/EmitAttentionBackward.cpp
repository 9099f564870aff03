//===- EmitAttentionBackward.cpp - Gradients of bf16 attention --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// As for float32 (../EmitAttentionBackward.cpp), some blocks own keys of a key head and the others queries of a head;
/// each forms the scores that it needs anew, and nothing is summed across blocks:
///
/// ```
/// P  = exp2(c Q Kᵀ − log2(e) lse), zeros where a key is not visible          c = log2(e) / √headDim
/// dS = P ∘ (dO Vᵀ − rowsum(dO ∘ O))
///
/// block of keys, which owns K and V:            block of queries, which owns Q and dO:
///   for query head of the group:                  for tile of K and V:
///     for tile of Q and dO:                         dQ += dS K
///       dV += Pᵀ dO;  dK += dSᵀ Q                 dQ / √headDim
///   dV, dK / √headDim
/// ```
///
/// A warp that owns keys forms Sᵀ, so that Pᵀ and dSᵀ lie in its registers as the left operands that it needs. What it
/// wants to know of queries, which are columns there, is worked out once per tile and shared. P and dS are rounded to
/// bf16 for the products with dO, Q and K; all else is float32.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/AttentionWarps.h"
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/Common/PackedDocuments.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

namespace mlir::moe::cuda::ampere {
namespace {

class AttentionBackwardEmitter {
public:
  AttentionBackwardEmitter(moe_kernel::AttentionBackwardOp op, EmitterContext &context);
  LaunchShape emit();

private:
  /// Queries of a head, from `firstQuery` on.
  struct Queries {
    Expr head, first, count;
  };
  /// What the backward pass knows of one query: log2(e) · lse, rowsum(dO ∘ O), and the first key that it sees.
  struct Statistics {
    Expr lse, delta, firstKey;
  };

  void emitKeyBlock(Expr number);
  void emitQueryBlock(Expr number);

  /// Begins to copy a tile; commits.
  void copyQueries(const Queries &queries, const SharedTile &queryTarget, const SharedTile &gradientTarget,
                   Expr queryBuffer, Expr gradientBuffer);
  void copyKeys(Expr keyHead, Expr first, Expr count, const SharedTile &keyTarget, const SharedTile &valueTarget,
                Expr keyBuffer, Expr valueBuffer);
  /// Of query `row` of `queries`, by `lanes` lanes together; of a query that does not exist, what makes P zero.
  Statistics findStatistics(const Queries &queries, Expr row, int64_t lanes, Expr lane);
  /// Leaves the statistics of a tile of streamed queries in shared memory, for `buffer`.
  void shareStatistics(const Queries &queries, Expr buffer);
  /// P from products with their `lse`.
  void applySoftmax(MutableArrayRef<Expr> products, function_ref<Expr(int64_t row, int64_t column)> lse);

  Expr tensorRow(Expr row) { return sequence * shape.queries + row; }

  BlockBuilder b;
  AttentionShape shape;
  AttentionWarps warps;
  int64_t sequences, keyBlocks, queryBlocks;
  MatrixView query, key, value, result, lse, resultGradient; ///< Tensors.
  MatrixView queryGradient, keyGradient, valueGradient;
  target::PackedDocuments documents;
  SharedTile ownedFirst, ownedSecond;       ///< K and V, or Q and dO.
  SharedTile streamedFirst, streamedSecond; ///< Q and dO, or K and V.
  Value lseTile, deltaTile, firstKeyTile;   ///< Of the streamed queries.

  Expr sequence;
};

} // namespace

AttentionBackwardEmitter::AttentionBackwardEmitter(moe_kernel::AttentionBackwardOp op, EmitterContext &context)
    : b(context), shape{int64_t(op.getNumHeads()), int64_t(op.getNumKvHeads()),
                        op.getQuery().getType().getDimSize(1) / int64_t(op.getNumHeads()),
                        int64_t(op.getSequenceLength()), int64_t(op.getSequenceLength())},
      warps(b, shape, context.config), sequences(op.getQuery().getType().getDimSize(0) / shape.queries),
      query(b.matrix(b.operand(op.getQuery()), shape.getQueryStride())),
      key(b.matrix(b.operand(op.getKey()), shape.getKeyStride())),
      value(b.matrix(b.operand(op.getValue()), shape.getKeyStride())),
      result(b.matrix(b.operand(op.getResult()), shape.getQueryStride())),
      lse(b.matrix(b.operand(op.getLse()), shape.heads)),
      resultGradient(b.matrix(b.operand(op.getResultGradient()), shape.getQueryStride())),
      queryGradient(b.matrix(b.result(op.getQueryGradient()), shape.getQueryStride())),
      keyGradient(b.matrix(b.result(op.getKeyGradient()), shape.getKeyStride())),
      valueGradient(b.matrix(b.result(op.getValueGradient()), shape.getKeyStride())),
      documents(b, op.getPositions() ? b.operand(op.getPositions()) : Value(), shape.queries),
      ownedFirst(warps.allocateOwned()), ownedSecond(warps.allocateOwned()), streamedFirst(warps.allocateStreamed()),
      streamedSecond(warps.allocateStreamed()), lseTile(b.allocateShared(kBuffers * warps.streamed)),
      deltaTile(b.allocateShared(kBuffers * warps.streamed)) {
  int64_t tiles = sequences * llvm::divideCeil(shape.queries, warps.owned);
  keyBlocks = tiles * shape.keyHeads;
  queryBlocks = tiles * shape.heads;
  if (documents)
    firstKeyTile = b.allocateShared(kBuffers * warps.streamed, b.builder.getI32Type());
}

LaunchShape AttentionBackwardEmitter::emit() {
  b.ifThenElse(
      b.block < keyBlocks, [&] { emitKeyBlock(b.block); }, [&] { emitQueryBlock(b.block - keyBlocks); });
  // Five matmuls over the scores at and below the diagonal; what is formed twice is counted once.
  int64_t scores = sequences * shape.heads * shape.queries * (shape.queries + 1) / 2;
  return {{keyBlocks + queryBlocks, 1, 1}, {b.threads, 1, 1}, 10 * scores * shape.headDim};
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

void AttentionBackwardEmitter::copyQueries(const Queries &queries, const SharedTile &queryTarget,
                                           const SharedTile &gradientTarget, Expr queryBuffer, Expr gradientBuffer) {
  Expr row = tensorRow(queries.first), column = queries.head * shape.headDim;
  warps.copyHeads(query.from(row, column), queries.count, queryTarget, queryBuffer);
  warps.copyHeads(resultGradient.from(row, column), queries.count, gradientTarget, gradientBuffer);
  commitCopies(b);
}

void AttentionBackwardEmitter::copyKeys(Expr keyHead, Expr first, Expr count, const SharedTile &keyTarget,
                                        const SharedTile &valueTarget, Expr keyBuffer, Expr valueBuffer) {
  Expr row = tensorRow(first), column = keyHead * shape.headDim;
  warps.copyHeads(key.from(row, column), count, keyTarget, keyBuffer);
  warps.copyHeads(value.from(row, column), count, valueTarget, valueBuffer);
  commitCopies(b);
}

AttentionBackwardEmitter::Statistics AttentionBackwardEmitter::findStatistics(const Queries &queries, Expr row,
                                                                              int64_t lanes, Expr lane) {
  Expr exists = row < queries.count, first = tensorRow(queries.first), column = queries.head * shape.headDim;
  Statistics statistics;
  Expr rowLse = b.loadOrZero(lse.memory, lse.at(first + row, queries.head), exists) * std::numbers::log2e;
  statistics.lse = select(exists, rowLse, b.real(-kMasked));
  statistics.delta =
      warps.dotRows(result.from(first, column), resultGradient.from(first, column), row, exists, lanes, lane);
  if (documents)
    statistics.firstKey = documents.firstKey(sequence, queries.first + min(row, queries.count - 1));
  return statistics;
}

void AttentionBackwardEmitter::shareStatistics(const Queries &queries, Expr buffer) {
  int64_t lanes = std::min<int64_t>(b.threads / warps.streamed, kWarpSize);
  Expr row = b.thread / lanes, lane = b.thread % lanes;
  b.ifThen(lanes * warps.streamed == b.threads ? Expr() : row < warps.streamed, [&] {
    Statistics statistics = findStatistics(queries, row, lanes, lane);
    b.ifThen(lane == 0, [&] {
      Expr at = buffer * warps.streamed + row;
      b.store(statistics.lse, lseTile, at);
      b.store(statistics.delta, deltaTile, at);
      if (documents)
        b.store(statistics.firstKey.toI32(), firstKeyTile, at);
    });
  });
}

void AttentionBackwardEmitter::applySoftmax(MutableArrayRef<Expr> products,
                                            function_ref<Expr(int64_t row, int64_t column)> lse) {
  Expr scale = b.real(shape.getScale() * std::numbers::log2e);
  warps.forScores(products, [&](int64_t row, int64_t column, Expr &score) {
    score = exp2Fast(b, fma(score, scale, b.real(0) - lse(row, column)));
  });
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

void AttentionBackwardEmitter::emitKeyBlock(Expr number) {
  // The first keys of a sequence are seen by most queries: they come first.
  Expr keyHead = number % shape.keyHeads;
  sequence = number / shape.keyHeads % sequences;
  Expr firstKey = number / (shape.keyHeads * sequences) * warps.owned;
  Expr keysHere = b.blockSize(firstKey, warps.owned, shape.keys);
  copyKeys(keyHead, firstKey, keysHere, ownedFirst, ownedSecond, b.index(0), b.index(0));

  Expr firstTile = firstKey;
  if (warps.owned % warps.streamed != 0)
    firstTile = firstKey / warps.streamed * warps.streamed;
  Expr endOfQueries = documents.endOfQueries(sequence, firstKey + keysHere - 1);
  Expr firstHead = keyHead * shape.getGroup();
  auto queriesAt = [&](Expr member, Expr first) {
    return Queries{firstHead + member, first, b.index(shape.queries) - first};
  };
  auto begin = [&](const Queries &queries, Expr buffer) {
    copyQueries(queries, streamedFirst, streamedSecond, streamedFirst.getBuffer(buffer),
                streamedSecond.getBuffer(buffer));
    shareStatistics(queries, buffer);
  };
  begin(queriesAt(b.index(0), firstTile), b.index(0));

  int64_t count = warps.heads.size();
  SmallVector<Expr> carried(2 * count, b.real(0)); // dV, dK.
  carried.push_back(b.index(0));                   // The buffer of the tile.
  auto forTile = [&](Expr member, Expr firstQuery, ArrayRef<Expr> carried) {
    Expr buffer = carried.back(), other = 1 - buffer;
    waitForCopies(b, 0);
    b.barrier(); // This tile is there, and nobody reads the other buffer any more.
    // The tile after this one, maybe of the next head; after all, the last one again.
    Expr next = firstQuery + warps.streamed, isLast = (next < endOfQueries) == 0;
    Expr nextMember = select(isLast, min(member + 1, b.index(shape.getGroup() - 1)), member);
    begin(queriesAt(nextMember, select(isLast, firstTile, next)), other);

    Expr firstColumn = b.lane % 4 * 2, statisticsAt = buffer * warps.streamed + firstColumn;
    auto perColumn = [&](Value memory) {
      SmallVector<Expr> values; // Of columns 8 · strip and 8 · strip + 1 of the lane.
      for (int64_t strip = 0; strip < warps.scores.getStrips(); ++strip)
        values.append(b.loadVector(memory, statisticsAt + 8 * strip, 2));
      return values;
    };
    auto columnOf = [](int64_t column) { return column / 8 * 2 + column % 8; };

    SmallVector<Expr> scores =
        warps.multiplyHeads(ownedFirst, streamedFirst, streamedFirst.getBuffer(buffer));
    // Tiles behind the warp's last key are seen as a whole, unless a document ends before.
    Expr firstRow = firstKey + warps.firstRow, needed = firstQuery < firstRow + (warps.scores.rows - 1);
    if (documents) {
      Expr lastFirstKey = b.load(firstKeyTile, buffer * warps.streamed + (warps.streamed - 1));
      needed = b.wrap(arith::OrIOp::create(b.builder, Value(needed), Value(firstRow.toI32() < lastFirstKey)));
    }
    // What the mask compares is worked out and read where it is needed only.
    SmallVector<Expr> firstKeys;
    scores = warps.mask(scores, needed, [&](int64_t row, int64_t column) {
      Expr key = firstKey + warps.row(row), firstSeeing = (key - firstQuery - firstColumn).toI32();
      Expr visible = (b.i32(column) < firstSeeing) == 0;
      if (!documents)
        return visible;
      if (firstKeys.empty())
        firstKeys = perColumn(firstKeyTile);
      return both(visible, (key.toI32() < firstKeys[columnOf(column)]) == 0);
    });
    SmallVector<Expr> lses = perColumn(lseTile);
    applySoftmax(scores, [&](int64_t, int64_t column) { return lses[columnOf(column)]; });

    SmallVector<Expr> sums(carried.drop_back());
    MutableArrayRef<Expr> all(sums);
    warps.accumulate(all.take_front(count), scores, streamedSecond, streamedSecond.getBuffer(buffer));
    SmallVector<Expr> gradients =
        warps.multiplyHeads(ownedSecond, streamedSecond, streamedSecond.getBuffer(buffer));
    SmallVector<Expr> deltas = perColumn(deltaTile);
    const Expr *weight = scores.begin();
    warps.forScores(gradients, [&](int64_t, int64_t column, Expr &gradient) {
      gradient = *weight++ * (gradient - deltas[columnOf(column)]);
    });
    warps.accumulate(all.drop_front(count), gradients, streamedFirst, streamedFirst.getBuffer(buffer));
    sums.push_back(other);
    return sums;
  };
  carried = b.loop(b.index(0), b.index(shape.getGroup()), 1, carried, [&](Expr member, ArrayRef<Expr> carried) {
    return b.loop(firstTile, endOfQueries, warps.streamed, carried, [&](Expr firstQuery, ArrayRef<Expr> carried) {
      return forTile(member, firstQuery, carried);
    });
  });
  waitForCopies(b, 0);

  ArrayRef<Expr> sums(carried);
  Expr row = tensorRow(firstKey), column = keyHead * shape.headDim;
  SmallVector<Expr> ones(warps.getLaneRows(), b.real(1)), scales(warps.getLaneRows(), b.real(shape.getScale()));
  warps.storeHeads(sums.take_front(count), ones, keysHere, valueGradient.from(row, column));
  warps.storeHeads(sums.slice(count, count), scales, keysHere, keyGradient.from(row, column));
}

void AttentionBackwardEmitter::emitQueryBlock(Expr number) {
  // The last queries of a sequence see most keys: they come first.
  int64_t tiles = llvm::divideCeil(shape.queries, warps.owned);
  Queries queries;
  queries.head = number % shape.heads;
  sequence = number / shape.heads % sequences;
  queries.first = (b.index(tiles - 1) - number / (shape.heads * sequences)) * warps.owned;
  queries.count = b.blockSize(queries.first, warps.owned, shape.queries);
  copyQueries(queries, ownedFirst, ownedSecond, b.index(0), b.index(0));

  Expr endOfKeys = queries.first + queries.count;
  auto begin = [&](Expr firstKey, Expr buffer) {
    copyKeys(queries.head / shape.getGroup(), firstKey, endOfKeys - firstKey, streamedFirst, streamedSecond,
             streamedFirst.getBuffer(buffer), streamedSecond.getBuffer(buffer));
  };
  Expr firstTile = documents.firstKey(sequence, queries.first) / warps.streamed * warps.streamed;
  begin(firstTile, b.index(0));

  SmallVector<Statistics> statistics;
  for (int64_t i = 0; i < warps.getLaneRows(); ++i)
    statistics.push_back(findStatistics(queries, warps.row(i), 4, b.lane % 4));
  Expr lastFirstKey = documents.firstKey(sequence, endOfKeys - 1);

  SmallVector<Expr> carried = warps.heads.zeros(); // dQ.
  carried.push_back(b.index(0));                   // The buffer of the tile.
  carried = b.loop(firstTile, endOfKeys, warps.streamed, carried, [&](Expr firstKey, ArrayRef<Expr> carried) {
    Expr buffer = carried.back(), other = 1 - buffer;
    waitForCopies(b, 0);
    b.barrier(); // This tile is there, and nobody reads the other buffer any more.
    begin(firstKey + warps.streamed, other);

    SmallVector<Expr> scores =
        warps.multiplyHeads(ownedFirst, streamedFirst, streamedFirst.getBuffer(buffer));
    Expr origin = firstKey + b.lane % 4 * 2, needed = firstKey + warps.streamed > queries.first + warps.firstRow + 1;
    if (documents)
      needed = b.wrap(arith::OrIOp::create(b.builder, Value(needed), Value(lastFirstKey > firstKey)));
    scores = warps.mask(scores, needed, [&](int64_t row, int64_t column) {
      Expr number = b.i32(column), last = (queries.first + warps.row(row) - origin).toI32();
      Expr visible = (last < number) == 0;
      return documents ? both(visible, (number < (statistics[row].firstKey - origin).toI32()) == 0) : visible;
    });
    applySoftmax(scores, [&](int64_t row, int64_t) { return statistics[row].lse; });

    SmallVector<Expr> gradients =
        warps.multiplyHeads(ownedSecond, streamedSecond, streamedSecond.getBuffer(buffer));
    const Expr *weight = scores.begin();
    warps.forScores(gradients, [&](int64_t row, int64_t, Expr &gradient) {
      gradient = *weight++ * (gradient - statistics[row].delta);
    });
    SmallVector<Expr> sums(carried.drop_back());
    warps.accumulate(sums, gradients, streamedFirst, streamedFirst.getBuffer(buffer));
    sums.push_back(other);
    return sums;
  });

  SmallVector<Expr> scales(warps.getLaneRows(), b.real(shape.getScale()));
  warps.storeHeads(ArrayRef<Expr>(carried).drop_back(), scales, queries.count,
                   queryGradient.from(tensorRow(queries.first), queries.head * shape.headDim));
}

LaunchShape emitAttentionBackward(moe_kernel::AttentionBackwardOp op, EmitterContext &context) {
  return AttentionBackwardEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda::ampere
