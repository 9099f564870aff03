//===- OperandLoad.cpp - Operands of a matmul to shared memory -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/OperandLoad.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

static constexpr int64_t kElementBytes = 2;
static constexpr int64_t kChunk = kSwizzleBytes / kElementBytes; // Elements in a row of a tile.
static constexpr int64_t kPiece = 16 / kElementBytes;            // Elements that a thread copies at once.
static constexpr int64_t kPiecesPerChunk = kChunk / kPiece;

/// Of the halves of a pair, those that alternate; of experts' rows, each 64, so that only those that there are come.
static int64_t countParts(const WarpgroupShape &shape, OperandLoad::Side side) {
  if (side == OperandLoad::rhs)
    return shape.paired ? shape.columnParts() : 1;
  return shape.isRaggedRows() && shape.sharesRows() ? shape.tileRows / kWarpgroupRows : 1;
}

OperandLoad::OperandLoad(HopperBuilder &b, EmitterContext &context, MatmulOp op, const WarpgroupShape &shape, Side side,
                         int64_t extent, int64_t stages)
    : tile{side == lhs ? shape.lhsMajor : shape.rhsMajor, extent, kStageDepth}, b(b),
      parts(countParts(shape, side)), halves(side == rhs ? shape.halves() : 1),
      boxExtent(extent / halves / parts), outerTotal(side == lhs ? shape.rows : shape.columns), depthTotal(shape.depth),
      halfDistance(side == rhs ? shape.outputs : 0), rowDivisor(shape.rowDivisor),
      gatheringThreads(shape.getProducerThreads()) {
  Value tensor = (side == lhs) != shape.isSwapped ? op.getLhs() : op.getRhs();
  base = b.allocateBytes(stages * tile.getBytes());
  if (side == lhs ? shape.gathersLhs : shape.gathersRhs) {
    memory = b.operand(tensor);
    tensorBytes = cast<ShapedType>(tensor.getType()).getNumElements() * kElementBytes;
    rowIndex = b.operand(op.getRowIndex());
  } else {
    describeBoxes(context, tensor, side == rhs && shape.isRaggedRows());
  }
}

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

void OperandLoad::describeBoxes(EmitterContext &context, Value tensor, bool hasExperts) {
  auto shape = cast<ShapedType>(tensor.getType()).getShape();
  int64_t rows = shape[shape.size() - 2], columns = shape.back(), experts = hasExperts ? shape.front() : 1;
  int64_t rowBytes = columns * kElementBytes;
  SmallVector<int64_t> dims, strides, box;
  if (tile.major == Major::contraction) {
    dims = {columns, experts * rows};
    strides = {rowBytes};
    box = {kChunk, boxExtent};
  } else {
    inChunks = columns % kChunk == 0 && halfDistance % kChunk == 0;
    hasMatrices = hasExperts;
    dims = {columns, rows};
    strides = {rowBytes};
    box = {kChunk, kStageDepth};
    if (inChunks) {
      dims = {kChunk, rows, columns / kChunk};
      strides.push_back(kSwizzleBytes);
      box.push_back(boxExtent / kChunk);
    }
    if (hasMatrices) {
      dims.push_back(experts);
      strides.push_back(rows * rowBytes);
      box.push_back(1);
    }
  }
  map = context.tensorMap(context.lookup(tensor), dims, strides, box, kSwizzleBytes);
}

void OperandLoad::copyBoxes(const Place &place, Expr k, Expr stage, Expr barrier) {
  Expr address = getAddress(stage);
  for (int64_t i = 0; i < parts * halves; ++i, address = address + boxExtent * kSwizzleBytes) {
    Expr outer = place.outer + (i / halves * boxExtent + i % halves * halfDistance);
    if (tile.major == Major::contraction) {
      auto copy = [&] { b.copyBoxToShared(map, {k, place.expert * outerTotal + outer}, address, barrier); };
      bool isLast = i == parts * halves - 1;
      isLast && place.hasSharedRows ? b.ifThen(place.hasSharedRows, copy) : copy();
      continue;
    }
    auto copy = [&](SmallVector<Expr> coordinates, Expr to) {
      if (hasMatrices)
        coordinates.push_back(place.expert);
      b.copyBoxToShared(map, coordinates, to, barrier);
    };
    if (inChunks) {
      copy({b.i32(0), k, outer / kChunk}, address);
      continue;
    }
    for (int64_t chunk = 0; chunk < boxExtent / kChunk; ++chunk)
      copy({outer + chunk * kChunk, k}, address + chunk * kStageDepth * kSwizzleBytes);
  }
}

