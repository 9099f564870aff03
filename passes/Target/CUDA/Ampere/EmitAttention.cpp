//===- EmitAttention.cpp - Causal attention of bf16 by mma.sync -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A running softmax (arXiv:2205.14135, algorithm 1; the division at the end). A block owns queries of a head and streams
/// keys and values; P is rounded to bf16 for the product with the values, all else is float32. m is a maximum of scores
/// before they are scaled, so that an exponential is one fma and one instruction: with c = log2(e) / √headDim,
///
/// ```
/// m, l, O = −10³⁰, 0, 0
/// for tile of keys:
///   S = Q Kᵀ, −∞ where a key is not visible;  m' = max(m, rowmax S);  P = exp2(c S − c m')
///   l = l · exp2(c m − c m') + rowsum P;      O = O · exp2(c m − c m') + P V
/// O / l
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/AttentionWarps.h"
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/Common/PackedDocuments.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

namespace mlir::moe::cuda::ampere {
namespace {

/// Below every score, yet finite: differences with it are defined.
constexpr double kLowest = -1e30;
/// Elements of the queries of a warp: two in a register of a lane.
constexpr int64_t kMostQueriesInRegisters = 32 * 2 * kWarpSize;

class AttentionEmitter {
public:
  AttentionEmitter(moe_kernel::AttentionOp op, EmitterContext &context);
  LaunchShape emit();

private:
  /// The running state: of each row of a lane, and the sums.
  struct State {
    SmallVector<Expr> rowMax, rowSum, sums;

    SmallVector<Expr> pack() const;
    static State unpack(ArrayRef<Expr> values, int64_t rows);
  };
  State emitTile(Expr firstKey, Expr buffer, State state);
  void copyKeys(Expr firstKey, Expr buffer);
  SmallVector<Expr> maskScores(ArrayRef<Expr> products, Expr firstKey);

  BlockBuilder b;
  AttentionShape shape;
  AttentionWarps warps;
  int64_t sequences, queryTiles;
  MatrixView query, key, value, result, lse; ///< Tensors.
  target::PackedDocuments documents;
  SharedTile queryTile, keyTile, valueTile;
  double exponentScale; ///< c

