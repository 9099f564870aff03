//===- EmitCombinedMatmul.cpp - Experts' products, summed for a token -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A block owns columns of a token, and walks the experts that the token chose as if their matrices were one long
/// contraction (WarpStream.h): what is under way does not end with an expert. So a token's experts are summed up in the
/// order of its choices, and nothing passes between blocks.
///
/// ```
/// lane j: the row and the expert of choice j
/// begin to copy the first stages - 1 stages             // the weights before the kernel waits for the one before it
/// for stage of all choices:
///   wait for its chunks and read them; begin to copy stage + stages - 1
///   totals += routing weight of the choice that the warp's part of the stage is of · (weights · token)
/// barrier; a thread for a column: sum over the warps, residual
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/WarpStream.h"
#include "passes/Target/CUDA/DependentLaunch.h"

namespace mlir::moe::cuda::ampere {
namespace {

class CombinedMatmul {
public:
  CombinedMatmul(moe_kernel::CombinedMatmulOp op, EmitterContext &context);
  LaunchShape emit();

private:
  void findChoices(bool early);
  Expr findExpert(Value starts, Expr row);
  enum Operand { weights = 1, tokens = 2 };
  /// Begins to copy operands of stage `step`.
  void copy(Expr step, Expr buffer, int operands);
  void copyFirst(int operands);
  /// What the lane of the choice has that the warp's part of stage `step` is of.
  Expr ofChoice(Expr value, Expr step) { return b.shuffle(value, (stream.partOf(step) / shape.tokenDepth).toI32()); }
  SmallVector<Expr> contract();
  void store(ArrayRef<Expr> totals);