//===----------------------------------------------------------------------===//
// Gathered rows
//===----------------------------------------------------------------------===//

// Neighbouring threads copy neighbouring pieces of 16 bytes of one row of the tensor: of 64 contraction elements, or of
// all outer elements of the tile; of one chunk after the other where these are no power of two.
int64_t OperandLoad::getPiecesPerRow() const {
  bool inOneGo = tile.major == Major::outer && llvm::isPowerOf2_64(tile.outer);
  return inOneGo ? tile.outer / kPiece : kPiecesPerChunk;
}

SmallVector<Expr> OperandLoad::getGatheredRows(const Place &place, Expr k) {
  bool byContraction = tile.major == Major::contraction;
  int64_t pieces = getPiecesPerRow(), rowsAtOnce = gatheringThreads / pieces;
  int64_t count = (byContraction ? tile.outer : kStageDepth) / rowsAtOnce;
  int64_t columns = byContraction ? depthTotal : outerTotal;
  Expr first = (byContraction ? place.outer : k) + b.threadInGroup / pieces;
  return llvm::map_to_vector(llvm::seq(count), [&](int64_t i) {
    Expr entry = min(first + i * rowsAtOnce, place.lastRow);
    return b.load(rowIndex, entry.toIndex()) / rowDivisor * (columns / kPiece) + b.threadInGroup % pieces;
  });
}

void OperandLoad::gather(const Place &place, ArrayRef<Expr> gatheredRows, Expr k, Expr stage) {
  bool byContraction = tile.major == Major::contraction;
  int64_t pieces = getPiecesPerRow(), rowsAtOnce = gatheringThreads / pieces;
  int64_t columns = byContraction ? depthTotal : outerTotal;
  Expr piece = b.threadInGroup % pieces, row = b.threadInGroup / pieces;
  Expr column = byContraction ? k : place.outer; // Of the first piece.
  int64_t tileColumns = byContraction ? kStageDepth : tile.outer;
  // Chunks of 64 elements lie one after the other; within a row of a chunk the pieces are permuted.
  int64_t chunksInTurn = byContraction ? 1 : tile.outer / kPiece / pieces;
  constexpr int64_t kPermuted = 8; // Rows that are permuted differently.
  Expr chunk = getAddress(stage) + (piece / kPiecesPerChunk * kStageDepth + row) * kSwizzleBytes;
  SmallVector<Expr> starts; // Of the rows at once, for each permutation. Their sums with constants are not kept.
  for (int64_t below = 0; below < kPermuted; below += rowsAtOnce)
    starts.push_back(b.opaque(chunk + ((piece % kPiecesPerChunk) ^ ((row + below) % kPermuted)) * 16));
  bool isSmall = llvm::isUInt<32>(tensorBytes);
  auto locate = [&](Expr source, Expr at) {
    // Of each row 32 bits are kept across the stages, not its address.
    return isSmall ? b.globalPointer(memory, at.toIndex(), b.opaque(source * 16))
                   : b.globalPointer(memory, source.toIndex() * kPiece + at.toIndex());
  };
  auto copyRow = [&](int64_t below, Expr source) {
    Expr start = starts[below % kPermuted / std::min(rowsAtOnce, kPermuted)] + below * kSwizzleBytes;
    for (int64_t i = 0; i < chunksInTurn; ++i) {
      Expr at = column + i * kChunk, to = start + i * (kStageDepth * kSwizzleBytes);
      if (columns % tileColumns == 0) {
        b.copyAsync(locate(source, at), to);
        continue;
      }
      Expr inside = at + piece * kPiece < columns;
      b.copyAsync(locate(source, select(inside, at, b.i32(0))), to, inside);
    }
  };
  // Behind an expert's last row nothing is stored: a warpgroup's 64 rows there may be anything.
  int64_t rowsTogether = byContraction ? kWarpgroupRows : kStageDepth, together = rowsTogether / rowsAtOnce;
  for (int64_t first = 0; first < static_cast<int64_t>(gatheredRows.size()); first += together) {
    auto copyRows = [&] {
      for (int64_t i = first; i < first + together; ++i)
        copyRow(i * rowsAtOnce, gatheredRows[i]);
    };
    if (first == 0)
      copyRows();
    else
      b.ifThen(place.outer + (first * rowsAtOnce - 1) < place.lastRow, copyRows);
  }
}

} // namespace mlir::moe::cuda
