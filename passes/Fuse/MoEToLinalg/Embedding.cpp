//===- Embedding.cpp - Token and rotary embedding ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

namespace mlir::moe {

static SmallVector<Value> lowerEmbedding(EmbeddingOp op, RowsBuilder &b) {
  Value table = op.getTable(), indices = b.reshape(op.getIndices(), {numElements(op.getIndices())});
  return {
      b.compute(shapeOf(op.getResult()), {{indices, {0}}}, {getElementTypeOrSelf(table), {0, 1}}, [&](ValueRange v) {
        return b.extract(table, {b.toIndex(v[0]), b.loop(1)});
      })};
}

static SmallVector<Value> lowerSequencePositions(SequencePositionsOp op, RowsBuilder &b) {
  Value positions = op.getPositions();
  Type type = getElementTypeOrSelf(positions);
  Value rows = b.compute({numElements(positions)}, {}, {type, {0}}, [&](ValueRange) -> Value {
    Value position = arith::RemUIOp::create(b, b.loop(0), b.index(op.getSequenceLength()));
    return arith::IndexCastOp::create(b, type, position);
  });
  return {b.toModelShape(rows, shapeOf(positions))};
}

/// The angles are computed in float64 from a table of inverse frequencies, so that far positions keep their precision.
static SmallVector<Value> lowerRopeTable(RopeTableOp op, RowsBuilder &b) {
  int64_t tokens = shapeOf(op.getCos())[0], half = shapeOf(op.getCos())[1];
  SmallVector<double> frequencies;
  for (int64_t j = 0; j < half; ++j)
    frequencies.push_back(std::pow(op.getTheta().convertToDouble(), -static_cast<double>(j) / half));
  Value table = arith::ConstantOp::create(
      b, DenseElementsAttr::get(RankedTensorType::get({half}, b.getF64Type()), ArrayRef<double>(frequencies)));

  Type type = getElementTypeOrSelf(op.getCos());
  auto round = [&](Value value) -> Value {
    return type.isF64() ? value : arith::TruncFOp::create(b, type, value).getResult();
  };
  Value positions = b.reshape(op.getPositions(), {tokens});
  RowsBuilder::Output output{type, {0, 1}};
  auto rows = b.generic({tokens, half}, {{positions, {0}}, {table, {1}}}, {output, output},
                        [&](ValueRange v) -> SmallVector<Value> {
                          Value angle = b.mul(arith::SIToFPOp::create(b, b.getF64Type(), v[0]), v[1]);
                          return {round(math::CosOp::create(b, angle)), round(math::SinOp::create(b, angle))};
                        });
  return llvm::to_vector_of<Value>(rows.getResults());
}

/// Heads as halves, [T, H, 2, D/2]: (x1·cos − x2·sin, x2·cos + x1·sin).
static SmallVector<Value> lowerRope(RopeOp op, RowsBuilder &b) {
  Value input = op.getInput();
  int64_t tokens = shapeOf(input)[0], half = shapeOf(op.getCos())[1], heads = shapeOf(input)[1] / (2 * half);
  Value halves = b.reshape(input, {tokens, heads, 2, half});
  if (op.getInverse())
    b.setLabel("rope_inverse");
  Value result =
      b.compute({tokens, heads, 2, half}, {{halves, {0, 1, 2, 3}}, {op.getCos(), {0, 3}}, {op.getSin(), {0, 3}}},
                {getElementTypeOrSelf(input), {0, 1, 2, 3}}, [&](ValueRange v) -> Value {
                  Value part = b.loop(2);
                  Value otherPart = arith::SubIOp::create(b, b.index(1), part);
                  Value other = b.extract(halves, {b.loop(0), b.loop(1), otherPart, b.loop(3)});
                  Value minusSinPart = b.index(op.getInverse() ? 1 : 0);
                  Value isMinus = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, part, minusSinPart);
                  Value sin = arith::SelectOp::create(b, isMinus, b.neg(v[2]), v[2]);
                  return b.add(b.mul(v[0], v[1]), b.mul(other, sin));
                });
  return {b.toModelShape(result, shapeOf(input))};
}

void populateEmbeddingLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerEmbedding);
  addLowering(patterns, lowerSequencePositions);
  addLowering(patterns, lowerRopeTable);
  addLowering(patterns, lowerRope);
}

} // namespace mlir::moe
