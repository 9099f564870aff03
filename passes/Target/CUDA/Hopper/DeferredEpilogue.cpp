//===- DeferredEpilogue.cpp - The epilogue of a tile beside the next one -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/DeferredEpilogue.h"
#include "passes/Target/CUDA/Hopper/ExtraTiles.h"
#include "passes/Target/CUDA/Hopper/WarpgroupEpilogue.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

static constexpr int64_t kChunkColumns = 64;
static constexpr int64_t kChunkBytes = kWarpgroupRows * kSwizzleBytes;
static constexpr int64_t kPieceBytes = 16, kPieceColumns = 8, kPieceWords = 4; // Of a thread.
static constexpr int64_t kPieces = kSwizzleBytes / kPieceBytes;
static constexpr int64_t kRowsAtOnce = kEpilogueThreads / kPieces;
static constexpr int64_t kRows = kConsumerGroups * kWarpgroupRows; // Of a tile.
static_assert(kChunkColumns == kRowSumColumns);

int64_t getDeferredBytes(int64_t tileColumns) {
  return kConsumerGroups * tileColumns / kChunkColumns * kChunkBytes;
}

bool canDefer(MatmulOp op) {
  if (op.getKind() == MatmulKind::ragged_contraction || op.getParts() > 1)
    return false;
  auto extentsOf = [](ArrayAttr extents) { return extents.getAsRange<TileExtentAttr>(); };
  int64_t numPairs = 0;
  for (auto [result, extent] : llvm::zip_equal(op.getResults(), extentsOf(op.getResultExtents()))) {
    bool isRowSum = extent.getValue() == TileExtent::row_sum;
    if (!isRowSum && !getElementTypeOrSelf(result).isBF16())
      return false;
  }
  for (auto [extra, extent] : llvm::zip_equal(op.getExtras(), extentsOf(op.getExtraExtents()))) {
    bool isLarge = extent.getValue() == TileExtent::full || extent.getValue() == TileExtent::pair;
    if (isLarge && !isExtraTile(extra, extent.getValue()))
      return false;
    numPairs += extent.getValue() == TileExtent::pair;
  }
  return numPairs > 0;
}

DeferredEpilogue::DeferredEpilogue(HopperBuilder &b, MatmulOp op, const WarpgroupShape &shape, int64_t tileColumns)
    : b(b), op(op), shape(shape), thread(b.threadInGroup - shape.getProducerThreads()),
      chunks(tileColumns / shape.halves() / kChunkColumns), products(b.allocateBytes(getDeferredBytes(tileColumns))),
      full(b.allocateBarriers(kConsumerGroups)), empty(b.allocateBarriers(kConsumerGroups)) {
  for (Value extra : op.getExtras())
    extras.push_back(b.operand(extra));
  auto extents = op.getResultExtents().getAsRange<TileExtentAttr>();
  for (auto [value, extent] : llvm::zip_equal(op.getResults(), extents))
    results.push_back({b.result(value), extent.getValue() == TileExtent::pair ? 2 : 1,
                       extent.getValue() == TileExtent::row_sum});
}

