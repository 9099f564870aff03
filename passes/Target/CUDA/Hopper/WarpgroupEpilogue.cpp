//===- WarpgroupEpilogue.cpp - Accumulators of warpgroups to results -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/WarpgroupEpilogue.h"

#include "passes/Target/Common/CloneRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

static constexpr int64_t kBufferBytes = kWarpgroupRows * kSwizzleBytes;
static constexpr int64_t kBuffers = 2;
static constexpr int64_t kGroupColumns = 8; // Of a group of accumulators.
static constexpr int64_t kStepColumns = 64; // That are stored at once.
static constexpr int64_t kStepGroups = kStepColumns / kGroupColumns;
static constexpr int64_t kGroupsAtOnce = 2; // That are evaluated at once, and of bf16 stored to shared memory.
static_assert(kStepColumns == kRowSumColumns);

WarpgroupEpilogue::WarpgroupEpilogue(HopperBuilder &b, EmitterContext &context, MatmulOp op,
                                     const WarpgroupShape &shape)
    : b(b), op(op), shape(shape), tiles(b, context, op, shape), isFast(true), group(b.warpgroup - 1),
      isFirst(b.threadInGroup == 0) {
  setThread(b.threadInGroup);
  staging = b.allocateBytes(kConsumerGroups * kBuffers * kBufferBytes) + group * (kBuffers * kBufferBytes);
  for (Value extra : op.getExtras())
    extras.push_back(b.operand(extra));
  auto extents = op.getResultExtents().getAsRange<TileExtentAttr>();
  for (auto [value, extent] : llvm::zip_equal(op.getResults(), extents)) {
    Result result;
    result.element = cast<ShapedType>(value.getType()).getElementType();
    result.halves = extent.getValue() == TileExtent::pair ? 2 : 1;
    result.memory = b.result(value);
    isRowSum.append(result.halves, extent.getValue() == TileExtent::row_sum);
    if (isRowSum.back()) {
      results.push_back(result);
      continue;
    }
    isFast &= result.element.isBF16();
    Value memory = context.results[cast<OpResult>(value).getResultNumber()];
    result.map = mapResult(context, shape, memory, result.halves, result.columns());
    results.push_back(result);
  }
}

void WarpgroupEpilogue::setThread(Expr number) {
  thread = number;
  warp = thread / kWarpSize;
  lane = thread % kWarpSize;
}

//===----------------------------------------------------------------------===//
// The region
//===----------------------------------------------------------------------===//

/// `scalar` of every lane of `values`, vectors of float32 of one shape or scalars.
static Value mapLanes(HopperBuilder &b, ArrayRef<Value> values, function_ref<Expr(ArrayRef<Expr>)> scalar) {
  VectorType shape;
  for (Value value : values)
    if (auto vector = dyn_cast<VectorType>(value.getType()))
      shape = vector;
  auto atLane = [&](int64_t lane) {
    return scalar(llvm::map_to_vector(values, [&](Value value) {
      return isa<VectorType>(value.getType()) ? b.wrap(value).extract(lane) : b.wrap(value);
    }));
  };
  if (!shape)
    return atLane(0);
  SmallVector<Value> lanes;
  for (int64_t lane = 0; lane < shape.getNumElements(); ++lane)
    lanes.push_back(atLane(lane));
  return vector::FromElementsOp::create(b.builder, shape, lanes);
}

