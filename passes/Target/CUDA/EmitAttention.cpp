//===- EmitAttention.cpp - Causal attention ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/AttentionTile.h"
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/Common/PackedDocuments.h"

namespace mlir::moe::cuda {

LaunchShape emitAttention(moe_kernel::AttentionOp op, EmitterContext &context) {
  BlockBuilder b(context);
  auto queryShape = op.getQuery().getType().getShape();
  int64_t length = op.getSequenceLength(), sequences = queryShape[0] / length, heads = op.getNumHeads();
  AttentionShape shape{heads, int64_t(op.getNumKvHeads()), queryShape[1] / heads, length, length};
  AttentionTile tile(b, shape, context.config);
  FlashAttention flash(tile);

  MatrixView query = b.matrix(b.operand(op.getQuery()), shape.getQueryStride());
  MatrixView key = b.matrix(b.operand(op.getKey()), shape.getKeyStride());
  MatrixView value = b.matrix(b.operand(op.getValue()), shape.getKeyStride());
  MatrixView result = b.matrix(b.result(op.getResult()), shape.getQueryStride());
  MatrixView lse = b.matrix(b.result(op.getLse()), heads);
  target::PackedDocuments documents(b, op.getPositions() ? b.operand(op.getPositions()) : Value(), length);

  // The last queries of a sequence see most keys, so they come first: no long block starts late.
  Expr head = b.block % heads, sequence = b.block / heads % sequences;
  Expr firstQuery = (tile.getQueryTiles() - 1 - b.block / (heads * sequences)) * tile.getQueries();
  Expr firstRow = sequence * length + firstQuery;
  Expr queryColumn = head * shape.headDim, keyColumn = head / shape.getGroup() * shape.headDim;

  FlashAttention::Block block;
  block.query = query.from(firstRow, queryColumn);
  block.key = key.from(sequence * length, keyColumn);
  block.value = value.from(sequence * length, keyColumn);
  block.result = result.from(firstRow, queryColumn);
  block.rows = b.blockSize(firstQuery, tile.getQueries(), length);
  block.firstKey = documents.firstKey(sequence, firstQuery);
  block.keys = firstQuery + block.rows;
  block.visibleKeys = [&](Expr row) { return min(firstQuery + row + 1, block.keys); };
  if (documents)
    block.hiddenKeys = [&](Expr row) { return documents.firstKey(sequence, firstQuery + min(row, block.rows - 1)); };
  block.storeLse = [&](Expr row, Expr value) { b.store(value, lse.memory, lse.at(firstRow + row, head)); };
  flash.emit(block);

  // Two matmuls over the scores at and below the diagonal: where documents end is known at run time only.
  int64_t scores = sequences * heads * length * (length + 1) / 2;
  return {{sequences * heads * tile.getQueryTiles(), 1, 1}, {b.threads, 1, 1}, 4 * scores * shape.headDim};
}

} // namespace mlir::moe::cuda
