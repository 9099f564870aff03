//===- EmitAttentionBackward.cpp - Gradients of attention -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// arXiv:2205.14135, algorithm 4. An item owns a key head of a sequence and the query heads that use it, hence all rows
/// of the gradients that it adds to, in a fixed order:
///
/// ```
/// dQ, dK, dV = 0
/// for block of keys:
///   for query head of the group:
///     for block of queries that sees one of the keys:
///       P  = exp(scale · Q Kᵀ − lse), zeros above the diagonal and across documents
///       dS = scale · P ∘ (dO Vᵀ − rowsum(dO ∘ O))
///       dV += Pᵀ dO;  dK += dSᵀ Q;  dQ += dS K
/// ```
///
/// Gradients are summed where they are stored, or, if that is bf16, in scratch memory for all rows of the item.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/FlashAttention.h"
#include "passes/Target/Common/PackedDocuments.h"

namespace mlir::moe::cpu {
namespace {

class AttentionBackwardEmitter {
public:
  AttentionBackwardEmitter(moe_kernel::AttentionBackwardOp op, EmitterContext &context);
  LaunchShape emit();

private:
  void emitKeyBlock(Expr sequence, Expr keyHead, Expr firstKey);
  void emitBlock(Expr sequence, Expr rows, Expr head, Expr firstQuery, Expr firstKey, Expr keys);
  /// The row `row` of P and dS from scores and dO·Vᵀ; `tokenRow` is its row in the tensors, and the keys [hidden,
  /// visible) of the block are those that it sees.
  void emitScoreGradientRow(Expr row, Expr tokenRow, Expr head, Expr hidden, Expr visible);
  void multiply(const MatrixView &lhs, const MatrixView &rhs, const MatrixView &result, Expr rows, Expr depth,
                int64_t columns, bool accumulate);

  /// A gradient in its tensor, and the part of it that an item sums.
  struct Gradient {
    MatrixView tensor, sums;
    int64_t columns; ///< Of an item.
    bool rounds;     ///< Whether sums are in scratch memory.
  };
  Gradient makeGradient(Value result, int64_t stride, int64_t columns);
  void begin(Gradient &gradient, Expr firstRow, Expr firstColumn);
  void finish(const Gradient &gradient, Expr firstRow, Expr firstColumn);

