//===- EmitAttention.cpp - Causal attention over whole sequences -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/FlashAttention.h"
#include "passes/Target/Common/PackedDocuments.h"

namespace mlir::moe::cpu {

LaunchShape emitAttention(moe_kernel::AttentionOp op, EmitterContext &context) {
  KernelBuilder b(context);
  auto queryShape = op.getQuery().getType().getShape();
  int64_t length = op.getSequenceLength(), sequences = queryShape[0] / length;
  AttentionShape shape(b, context.config, op.getNumHeads(), op.getNumKvHeads(), queryShape[1], length, length);
  FlashAttention flash(b, shape);

  MatrixView query = b.matrix(b.operand(op.getQuery()), shape.getQueryStride());
  MatrixView key = b.matrix(b.operand(op.getKey()), shape.getKeyStride());
  MatrixView value = b.matrix(b.operand(op.getValue()), shape.getKeyStride());
  MatrixView result = b.matrix(b.result(op.getResult()), shape.getQueryStride());
  MatrixView lse = b.matrix(b.result(op.getLse()), shape.heads);
  target::PackedDocuments documents(b, op.getPositions() ? b.operand(op.getPositions()) : Value(), length);

  b.forEachItem([&](Expr item) {
    Expr queryBlock = item % shape.getQueryBlocks();
    Expr head = item / shape.getQueryBlocks() % shape.heads;
    Expr sequence = item / (shape.getQueryBlocks() * shape.heads);
    Expr firstQuery = queryBlock * shape.blockM, firstRow = sequence * length + firstQuery;
    Expr queryColumn = head * shape.headDim, keyColumn = head / shape.getGroup() * shape.headDim;

    FlashAttention::Block block;
    block.query = query.from(firstRow, queryColumn);
    block.key = key.from(sequence * length, keyColumn);
    block.value = value.from(sequence * length, keyColumn);
    block.result = result.from(firstRow, queryColumn);
    block.rows = b.blockSize(firstQuery, shape.blockM, length);
    block.firstKey = documents.firstKey(sequence, firstQuery);
    block.keys = firstQuery + block.rows;
    block.visibleKeys = [&](Expr row) { return firstQuery + row + 1; };
    if (documents)
      block.hiddenKeys = [&](Expr row) { return documents.firstKey(sequence, firstQuery + row); };
    block.storeLse = [&](Expr row, Expr value) { b.store(value, lse.memory, lse.at(firstRow + row, head)); };
    flash.emit(block);
  });

  // Two matmuls over the scores at and below the diagonal: where documents end is known at run time only.
  int64_t scores = sequences * shape.heads * length * (length + 1) / 2;
  return {sequences * shape.heads * shape.getQueryBlocks(), b.getScratchBytes(), 4 * scores * shape.headDim};
}

} // namespace mlir::moe::cpu
