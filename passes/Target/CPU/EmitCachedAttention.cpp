//===- EmitCachedAttention.cpp - Attention over caches ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A prompt is attended to in blocks of queries (FlashAttention.h). Few new tokens are taken one by one: the scores of
/// all visible keys as dot products into scratch memory, their softmax, then the weighted sum of the values.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/FlashAttention.h"

namespace mlir::moe::cpu {
namespace {

/// Up to this many new tokens a sequence, dot products beat packing the keys.
constexpr int64_t kMaxSingleQueries = 4;

struct CachedAttentionEmitter {
  CachedAttentionEmitter(moe_kernel::CachedAttentionOp op, EmitterContext &context)
      : b(context), shape(makeShape(b, op, context.config)),
        sequences(op.getQuery().getType().getDimSize(0) / shape.queries),
        query(b.matrix(b.operand(op.getQuery()), shape.getQueryStride())),
        key(b.matrix(b.operand(op.getKeyCache()), shape.getKeyStride())),
        value(b.matrix(b.operand(op.getValueCache()), shape.getKeyStride())),
        result(b.matrix(b.result(op.getResult()), shape.getQueryStride())), positions(b.operand(op.getPositions())) {}

  static AttentionShape makeShape(const KernelBuilder &b, moe_kernel::CachedAttentionOp op,
                                  moe_kernel::CPUConfigAttr config) {
    auto query = op.getQuery().getType().getShape(), cache = op.getKeyCache().getType().getShape();
    int64_t heads = op.getNumHeads(), keyHeads = op.getNumKvHeads();
    return {b, config, heads, keyHeads, query[1], query[0] / cache[0], cache[1]};
  }

  LaunchShape emit();
  void emitBlocks();
  void emitSingleQueries();
  Expr visibleKeys(Expr row) { return b.load(positions, row).toIndex() + 1; }

  KernelBuilder b;
  AttentionShape shape;
  int64_t sequences;
  MatrixView query, key, value, result;
  Value positions;
};

} // namespace

LaunchShape CachedAttentionEmitter::emit() {
  if (shape.queries <= kMaxSingleQueries) {
    shape.blockM = 1;
    emitSingleQueries();
  } else {
    emitBlocks();
  }
  // How many keys are visible is known at run time only: flops are not counted.
  return {sequences * shape.heads * shape.getQueryBlocks(), b.getScratchBytes(), /*flops=*/0};
}

void CachedAttentionEmitter::emitBlocks() {
  FlashAttention flash(b, shape);
  b.forEachItem([&](Expr item) {
    Expr queryBlock = item % shape.getQueryBlocks();
    Expr head = item / shape.getQueryBlocks() % shape.heads;
    Expr sequence = item / (shape.getQueryBlocks() * shape.heads);
    Expr firstQuery = queryBlock * shape.blockM, firstRow = sequence * shape.queries + firstQuery;
    Expr queryColumn = head * shape.headDim, keyColumn = head / shape.getGroup() * shape.headDim;

    FlashAttention::Block block;
    block.query = query.from(firstRow, queryColumn);
    block.key = key.from(sequence * shape.keys, keyColumn);
    block.value = value.from(sequence * shape.keys, keyColumn);
    block.result = result.from(firstRow, queryColumn);
    block.rows = b.blockSize(firstQuery, shape.blockM, shape.queries);
    block.firstKey = b.index(0);
    block.visibleKeys = [&](Expr row) { return visibleKeys(firstRow + row); };
    block.keys = b.loop(b.index(0), block.rows, 1, {b.index(1)}, [&](Expr row, ArrayRef<Expr> most) {
      return SmallVector<Expr>{max(most[0], visibleKeys(firstRow + row))};
    })[0];
    flash.emit(block);
  });
}

void CachedAttentionEmitter::emitSingleQueries() {
  Value scores = b.allocate(b.roundUp(shape.keys));
  bool rounds = b.holdsBFloat16(result.memory);
  MatrixView scratch = rounds ? b.allocateMatrix(1, b.roundUp(shape.headDim)) : MatrixView();
  b.forEachItem([&](Expr item) {
    Expr row = item % shape.queries + item / (shape.queries * shape.heads) * shape.queries;
    Expr head = item / shape.queries % shape.heads, sequence = item / (shape.queries * shape.heads);
    Expr queryStart = query.at(row, head * shape.headDim);
    Expr keyColumn = head / shape.getGroup() * shape.headDim, zero = b.index(0);
    MatrixView keys = key.from(sequence * shape.keys, keyColumn);
    Expr visible = visibleKeys(row);

    Expr lowest = b.realVector(-1e30);
    Expr laneMax = b.loop(zero, visible, b.width, {lowest}, [&](Expr column, ArrayRef<Expr> carried) {
      Expr dots =
          emitDotProducts(b, query.memory, queryStart, keys.from(column, zero), visible - column, shape.headDim);
      Expr score = dots * b.real(shape.getScale());
      b.storeVector(score, scores, column);
      // Lanes past the last key repeat its score.
      return SmallVector<Expr>{max(score, carried[0])};
    })[0];
    Expr rowMax = b.reduceMax(laneMax);

    Expr laneSum = b.loop(zero, visible, b.width, {b.realVector(0)}, [&](Expr column, ArrayRef<Expr> carried) {
      Expr weight = exp(b.loadVector(scores, column) - rowMax);
      weight = select(b.mask(visible - column), weight, b.real(0));
      b.storeVector(weight, scores, column);
      return SmallVector<Expr>{carried[0] + weight};
    })[0];
    Expr inverse = b.realVector(1) / b.reduceSum(laneSum);

    BlockMatmul weightedValues{.lhs = b.matrix(scores, 0), .rhs = value.from(sequence * shape.keys, keyColumn)};
    MatrixView resultHere = result.from(row, head * shape.headDim);
    weightedValues.result = rounds ? scratch : resultHere;
    weightedValues.rows = b.index(1);
    weightedValues.depth = visible;
    weightedValues.columns = shape.headDim;
    emitBlockMatmul(b, weightedValues, /*tileM=*/1, shape.tileN);
    b.loop(shape.headDim, b.width, [&](Expr column) {
      Expr mask = b.tailMask(column, b.index(shape.headDim));
      Expr sum = b.loadVector(weightedValues.result.memory, weightedValues.result.at(zero, column), mask);
      b.storeVector(sum * inverse, resultHere.memory, resultHere.at(zero, column), mask);
    });
  });
}

LaunchShape emitCachedAttention(moe_kernel::CachedAttentionOp op, EmitterContext &context) {
  return CachedAttentionEmitter(op, context).emit();
}

} // namespace mlir::moe::cpu
