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

  KernelBuilder b;
  AttentionShape shape;
  int64_t length, sequences;
  target::PackedDocuments documents;
  MatrixView query, key, value, result, lse, resultGradient;
  MatrixView queryGradient, keyGradient, valueGradient;
  MatrixView weights, scoreGradients, keyPanel, valuePanel; ///< Scratch: P, dS, Kᵀ, Vᵀ.
  MatrixView keyHere, keyGradientHere, valueGradientHere;   ///< At the current block of keys.
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
  queryGradient = b.matrix(b.result(op.getQueryGradient()), queryStride);
  keyGradient = b.matrix(b.result(op.getKeyGradient()), keyStride);
  valueGradient = b.matrix(b.result(op.getValueGradient()), keyStride);

  weights = b.allocateMatrix(shape.blockM, shape.blockN);
  scoreGradients = b.allocateMatrix(shape.blockM, shape.blockN);
  keyPanel = b.allocateMatrix(b.roundUp(shape.headDim), shape.blockN);
  valuePanel = b.allocateMatrix(b.roundUp(shape.headDim), shape.blockN);
}

LaunchShape AttentionBackwardEmitter::emit() {
  b.forEachItem([&](Expr item) {
    Expr sequence = item / shape.keyHeads, keyHead = item % shape.keyHeads;
    Expr firstRow = sequence * length;
    int64_t groupColumns = shape.getGroup() * shape.headDim;
    b.fillZeros(queryGradient.from(firstRow, keyHead * groupColumns), b.index(length), groupColumns);
    b.fillZeros(keyGradient.from(firstRow, keyHead * shape.headDim), b.index(length), shape.headDim);
    b.fillZeros(valueGradient.from(firstRow, keyHead * shape.headDim), b.index(length), shape.headDim);
    b.loop(length, shape.blockN, [&](Expr firstKey) { emitKeyBlock(sequence, keyHead, firstKey); });
  });
  // Five matmuls over the scores at and below the diagonal.
  int64_t scores = sequences * shape.heads * length * (length + 1) / 2;
  return {sequences * shape.keyHeads, b.getScratchBytes(), 10 * scores * shape.headDim};
}

void AttentionBackwardEmitter::emitKeyBlock(Expr sequence, Expr keyHead, Expr firstKey) {
  Expr keyRow = sequence * length + firstKey, keyColumn = keyHead * shape.headDim;
  Expr keys = b.blockSize(firstKey, shape.blockN, length);
  keyHere = key.from(keyRow, keyColumn);
  keyGradientHere = keyGradient.from(keyRow, keyColumn);
  valueGradientHere = valueGradient.from(keyRow, keyColumn);
  emitPackTransposed(b, keyHere, keys, b.index(shape.headDim), shape.blockN, keyPanel);
  emitPackTransposed(b, value.from(keyRow, keyColumn), keys, b.index(shape.headDim), shape.blockN, valuePanel);

  Expr endOfQueries = documents.endOfQueries(sequence, firstKey + keys - 1);
  b.loop(shape.getGroup(), 1, [&](Expr member) {
    Expr head = keyHead * shape.getGroup() + member;
    Expr firstBlock = firstKey / shape.blockM * shape.blockM;
    b.loop(firstBlock, endOfQueries, shape.blockM, [&](Expr firstQuery) {
      Expr rows = b.blockSize(firstQuery, shape.blockM, length);
      emitBlock(sequence, rows, head, firstQuery, firstKey, keys);
    });
  });
}

void AttentionBackwardEmitter::emitBlock(Expr sequence, Expr rows, Expr head, Expr firstQuery, Expr firstKey,
                                         Expr keys) {
  Expr firstRow = sequence * length + firstQuery, column = head * shape.headDim, depth = b.index(shape.headDim);
  MatrixView queryHere = query.from(firstRow, column), outputHere = resultGradient.from(firstRow, column);
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
  multiply(scoreGradients, keyHere, queryGradient.from(firstRow, column), rows, keys, shape.headDim,
           /*accumulate=*/true);
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