void DeferredEpilogue::initBarriers() {
  for (int64_t group = 0; group < kConsumerGroups; ++group) {
    b.initBarrier(full + group * 8, kWarpgroupSize);
    b.initBarrier(empty + group * 8, kEpilogueThreads);
  }
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

void DeferredEpilogue::handOver(Value accumulators, Expr parity) {
  SmallVector<Expr> elements = b.unpack(accumulators);
  Expr group = b.warpgroup - 1;
  int64_t groupBytes = elements.size() * 2 / kChunkColumns * kChunkBytes;
  b.wait(empty + group * 8, parity ^ 1);
  // Lanes 0–7 give the rows of the first matrix, 8–15 those 8 rows below, 16–31 the same 8 columns further.
  Expr thread = b.opaque(b.threadInGroup), warp = thread / kWarpSize, lane = thread % kWarpSize;
  Expr row = lane % 8, right = lane / 16, below = lane / 8 % 2;
  Expr start = products + group * groupBytes + (warp * 16 + below * 8 + row) * kSwizzleBytes;
  Expr piece = (right ^ row) * kPieceBytes;
  auto word = [&](int64_t column, int64_t second) {
    int64_t at = column / 2 + 2 * second;
    return b.packHalves(elements[at], elements[at + 1]);
  };
  for (int64_t column = 0; column < static_cast<int64_t>(elements.size()) * 2; column += 16) {
    int64_t chunk = column / kChunkColumns, j = column % kChunkColumns / 8;
    b.storeMatrices({word(column, 0), word(column, 1), word(column + 8, 0), word(column + 8, 1)},
                    start + chunk * kChunkBytes + (piece ^ (j * kPieceBytes)));
  }
  b.arrive(full + group * 8);
}

//===----------------------------------------------------------------------===//
// The warps of the epilogue
//===----------------------------------------------------------------------===//

static Value loadVector(HopperBuilder &b, Value pointer, Type type, unsigned bytes) {
  return LLVM::LoadOp::create(b.builder, type, pointer, bytes);
}

/// The row of the results, the last one of the tile for those behind it: nothing of theirs is stored.
Expr DeferredEpilogue::locateRow(const Place &place, Expr row) {
  return place.firstRow + min(row, min(place.rowsLeft, b.i32(kRows)) - 1);
}

SmallVector<Expr> DeferredEpilogue::loadChunk(const Place &place, Expr row, int64_t chunk) {
  Expr column = place.output + chunk * kChunkColumns + thread % kPieces * kPieceColumns;
  if (shape.outputs % kChunkColumns != 0 || shape.outputs % (chunks * kChunkColumns) != 0)
    column = min(column, b.i32(shape.outputs - kPieceColumns));
  auto words = VectorType::get(kPieceWords, b.builder.getI32Type());
  SmallVector<Expr> loaded;
  for (auto [tensor, extra, extent] :
       llvm::zip_equal(op.getExtras(), extras, op.getExtraExtents().getAsRange<TileExtentAttr>())) {
    if (!isExtraTile(tensor, extent.getValue()))
      continue;
    int64_t halves = extent.getValue() == TileExtent::pair ? 2 : 1;
    for (int64_t half = 0; half < halves; ++half) {
      Expr offset = row.toIndex() * (halves * shape.outputs) + half * shape.outputs + column.toIndex();
      loaded.push_back(b.wrap(loadVector(b, b.globalPointer(extra, offset), words, kPieceBytes)));
    }
  }
  return loaded;
}

SmallVector<Value> DeferredEpilogue::loadScalars(Expr row) {
  SmallVector<Value> loaded;
  for (auto [extra, extent] : llvm::zip_equal(extras, op.getExtraExtents().getAsRange<TileExtentAttr>()))
    if (extent.getValue() == TileExtent::row)
      loaded.push_back(b.loadElement(extra, row.toIndex()));
  return loaded;
}

/// The elements of a thread's columns of a `column` extra.
Value DeferredEpilogue::loadColumns(Value memory, Expr column) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  unsigned bytes = std::min<unsigned>(kPieceBytes, kPieceColumns * element.getIntOrFloatBitWidth() / 8);
  return loadVector(b, b.globalPointer(memory, column.toIndex()), VectorType::get(kPieceColumns, element), bytes);
}