  Expr sequence, head, firstQuery, rows, endOfKeys; ///< Of the block.
  Expr lastFirstKey;                                ///< The first key that the last query sees.
  SmallVector<Fragment> queries;                    ///< Of the warp, if there are registers for them.
  SmallVector<Expr> firstKeys;                      ///< That each row of the lane sees; empty: 0.
};

SmallVector<Expr> AttentionEmitter::State::pack() const {
  SmallVector<Expr> values(rowMax);
  values.append(rowSum);
  values.append(sums);
  return values;
}

AttentionEmitter::State AttentionEmitter::State::unpack(ArrayRef<Expr> values, int64_t rows) {
  return {SmallVector<Expr>(values.take_front(rows)), SmallVector<Expr>(values.slice(rows, rows)),
          SmallVector<Expr>(values.drop_front(2 * rows))};
}

AttentionEmitter::AttentionEmitter(moe_kernel::AttentionOp op, EmitterContext &context)
    : b(context), shape{int64_t(op.getNumHeads()), int64_t(op.getNumKvHeads()),
                        op.getQuery().getType().getDimSize(1) / int64_t(op.getNumHeads()),
                        int64_t(op.getSequenceLength()), int64_t(op.getSequenceLength())},
      warps(b, shape, context.config), sequences(op.getQuery().getType().getDimSize(0) / shape.queries),
      queryTiles(llvm::divideCeil(shape.queries, warps.owned)),
      query(b.matrix(b.operand(op.getQuery()), shape.getQueryStride())),
      key(b.matrix(b.operand(op.getKey()), shape.getKeyStride())),
      value(b.matrix(b.operand(op.getValue()), shape.getKeyStride())),
      result(b.matrix(b.result(op.getResult()), shape.getQueryStride())),
      lse(b.matrix(b.result(op.getLse()), shape.heads)),
      documents(b, op.getPositions() ? b.operand(op.getPositions()) : Value(), shape.queries),
      queryTile(warps.allocateOwned()), keyTile(warps.allocateStreamed()), valueTile(warps.allocateStreamed()),
      exponentScale(shape.getScale() * std::numbers::log2e) {}

LaunchShape AttentionEmitter::emit() {
  // The last queries of a sequence see most keys, so they come first: no long block starts late.
  head = b.block % shape.heads;
  sequence = b.block / shape.heads % sequences;
  firstQuery = (queryTiles - 1 - b.block / (shape.heads * sequences)) * warps.owned;
  rows = b.blockSize(firstQuery, warps.owned, shape.queries);
  endOfKeys = firstQuery + rows;
  int64_t laneRows = warps.getLaneRows();
  if (documents) {
    for (int64_t i = 0; i < laneRows; ++i)
      firstKeys.push_back(documents.firstKey(sequence, firstQuery + min(warps.row(i), rows - 1)));
    lastFirstKey = documents.firstKey(sequence, endOfKeys - 1);
  }

  Expr firstRow = sequence * shape.queries + firstQuery, column = head * shape.headDim;
  warps.copyHeads(query.from(firstRow, column), rows, queryTile, b.index(0));
  Expr firstTile = documents.firstKey(sequence, firstQuery) / warps.streamed * warps.streamed;
  copyKeys(firstTile, b.index(0));

  // Reading the queries again for each tile takes as long as an eighth of the other fragments do.
  if (warps.scores.rows * shape.headDim <= kMostQueriesInRegisters) {
    waitForCopies(b, 0);
    b.barrier();
    queries = warps.loadOwned(queryTile);
  }

  State initial{SmallVector<Expr>(laneRows, b.real(kLowest)), SmallVector<Expr>(laneRows, b.real(0)),
                warps.heads.zeros()};
  SmallVector<Expr> carried = initial.pack();
  carried.push_back(b.index(0)); // The buffer of the tile.
  carried = b.loop(firstTile, endOfKeys, warps.streamed, carried, [&](Expr firstKey, ArrayRef<Expr> carried) {
    Expr buffer = carried.back(), other = 1 - buffer;
    waitForCopies(b, 0);
    b.barrier(); // This tile is there, and nobody reads the other buffer any more.
    copyKeys(firstKey + warps.streamed, other);
    SmallVector<Expr> next = emitTile(firstKey, buffer, State::unpack(carried.drop_back(), laneRows)).pack();
    next.push_back(other);
    return next;
  });

  State last = State::unpack(ArrayRef<Expr>(carried).drop_back(), laneRows);
  SmallVector<Expr> inverse;
  for (Expr &sum : last.rowSum) {
    sum = b.sumLanes(sum, 4);
    inverse.push_back(1 / sum);
  }
  warps.storeHeads(last.sums, inverse, rows, result.from(firstRow, column));
  for (int64_t i = 0; i < laneRows; ++i) {
    Expr row = warps.row(i), isFirst = b.lane % 4 == 0;
    b.ifThen(both(row < rows, isFirst), [&] {
      b.store(last.rowMax[i] * shape.getScale() + log(last.rowSum[i]), lse.memory, lse.at(firstRow + row, head));
    });
  }

  // Two matmuls over the scores at and below the diagonal: where documents end is known at run time only.
  int64_t scores = sequences * shape.heads * shape.queries * (shape.queries + 1) / 2;
  return {{sequences * shape.heads * queryTiles, 1, 1}, {b.threads, 1, 1}, 4 * scores * shape.headDim};
}

void AttentionEmitter::copyKeys(Expr firstKey, Expr buffer) {
  Expr row = sequence * shape.keys + firstKey, column = head / shape.getGroup() * shape.headDim;
  Expr count = endOfKeys - firstKey;
  warps.copyHeads(key.from(row, column), count, keyTile, keyTile.getBuffer(buffer));
  warps.copyHeads(value.from(row, column), count, valueTile, valueTile.getBuffer(buffer));
  commitCopies(b);
}

SmallVector<Expr> AttentionEmitter::maskScores(ArrayRef<Expr> products, Expr firstKey) {
  // Numbers of keys, counted from the first one that the lane has a score of.
  Expr origin = firstKey + b.lane % 4 * 2;
  // Most tiles lie below the diagonal of the warp's first query.
  Expr needed = firstKey + warps.streamed > firstQuery + warps.firstRow + 1;
  if (documents)
    needed = b.wrap(arith::OrIOp::create(b.builder, Value(needed), Value(lastFirstKey > firstKey)));
  return warps.mask(products, needed, [&](int64_t row, int64_t column) {
    Expr number = b.i32(column), last = (firstQuery + warps.row(row) - origin).toI32();
    Expr visible = (last < number) == 0;
    return documents ? both(visible, (number < (firstKeys[row] - origin).toI32()) == 0) : visible;
  });
}

AttentionEmitter::State AttentionEmitter::emitTile(Expr firstKey, Expr buffer, State state) {
  SmallVector<Expr> products =
      queries.empty() ? warps.multiplyHeads(queryTile, keyTile, keyTile.getBuffer(buffer))
                      : warps.multiplyHeads(queries, keyTile, keyTile.getBuffer(buffer));
  products = maskScores(products, firstKey);

  SmallVector<Expr> newMax(state.rowMax), subtracted;
  warps.forScores(products, [&](int64_t row, int64_t, Expr &score) { newMax[row] = maxFast(b, newMax[row], score); });
  for (Expr &rowMax : newMax) {
    rowMax = b.reduceLanes(rowMax, 4, [&](Expr lhs, Expr rhs) { return maxFast(b, lhs, rhs); });
    subtracted.push_back(rowMax * -exponentScale);
  }
  Expr scale = b.real(exponentScale);
  SmallVector<Expr> corrections;
  for (auto [row, rowMax] : llvm::enumerate(state.rowMax)) {
    corrections.push_back(exp2Fast(b, (rowMax - newMax[row]) * scale)); // Both may still be the lowest.
    state.rowSum[row] = state.rowSum[row] * corrections[row];
  }
  // A lane adds its own columns; the sums of lanes meet at the end.
  warps.forScores(products, [&](int64_t row, int64_t, Expr &score) {
    score = exp2Fast(b, fma(score, scale, subtracted[row]));
    state.rowSum[row] = state.rowSum[row] + score;
  });
  for (int64_t i = 0; i < warps.heads.rows / kFragment; ++i)
    for (int64_t strip = 0; strip < warps.heads.getStrips(); ++strip)
      for (auto [part, sum] : llvm::enumerate(warps.heads.strip(MutableArrayRef<Expr>(state.sums), i, strip)))
        sum = sum * corrections[2 * i + part / 2];
  state.rowMax = newMax;
  warps.accumulate(state.sums, products, valueTile, valueTile.getBuffer(buffer));
  return state;
}

} // namespace

LaunchShape emitAttention(moe_kernel::AttentionOp op, EmitterContext &context) {
  return AttentionEmitter(op, context).emit();
}

bool canEmitAttention(moe_kernel::CUDAConfigAttr config, int64_t headDim) {
  int64_t warps = config.getThreads() / kWarpSize;
  return headDim % kFragment == 0 && config.getTileM() % (warps * kFragment) == 0 &&
         config.getTileN() % kFragment == 0 && llvm::isPowerOf2_64(config.getTileN()) &&
         config.getTileN() <= config.getThreads();
}

} // namespace mlir::moe::cuda::ampere