  KernelBuilder b;
  AttentionShape shape;
  int64_t length, sequences;
  target::PackedDocuments documents;
  MatrixView query, key, value, result, lse, resultGradient;
  Gradient queryGradient, keyGradient, valueGradient;
  MatrixView weights, scoreGradients, keyPanel, valuePanel; ///< Scratch: P, dS, Kᵀ, Vᵀ.
  MatrixView keyHere, keyGradientHere, valueGradientHere;   ///< At the current block of keys.
  MatrixView queryGradientHere;                             ///< At the current block of queries.
};

} // namespace

AttentionBackwardEmitter::AttentionBackwardEmitter(moe_kernel::AttentionBackwardOp op, EmitterContext &context)
    : b(context), shape(b, context.config, op.getNumHeads(), op.getNumKvHeads(), op.getQuery().getType().getDimSize(1),
                        op.getSequenceLength(), op.getSequenceLength()),
      length(op.getSequenceLength()), sequences(op.getQuery().getType().getDimSize(0) / length),
      documents(b, op.getPositions() ? b.operand(op.getPositions()) : Value(), length) {
  int64_t queryStride = shape.getQueryStride(), keyStride = shape.getKeyStride();
  query = b.matrix(b.operand(op.getQuery()), queryStride);
  key = b.matrix(b.operand(op.getKey()), keyStride);
  value = b.matrix(b.operand(op.getValue()), keyStride);
  result = b.matrix(b.operand(op.getResult()), queryStride);
  lse = b.matrix(b.operand(op.getLse()), shape.heads);
  resultGradient = b.matrix(b.operand(op.getResultGradient()), queryStride);
  queryGradient = makeGradient(op.getQueryGradient(), queryStride, shape.getGroup() * shape.headDim);
  keyGradient = makeGradient(op.getKeyGradient(), keyStride, shape.headDim);
  valueGradient = makeGradient(op.getValueGradient(), keyStride, shape.headDim);

  weights = b.allocateMatrix(shape.blockM, shape.blockN);
  scoreGradients = b.allocateMatrix(shape.blockM, shape.blockN);
  keyPanel = b.allocateMatrix(b.roundUp(shape.headDim), shape.blockN);
  valuePanel = b.allocateMatrix(b.roundUp(shape.headDim), shape.blockN);
}

AttentionBackwardEmitter::Gradient AttentionBackwardEmitter::makeGradient(Value result, int64_t stride,
                                                                          int64_t columns) {
  MatrixView tensor = b.matrix(b.result(result), stride);
  bool rounds = b.holdsBFloat16(tensor.memory);
  return {tensor, rounds ? b.allocateMatrix(length, b.roundUp(columns)) : MatrixView(), columns, rounds};
}

void AttentionBackwardEmitter::begin(Gradient &gradient, Expr firstRow, Expr firstColumn) {
  if (!gradient.rounds)
    gradient.sums = gradient.tensor.from(firstRow, firstColumn);
  b.fillZeros(gradient.sums, b.index(length), gradient.columns);
}

void AttentionBackwardEmitter::finish(const Gradient &gradient, Expr firstRow, Expr firstColumn) {
  if (gradient.rounds)
    b.copy(gradient.sums, gradient.tensor.from(firstRow, firstColumn), b.index(length), gradient.columns);
}

LaunchShape AttentionBackwardEmitter::emit() {
  b.forEachItem([&](Expr item) {
    Expr sequence = item / shape.keyHeads, keyHead = item % shape.keyHeads;
    Expr firstRow = sequence * length;
    Gradient *gradients[] = {&queryGradient, &keyGradient, &valueGradient};
    for (Gradient *gradient : gradients)
      begin(*gradient, firstRow, keyHead * gradient->columns);
    b.loop(length, shape.blockN, [&](Expr firstKey) { emitKeyBlock(sequence, keyHead, firstKey); });
    for (Gradient *gradient : gradients)
      finish(*gradient, firstRow, keyHead * gradient->columns);
  });
  // Five matmuls over the scores at and below the diagonal.
  int64_t scores = sequences * shape.heads * length * (length + 1) / 2;
  return {sequences * shape.keyHeads, b.getScratchBytes(), 10 * scores * shape.headDim};
}

void AttentionBackwardEmitter::emitKeyBlock(Expr sequence, Expr keyHead, Expr firstKey) {
  Expr keyRow = sequence * length + firstKey, keyColumn = keyHead * shape.headDim;
  Expr keys = b.blockSize(firstKey, shape.blockN, length);
  keyHere = key.from(keyRow, keyColumn);
  keyGradientHere = keyGradient.sums.from(firstKey, b.index(0));
  valueGradientHere = valueGradient.sums.from(firstKey, b.index(0));
  emitPackTransposed(b, keyHere, keys, b.index(shape.headDim), shape.blockN, keyPanel);
  emitPackTransposed(b, value.from(keyRow, keyColumn), keys, b.index(shape.headDim), shape.blockN, valuePanel);

  Expr endOfQueries = documents.endOfQueries(sequence, firstKey + keys - 1);
  b.loop(shape.getGroup(), 1, [&](Expr member) {
    Expr head = keyHead * shape.getGroup() + member;
    MatrixView gradient = queryGradient.sums.from(b.index(0), member * shape.headDim);
    Expr firstBlock = firstKey / shape.blockM * shape.blockM;
    b.loop(firstBlock, endOfQueries, shape.blockM, [&](Expr firstQuery) {
      Expr rows = b.blockSize(firstQuery, shape.blockM, length);
      queryGradientHere = gradient.from(firstQuery, b.index(0));
      emitBlock(sequence, rows, head, firstQuery, firstKey, keys);
    });
  });
}

void AttentionBackwardEmitter::emitBlock(Expr sequence, Expr rows, Expr head, Expr firstQuery, Expr firstKey,
                                         Expr keys) {
  Expr firstRow = sequence * length + firstQuery, column = head * shape.headDim, depth = b.index(shape.headDim);
  auto take = [&](const MatrixView &tensor) {
    return b.extended(tensor.from(firstRow, column), rows, shape.blockM, shape.headDim);
  };
  MatrixView queryHere = take(query), outputHere = take(resultGradient);
  multiply(queryHere, keyPanel, weights, rows, depth, shape.blockN, /*accumulate=*/false);
  multiply(outputHere, valuePanel, scoreGradients, rows, depth, shape.blockN, /*accumulate=*/false);
  b.loop(b.index(0), rows, 1, [&](Expr row) {
    Expr query = firstQuery + row;
    Expr hidden = documents ? documents.firstKey(sequence, query) - firstKey : Expr();
    emitScoreGradientRow(row, firstRow + row, head, hidden, min(query + 1 - firstKey, keys));
  });

  auto transpose = [](MatrixView view) {
    std::swap(view.rowStride, view.columnStride);
    return view;
  };
  multiply(transpose(weights), outputHere, valueGradientHere, keys, rows, shape.headDim, /*accumulate=*/true);
  multiply(transpose(scoreGradients), queryHere, keyGradientHere, keys, rows, shape.headDim, /*accumulate=*/true);
  multiply(scoreGradients, keyHere, queryGradientHere, rows, keys, shape.headDim, /*accumulate=*/true);
}

void AttentionBackwardEmitter::emitScoreGradientRow(Expr row, Expr tokenRow, Expr head, Expr hidden, Expr visible) {
  Expr zero = b.index(0), scale = b.real(shape.getScale()), column = head * shape.headDim;
  Expr delta = b.loop(zero, b.index(shape.headDim), b.width, {b.realVector(0)}, [&](Expr d, ArrayRef<Expr> carried) {
    Expr mask = b.tailMask(d, b.index(shape.headDim));
    Expr gradient = b.loadVector(resultGradient.memory, resultGradient.at(tokenRow, column + d), mask);
    Expr output = b.loadVector(result.memory, result.at(tokenRow, column + d), mask);
    return SmallVector<Expr>{fma(gradient, output, carried[0])};
  })[0];
  delta = b.reduceSum(delta);
  Expr rowLse = b.load(lse.memory, lse.at(tokenRow, head)).splat(b.width);

  b.loop(shape.blockN, b.width, [&](Expr key) {
    Expr mask = b.rangeMask(hidden, visible, key), offset = weights.at(row, key);
    Expr shifted = b.loadVector(weights.memory, offset) * scale - rowLse;
    Expr weight = select(mask, exp(select(mask, shifted, b.real(0))), b.real(0));
    Expr gradient = weight * (b.loadVector(scoreGradients.memory, offset) - delta) * scale;
    b.storeVector(weight, weights.memory, offset);
    b.storeVector(select(mask, gradient, b.real(0)), scoreGradients.memory, scoreGradients.at(row, key));
  });
}

void AttentionBackwardEmitter::multiply(const MatrixView &lhs, const MatrixView &rhs, const MatrixView &result,
                                        Expr rows, Expr depth, int64_t columns, bool accumulate) {
  BlockMatmul block{.lhs = lhs,
                    .rhs = rhs,
                    .result = result,
                    .rows = rows,
                    .depth = depth,
                    .columns = columns,
                    .accumulate = accumulate};
  emitBlockMatmul(b, block, shape.tileM, shape.tileN);
}

LaunchShape emitAttentionBackward(moe_kernel::AttentionBackwardOp op, EmitterContext &context) {
  return AttentionBackwardEmitter(op, context).emit();
}

} // namespace mlir::moe::cpu