SmallVector<Value> cloneEpilogue(HopperBuilder &b, Region &region, ValueRange arguments, bool isFast) {
  constexpr double kLog2E = 1.4426950408889634;
  Block &block = region.front();
  IRMapping mapping;
  mapping.map(block.getArguments(), arguments);
  auto lookUp = [&](Value value) { return mapping.lookupOrDefault(value); };
  for (Operation &op : block.without_terminator()) {
    auto operands = llvm::map_to_vector(op.getOperands(), lookUp);
    bool isF32 = op.getNumResults() == 1 && op.getResult(0).getType().isF32();
    if (op.hasTrait<OpTrait::ConstantLike>())
      b.builder.clone(op, mapping);
    else if (isFast && isF32 && isa<math::ExpOp>(op))
      mapping.map(op.getResult(0), mapLanes(b, operands, [&](ArrayRef<Expr> x) { return b.exp2Fast(x[0] * kLog2E); }));
    else if (isFast && isF32 && isa<arith::DivFOp>(op))
      mapping.map(op.getResult(0),
                  mapLanes(b, operands, [&](ArrayRef<Expr> x) { return x[0] * b.reciprocalFast(x[1]); }));
    else
      mapping.map(op.getResult(0), target::cloneElementwise(b.builder, &op, operands));
  }
  return llvm::map_to_vector(block.getTerminator()->getOperands(), lookUp);
}

Value WarpgroupEpilogue::loadPair(Value memory, Expr offset) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  unsigned bytes = 2 * element.getIntOrFloatBitWidth() / 8;
  return LLVM::LoadOp::create(b.builder, VectorType::get(2, element), b.globalPointer(memory, offset), bytes);
}

/// What is outside is evaluated too, but nothing is loaded from there, and nothing is stored.
static Expr inside(HopperBuilder &b, Expr at, int64_t end) { return min(at, b.i32(end)); }

/// What the region sees of a row whatever the column.
void WarpgroupEpilogue::loadRowExtras(const Place &place) {
  Expr firstRow = place.firstRow + warp * 16 + lane / 4;
  auto extents = op.getExtraExtents().getAsRange<TileExtentAttr>();
  for (int64_t second = 0; second < 2; ++second) {
    rows[second] = inside(b, firstRow + 8 * second, shape.rows - 1);
    rowExtras[second].clear();
    for (auto [extra, extent] : llvm::zip_equal(extras, extents))
      if (extent.getValue() == TileExtent::row)
        rowExtras[second].push_back(b.loadElement(extra, rows[second].toIndex()));
  }
}

/// What the region sees of the extras in the first or second row at `column` and the next, which exist; `ofTiles` are
/// those that come in tiles.
SmallVector<Value> WarpgroupEpilogue::loadExtras(const Place &place, int64_t second, Expr column,
                                                 ArrayRef<Value> ofTiles) {
  Expr row = rows[second];
  ArrayRef<Value> ofRow = rowExtras[second];
  Expr resultRow = (shape.isContraction() ? place.expert * shape.rows + row : row).toIndex();
  SmallVector<Value> values;
  auto extents = op.getExtraExtents().getAsRange<TileExtentAttr>();
  for (auto [tensor, extra, extent] : llvm::zip_equal(op.getExtras(), extras, extents)) {
    if (isExtraTile(tensor, extent.getValue())) {
      int64_t halves = extent.getValue() == TileExtent::pair ? 2 : 1;
      llvm::append_range(values, ofTiles.take_front(halves));
      ofTiles = ofTiles.drop_front(halves);
      continue;
    }
    switch (extent.getValue()) {
    case TileExtent::scalar:
      values.push_back(b.loadElement(extra, b.index(0)));
      break;
    case TileExtent::row:
      values.push_back(ofRow.consume_front());
      break;
    case TileExtent::column:
      values.push_back(loadPair(extra, column.toIndex()));
      break;
    case TileExtent::full:
      values.push_back(loadPair(extra, resultRow * shape.outputs + column.toIndex()));
      break;
    case TileExtent::pair:
      for (int64_t half = 0; half < 2; ++half)
        values.push_back(loadPair(extra, resultRow * (2 * shape.outputs) + half * shape.outputs + column.toIndex()));
      break;
    case TileExtent::row_sum:
      llvm_unreachable("for results only");
    }
  }
  return values;
}