  moe_kernel::CombinedMatmulOp op;
  EmitterContext &context;
  BlockBuilder b;
  int64_t experts, columns, depth, topK, tileColumns, columnTiles;
  StreamShape shape;
  WarpStream stream;
  Value sums;        ///< Of the warps, for each column.
  Value rowOfChoice; ///< In shared memory.
  Expr token, firstColumn;
  Expr choice, row, expert, routingWeight; ///< Of this lane; those behind the last choice repeat it.
};

} // namespace

CombinedMatmul::CombinedMatmul(moe_kernel::CombinedMatmulOp op, EmitterContext &context)
    : op(op), context(context), b(context), experts(op.getMatrix().getType().getDimSize(0)),
      columns(op.getMatrix().getType().getDimSize(1)), depth(op.getMatrix().getType().getDimSize(2)),
      topK(op.getInverse().getType().getDimSize(1)), tileColumns(context.config.getTileN()),
      columnTiles(llvm::divideCeil(columns, tileColumns)),
      shape(context.config, depth, /*contractions=*/topK, /*isOneToken=*/true), stream(b, shape, depth),
      sums(b.allocateShared(b.warps * tileColumns)),
      token(b.block / columnTiles), firstColumn(b.block % columnTiles * tileColumns),
      choice(topK == kWarpSize ? b.lane : min(b.lane, b.index(topK - 1))) {}

/// The last expert whose rows start at `row` or before: those without rows end where they start.
Expr CombinedMatmul::findExpert(Value starts, Expr row) {
  Expr found = b.index(0);
  for (int64_t step = llvm::PowerOf2Ceil(experts) / 2; step > 0; step /= 2) {
    Expr next = found + step, start = b.load(starts, min(next, b.index(experts)));
    found = select(both(next < experts, start < row + 1), next, found);
  }
  return found;
}

void CombinedMatmul::findChoices(bool early) {
  Value offsets = b.operand(op.getOffsets()), inverse = b.operand(op.getInverse());
  auto load = [&](Value memory, Expr at) { return early ? b.loadCoherent(memory, at) : b.load(memory, at); };
  Value starts = b.allocateShared(experts + 1, b.builder.getI32Type());
  b.forThreads(experts + 1, [&](Expr expert) { b.store(load(offsets, expert), starts, expert); });
  row = load(inverse, token * topK + choice);
  routingWeight = load(b.operand(op.getWeights()), token * topK + choice);
  if (shape.keepsToken) {
    rowOfChoice = b.allocateShared(kWarpSize, b.builder.getI32Type());
    b.ifThen(b.warp == 0, [&] { b.store(row, rowOfChoice, b.lane); });
  }
  b.barrier();
  expert = findExpert(starts, row).toI32();
}

void CombinedMatmul::copy(Expr step, Expr buffer, int operands) {
  Expr part = stream.partOf(step), firstDepth = part % shape.tokenDepth;
  Expr exists = topK * shape.tokenDepth % shape.stageDepth == 0 ? Expr() : part < topK * shape.tokenDepth;
  if (operands & weights)
    stream.copyWeights(firstDepth, buffer, ofChoice(expert, step).toIndex() * (columns * depth), exists);
  if (operands & tokens)
    stream.copyTokens(firstDepth, buffer, ofChoice(row, step).toIndex() * depth, exists);
}

void CombinedMatmul::copyFirst(int operands) {
  for (int64_t step = 0; step < shape.ahead; ++step) {
    copy(b.index(step), b.index(step), operands);
    commitCopies(b);
  }
}

SmallVector<Expr> CombinedMatmul::contract() {
  int64_t count = shape.accumulators();
  auto next = [&](Expr buffer) { return select(buffer == shape.buffers - 1, b.index(0), buffer + 1); };
  // Carried: totals, the buffers to read and to write.
  SmallVector<Expr> carried(count, b.real(0));
  carried.append({b.index(0), b.index(shape.ahead % shape.buffers)});
  carried = b.loop(b.index(0), b.index(shape.steps), 1, carried, [&](Expr step, ArrayRef<Expr> carried) {
    SmallVector<Expr> totals(carried.take_front(count)), sums(count, b.real(0));
    Expr read = carried[count], write = carried[count + 1], following = step + shape.ahead;
    stream.wait(shape.ahead - 1);
    SmallVector<Expr> registers = stream.load(step, read);
    b.ifThen(following < shape.steps, [&] { copy(following, write, shape.keepsToken ? weights : weights | tokens); });
    commitCopies(b);
    stream.multiply(sums, registers);
    Expr factor = ofChoice(routingWeight, step);
    for (auto [total, sum] : llvm::zip_equal(totals, sums))
      total = fma(factor, sum, total);
    totals.append({next(read), next(write)});
    return totals;
  });
  keepRolled(carried.front());
  carried.truncate(count);
  return carried;
}

void CombinedMatmul::store(ArrayRef<Expr> totals) {
  // Of the eight rows of a product, the token is the first: it lies in the first of the lanes together.
  b.ifThen(b.lane % kLanesTogether == 0, [&] {
    for (int64_t strip = 0; strip < shape.strips; ++strip)
      for (int64_t half = 0; half < 2; ++half)
        b.store(totals[4 * strip + 2 * half], sums,
                b.warp * tileColumns + (b.lane / kLanesTogether + (strip * kStrip + half * 8)));
  });
  b.barrier();
  b.forThreads(tileColumns, [&](Expr number) {
    Expr column = firstColumn + number;
    b.ifThen(columns % tileColumns == 0 ? Expr() : column < columns, [&] {
      Expr at = token * columns + column, sum = b.load(sums, number);
      for (int64_t warp = 1; warp < b.warps; ++warp)
        sum = sum + b.load(sums, number + warp * tileColumns);
      if (op.getResidual())
        sum = sum + b.load(b.operand(op.getResidual()), at);
      b.store(sum, b.result(op.getResult()), at);
    });
  });
}

LaunchShape CombinedMatmul::emit() {
  // Of what the kernel before may have written, only the rows are needed from the beginning.
  Value early[] = {op.getMatrix(), op.getOffsets(), op.getInverse(), op.getWeights()};
  bool startsEarly = llvm::all_of(early, [&](Value operand) { return context.isSettled(operand); });
  findChoices(startsEarly);
  MatmulSchedule::Operand matrix, rows;
  matrix.memory = b.operand(op.getMatrix());
  matrix.outerOffset = [&](Expr column) { return (firstColumn + column) * depth; };
  matrix.isInside = [&](Expr column) {
    return columns % tileColumns == 0 ? Expr() : firstColumn + column < columns;
  };
  rows.memory = b.operand(op.getRows());
  rows.outerOffset = [&](Expr) { return b.index(0); };
  rows.isInside = [](Expr row) { return row == 0; };
  stream.setWeights(matrix);
  stream.setTokens(rows);
  if (startsEarly) {
    copyFirst(weights);
    waitForPreviousKernel(context, early);
  }
  int late = (startsEarly ? 0 : weights) | (shape.keepsToken ? 0 : tokens);
  if (late)
    copyFirst(late);
  if (shape.keepsToken) {
    stream.askForToken(b.operand(op.getRows()),
                       [&](Expr contraction) { return b.load(rowOfChoice, contraction).toIndex() * depth; });
    stream.keepToken();
  }
  store(contract());
  int64_t count = op.getInverse().getType().getDimSize(0);
  return {{count * columnTiles, 1, 1}, {b.threads, 1, 1}, 2 * count * topK * columns * depth};
}

FailureOr<LaunchShape> emitCombinedMatmul(moe_kernel::CombinedMatmulOp op, EmitterContext &context) {
  moe_kernel::CUDAConfigAttr config = context.config;
  if (!canStream(op) || config.getTileM() != kGroup || config.getTileN() % kStrip ||
      config.getTileK() % (config.getThreads() / kWarpSize * kPieceDepth) || config.getStages() < 2)
    return op.emitError() << "cannot be emitted for " << config;
  return CombinedMatmul(op, context).emit();
}

bool canStream(moe_kernel::CombinedMatmulOp op) {
  RankedTensorType rows = op.getRows().getType();
  return rows.getElementType().isBF16() && rows.getDimSize(1) % kChunk == 0 &&
         op.getInverse().getType().getDimSize(1) <= kWarpSize;
}

} // namespace mlir::moe::cuda::ampere