void DeferredEpilogue::evaluate(const Place &place, Expr tileRow, const Row &row, int64_t chunk) {
  Type f32 = b.builder.getF32Type(), bf16 = b.builder.getBF16Type();
  auto narrowPair = VectorType::get(2, bf16), pair = VectorType::get(2, f32);
  Expr piece = thread % kPieces, column = place.output + chunk * kChunkColumns + piece * kPieceColumns;

  // The products, of each half.
  Expr start = products + tileRow / kWarpgroupRows * (chunks * shape.halves() * kChunkBytes) +
               tileRow % kWarpgroupRows * kSwizzleBytes + (piece ^ (tileRow % 8)) * kPieceBytes;
  SmallVector<SmallVector<Expr>> sums;
  for (int64_t half = 0; half < shape.halves(); ++half)
    sums.push_back(b.loadWords(start + (half * chunks + chunk) * kChunkBytes, kPieceWords, b.builder.getI32Type()));

  auto extents = op.getExtraExtents().getAsRange<TileExtentAttr>();
  SmallVector<Value> ofColumns;
  Expr safeColumn = min(column, b.i32(shape.outputs - kPieceColumns));
  for (auto [extra, extent] : llvm::zip_equal(extras, extents))
    if (extent.getValue() == TileExtent::column)
      ofColumns.push_back(loadColumns(extra, safeColumn));

  // Of every value that the region yields: words of two columns, or the sum over a thread's.
  SmallVector<SmallVector<Expr>> words;
  SmallVector<Expr> total;
  for (int64_t word = 0; word < kPieceWords; ++word) {
    SmallVector<Value> arguments;
    for (const auto &half : sums)
      arguments.push_back(
          b.extend(b.wrap(LLVM::BitcastOp::create(b.builder, narrowPair, half[word]))));
    ArrayRef<Expr> large = row.chunks[chunk];
    ArrayRef<Value> ofRow = row.scalars, ofColumn = ofColumns;
    for (auto [extra, extent] : llvm::zip_equal(extras, extents)) {
      switch (extent.getValue()) {
      case TileExtent::scalar:
        arguments.push_back(b.loadElement(extra, b.index(0)));
        break;
      case TileExtent::row:
        arguments.push_back(ofRow.consume_front());
        break;
      case TileExtent::column: {
        Expr all = b.wrap(ofColumn.consume_front());
        SmallVector<Value> two{all.extract(2 * word), all.extract(2 * word + 1)};
        arguments.push_back(vector::FromElementsOp::create(b.builder, VectorType::get(2, two[0].getType()), two));
        break;
      }
      case TileExtent::full:
      case TileExtent::pair:
        for (int64_t half = 0; half < (extent.getValue() == TileExtent::pair ? 2 : 1); ++half)
          arguments.push_back(
              LLVM::BitcastOp::create(b.builder, narrowPair, large.consume_front().extract(word)));
        break;
      case TileExtent::row_sum:
        llvm_unreachable("for results only");
      }
    }
    SmallVector<Value> yielded = cloneEpilogue(b, op.getEpilogue(), arguments, /*isFast=*/true);
    words.resize(yielded.size());
    total.resize(yielded.size());
    for (auto [i, value] : llvm::enumerate(yielded)) {
      // What does not depend on the products is the same in both columns.
      if (!isa<VectorType>(value.getType()))
        value = vector::BroadcastOp::create(b.builder, pair.clone(value.getType()), value);
      if (getElementTypeOrSelf(value).isBF16()) {
        words[i].push_back(b.wrap(LLVM::BitcastOp::create(b.builder, b.builder.getI32Type(), value)));
        continue;
      }
      Expr term = b.wrap(value).extract(0) + b.wrap(value).extract(1);
      total[i] = word == 0 ? term : total[i] + term;
    }
  }

  Expr exists = both(tileRow < place.rowsLeft, column < shape.outputs);
  Expr resultRow = (place.firstRow + tileRow).toIndex();
  size_t value = 0;
  for (const Result &result : results) {
    for (int64_t half = 0; half < result.halves; ++half, ++value) {
      if (result.isRowSum) {
        Expr sum = b.sumLanes(total[value], kPieces);
        b.ifThen(both(exists, piece == 0), [&] {
          int64_t sumsEach = llvm::divideCeil(shape.outputs, kRowSumColumns);
          b.store(sum, result.memory, resultRow * sumsEach + (column / kRowSumColumns).toIndex());
        });
        continue;
      }
      b.ifThen(exists, [&] {
        Expr offset = resultRow * (result.halves * shape.outputs) + half * shape.outputs + column.toIndex();
        auto type = VectorType::get(kPieceWords, b.builder.getI32Type());
        SmallVector<Value> elements(words[value].begin(), words[value].end());
        LLVM::StoreOp::create(b.builder, vector::FromElementsOp::create(b.builder, type, elements),
                              b.globalPointer(result.memory, offset), kPieceBytes);
      });
    }
  }
}

void DeferredEpilogue::run(const Place &place, Expr parity) {
  // Carried: the row of the tile, the same for all lanes but for its lowest bits, and what was loaded of it.
  auto flatten = [&](Expr row, const Row &loaded) {
    SmallVector<Expr> all = {row};
    for (Value value : loaded.scalars)
      all.push_back(b.wrap(value));
    for (const auto &chunk : loaded.chunks)
      llvm::append_range(all, chunk);
    return all;
  };
  Expr firstRow = thread / kPieces, resultRow = locateRow(place, firstRow);
  Row first{loadScalars(resultRow), {}};
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    first.chunks.push_back(loadChunk(place, resultRow, chunk));
  b.loopWhile(
      flatten(firstRow, first), [&](ArrayRef<Expr> carried) { return carried[0] < kRows; },
      [&](ArrayRef<Expr> carried) {
        Expr row = carried[0], nextRow = row + kRowsAtOnce;
        carried = carried.drop_front();
        Row loaded;
        for (size_t i = 0; i < first.scalars.size(); ++i)
          loaded.scalars.push_back(carried.consume_front());
        for (const auto &chunk : first.chunks) {
          loaded.chunks.emplace_back(carried.take_front(chunk.size()));
          carried = carried.drop_front(chunk.size());
        }
        Expr group = row / kWarpgroupRows;
        b.wait(full + group * 8, parity);
        // In the place of what is no longer needed comes that of the next row: loading it elsewhere would mean to wait
        // for it here.
        Expr resultRow = locateRow(place, nextRow);
        Row following;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          evaluate(place, row, loaded, chunk);
          following.chunks.push_back(loadChunk(place, resultRow, chunk));
        }
        following.scalars = loadScalars(resultRow);
        b.ifThen(nextRow / kWarpgroupRows != group, [&] { b.arrive(empty + group * 8); });
        return flatten(nextRow, following);
      });
}

} // namespace mlir::moe::cuda