void WarpgroupEpilogue::evaluate(const Place &place, ArrayRef<Expr> accumulators, int64_t firstColumn,
                                 int64_t firstGroup, int64_t partColumns, MutableArrayRef<Chunk> chunks) {
  auto pairType = VectorType::get(2, b.builder.getF32Type());
  int64_t numTiles = countExtraTiles(op);
  SmallVector<std::array<std::array<Value, 2>, 2>> tileElements(numTiles);
  for (int64_t j = firstGroup; j < firstGroup + kGroupsAtOnce; ++j) {
    for (int64_t tile = 0; j % 2 == 0 && tile < numTiles; ++tile)
      tileElements[tile] = tiles.load(tile, j / 2, thread);
    Expr column = place.output + (firstColumn + kGroupColumns * j) + lane % 4 * 2;
    if (!extras.empty())
      column = inside(b, column, shape.outputs - 2);
    for (int64_t second = 0; second < 2; ++second) {
      SmallVector<Value> arguments;
      for (int64_t half = 0; half < shape.halves(); ++half) {
        int64_t firstOfPart = firstColumn / partColumns * partColumns;
        int64_t start = shape.halves() * firstOfPart + half * partColumns + firstColumn - firstOfPart;
        int64_t at = start / 2 + 4 * j + 2 * second;
        arguments.push_back(
            vector::FromElementsOp::create(b.builder, pairType, ValueRange{accumulators[at], accumulators[at + 1]}));
      }
      SmallVector<Value> ofTiles;
      for (const auto &elements : tileElements)
        ofTiles.push_back(elements[j % 2][second]);
      llvm::append_range(arguments, loadExtras(place, second, column, ofTiles));
      SmallVector<Value> yielded = cloneEpilogue(b, op.getEpilogue(), arguments, isFast);
      for (auto [chunk, value, isSum] : llvm::zip_equal(chunks, yielded, isRowSum)) {
        // What does not depend on the accumulators is the same in both columns.
        if (!isa<VectorType>(value.getType()))
          value = vector::BroadcastOp::create(b.builder, pairType.clone(value.getType()), value);
        if (!isSum) {
          chunk[j][second] = value;
          continue;
        }
        Expr term = b.wrap(value).extract(0) + b.wrap(value).extract(1);
        chunk[0][second] = j == 0 ? term : b.wrap(chunk[0][second]) + term;
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

/// Writes groups `firstGroup` and `firstGroup` + 1 of `chunk` to the buffer, which is swizzled as TMA wants it.
void WarpgroupEpilogue::stage(const Part &part, const Chunk &chunk, int64_t firstGroup) {
  constexpr int64_t kPieceBytes = 16;
  if (part.result->element.isBF16()) {
    auto word = [&](int64_t j, int64_t second) {
      return b.wrap(LLVM::BitcastOp::create(b.builder, b.builder.getI32Type(), chunk[j][second]));
    };
    // Lanes 0–7 give the rows of the first matrix, 8–15 those 8 rows below, 16–31 the same 8 columns further.
    Expr row = lane % 8, right = lane / 16, below = lane / 8 % 2;
    Expr start = buffer + (warp * 16 + below * 8 + row) * kSwizzleBytes, piece = (right ^ row) * kPieceBytes;
    if (shape.isSwapped) { // Columns of the accumulator are rows of the buffer.
      start = buffer + (right * 8 + row) * kSwizzleBytes;
      piece = ((warp * 2 + below) ^ row) * kPieceBytes;
    }
    for (int64_t j = firstGroup; j < firstGroup + kGroupsAtOnce; j += 2)
      b.storeMatrices({word(j, 0), word(j, 1), word(j + 1, 0), word(j + 1, 1)},
                      start + (shape.isSwapped ? piece + j * 8 * kSwizzleBytes : piece ^ (j * kPieceBytes)),
                      /*transpose=*/shape.isSwapped);
    return;
  }
  Expr row = warp * 16 + lane / 4, start = buffer + row * kSwizzleBytes + lane % 2 * 8;
  for (int64_t j = firstGroup; j < firstGroup + kGroupsAtOnce; ++j) {
    Expr piece = (lane / 2 % 2 + 2 * (j - part.firstGroup)) ^ (lane / 4 % 8);
    for (int64_t second = 0; second < 2; ++second) {
      Expr pair = b.wrap(chunk[j][second]);
      b.storeVector({pair.extract(0), pair.extract(1)}, start + piece * kPieceBytes + second * 8 * kSwizzleBytes);
    }
  }
}

void WarpgroupEpilogue::storeRows(const Result &result, const Place &place, int64_t half, Expr column) {
  constexpr int64_t kPieceBytes = 16, kPieces = kSwizzleBytes / kPieceBytes, kRowsAtOnce = kWarpgroupSize / kPieces;
  int64_t perPiece = kPieceBytes / (result.element.getIntOrFloatBitWidth() / 8);
  Expr piece = b.threadInGroup % kPieces, first = b.threadInGroup / kPieces;
  Expr at = column + piece * perPiece;
  for (int64_t below = 0; below < kWarpgroupRows; below += kRowsAtOnce) {
    Expr row = first + below;
    b.ifThen(both(row < place.rowsLeft, at < shape.outputs), [&] {
      Expr offset =
          (place.firstRow + row).toIndex() * (result.halves * shape.outputs) + half * shape.outputs + at.toIndex();
      b.moveVectorToGlobal(buffer + row * kSwizzleBytes + (piece ^ (row % 8)) * kPieceBytes,
                           b.globalPointer(result.memory, offset));
    });
  }
}

/// Stores the buffer as columns from `column` on.
void WarpgroupEpilogue::store(const Result &result, const Place &place, int64_t half, Expr column) {
  auto copy = [&] {
    b.ifThen(isFirst, [&] {
      b.copyBoxToGlobal(result.map, locateResult(b, shape, result.halves, place.expert, place.firstRow, half, column),
                        buffer);
      b.commitCopies();
    });
  };
  if (!place.rowsLeft)
    return copy();
  b.ifThenElse(place.rowsLeft > kWarpgroupRows - 1, copy, [&] {
    // An empty group, so that the number of pending ones says which buffer is free.
    b.ifThen(isFirst, [&] { b.commitCopies(); });
    storeRows(result, place, half, column);
  });
}

/// Stores the sums of the 64 columns from `column` on.
void WarpgroupEpilogue::storeRowSums(const Result &result, const Place &place, const Chunk &chunk, Expr column) {
  for (int64_t second = 0; second < 2; ++second) {
    Expr sum = b.sumLanes(b.wrap(chunk[0][second]), 4);
    Expr row = warp * 16 + lane / 4 + 8 * second;
    Expr exists = place.rowsLeft ? row < place.rowsLeft : place.firstRow + row < shape.rows;
    b.ifThen(both(both(lane % 4 == 0, exists), column < shape.outputs), [&] {
      int64_t sums = llvm::divideCeil(shape.outputs, kRowSumColumns);
      b.store(sum, result.memory, (place.firstRow + row).toIndex() * sums + (column / kRowSumColumns).toIndex());
    });
  }
}

void WarpgroupEpilogue::begin(const Place &place) {
  if (!tiles.isEmpty())
    b.ifThen(isFirst, [&] { tiles.request(place.expert, place.firstRow, place.output); });
  setThread(b.threadInGroup);
  loadRowExtras(place);
}

// A quarter of a step's columns is evaluated before the buffers are free, and each of the others when the one before is
// staged: accumulators leave few registers for what waits. Parts beyond the buffers have to.
Expr WarpgroupEpilogue::emit(const Place &place, Value accumulators, Expr parity, int64_t columnParts) {
  SmallVector<Expr> elements = b.unpack(accumulators);
  int64_t columns = 2 * elements.size() / shape.halves();
  setThread(b.threadInGroup); // The one before may be of another branch.
  if (tiles.isEmpty())
    loadRowExtras(place);
  SmallVector<Part> parts = getParts();
  ArrayRef<Part> first = ArrayRef(parts).take_front(kBuffers), others = ArrayRef(parts).drop_front(first.size());
  // A single part takes the buffers in turns.
  bool alternates = parts.size() == 1;
  auto sync = [&] { b.syncNamed(b.warpgroup, kWarpgroupSize); };
  auto waitForBuffer = [&](int64_t pending) {
    b.ifThen(isFirst, [&] { b.waitForCopiesToRead(pending); });
    sync();
  };
  auto publish = [&] {
    b.fenceAsyncProxy();
    sync();
  };
  int64_t step = 0;
  for (int64_t firstColumn = 0; firstColumn < columns; firstColumn += kStepColumns, ++step) {
    if (!tiles.isEmpty()) {
      tiles.wait(parity);
      parity = parity ^ 1;
    }
    Expr firstBuffer = b.opaque(staging);
    auto useBuffer = [&](int64_t number) {
      buffer = firstBuffer + (alternates ? step : number) % kBuffers * kBufferBytes;
    };
    auto storePart = [&](const Part &part) {
      store(*part.result, place, part.half, place.output + (firstColumn + part.firstGroup * kGroupColumns));
    };
    // Addresses are computed for each step: kept for all tiles, they would fill the registers.
    setThread(b.opaque(b.threadInGroup));
    SmallVector<Chunk> chunks(isRowSum.size());
    for (int64_t group = 0; group < kStepGroups; group += kGroupsAtOnce) {
      evaluate(place, elements, firstColumn, group, columns / columnParts, chunks);
      if (group == 0)
        waitForBuffer(alternates ? kBuffers - 1 : 0);
      for (auto [number, part] : llvm::enumerate(first))
        if (part.has(group)) {
          useBuffer(number);
          stage(part, chunks[part.chunk], group);
        }
    }
    publish();
    if (!tiles.isEmpty() && firstColumn + kStepColumns < columns) // All threads have read them; the next ones.
      b.ifThen(isFirst,
               [&] { tiles.request(place.expert, place.firstRow, place.output + (firstColumn + kStepColumns)); });
    for (auto [number, part] : llvm::enumerate(first)) {
      useBuffer(number);
      storePart(part);
    }
    for (auto [number, part] : llvm::enumerate(others)) {
      useBuffer(number);
      waitForBuffer(kBuffers - 1);
      for (int64_t group = 0; group < kStepGroups; group += kGroupsAtOnce)
        if (part.has(group))
          stage(part, chunks[part.chunk], group);
      publish();
      storePart(part);
    }
    int64_t chunk = 0;
    for (const Result &result : results) {
      if (!result.map)
        storeRowSums(result, place, chunks[chunk], place.output + firstColumn);
      chunk += result.halves;
    }
  }
  setThread(b.threadInGroup);
  // The next tile starts with the first buffer again.
  if (alternates && step % kBuffers != 0)
    b.ifThen(isFirst, [&] { b.commitCopies(); });
  return parity;
}

SmallVector<WarpgroupEpilogue::Part> WarpgroupEpilogue::getParts() const {
  SmallVector<Part> parts;
  int64_t chunk = 0;
  for (const Result &result : results)
    for (int64_t half = 0; half < result.halves; ++half, ++chunk)
      for (int64_t column = 0; result.map && column < kStepColumns; column += result.columns())
        parts.push_back({&result, half, chunk, column / kGroupColumns, (column + result.columns()) / kGroupColumns});
  return parts;
}

void WarpgroupEpilogue::finish() {
  b.ifThen(isFirst, [&] { b.waitForCopiesToRead(0); });
}

} // namespace mlir::moe::cuda
