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

OperandLoad::OperandLoad(HopperBuilder &b, EmitterContext &context, MatmulOp op, const WarpgroupShape &shape, Side side,
                         int64_t extent, int64_t stages)
    : tile{side == lhs ? shape.lhsMajor : shape.rhsMajor, extent, kStageDepth}, b(b),
      halves(side == rhs ? shape.halves() : 1), halfExtent(extent / halves),
      outerTotal(side == lhs ? shape.rows : shape.columns), depthTotal(shape.depth),
      halfDistance(side == rhs ? shape.outputs : 0), rowDivisor(shape.rowDivisor) {
  Value tensor = (side == lhs) != shape.isSwapped ? op.getLhs() : op.getRhs();
  base = b.allocateBytes(stages * tile.getBytes());
  if (side == lhs ? shape.gathersLhs : shape.gathersRhs) {
    memory = b.operand(tensor);
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
    box = {kChunk, halfExtent};
  } else {
    inChunks = columns % kChunk == 0 && halfDistance % kChunk == 0;
    hasMatrices = hasExperts;
    dims = {columns, rows};
    strides = {rowBytes};
    box = {kChunk, kStageDepth};
    if (inChunks) {
      dims = {kChunk, rows, columns / kChunk};
      strides.push_back(kSwizzleBytes);
      box.push_back(halfExtent / kChunk);
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
  for (int64_t half = 0; half < halves; ++half, address = address + halfExtent * kSwizzleBytes) {
    Expr outer = place.outer + half * halfDistance;
    if (tile.major == Major::contraction) {
      b.copyBoxToShared(map, {k, place.expert * outerTotal + outer}, address, barrier);
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
    for (int64_t chunk = 0; chunk < halfExtent / kChunk; ++chunk)
      copy({outer + chunk * kChunk, k}, address + chunk * kStageDepth * kSwizzleBytes);
  }
}

//===----------------------------------------------------------------------===//
// Gathered rows
//===----------------------------------------------------------------------===//

// Neighbouring threads copy neighbouring pieces of 16 bytes of one row of the tensor: of 64 contraction elements, or of
// all outer elements of the tile.
int64_t OperandLoad::getPiecesPerRow() const {
  return (tile.major == Major::contraction ? kStageDepth : tile.outer) / kPiece;
}

SmallVector<Expr> OperandLoad::getGatheredRows(const Place &place, Expr k) {
  int64_t pieces = getPiecesPerRow(), rowsAtOnce = kWarpgroupSize / pieces;
  int64_t count = (tile.major == Major::contraction ? tile.outer : kStageDepth) / rowsAtOnce;
  Expr first = (tile.major == Major::contraction ? place.outer : k) + b.threadInGroup / pieces;
  return llvm::map_to_vector(llvm::seq(count), [&](int64_t i) {
    Expr entry = min(first + i * rowsAtOnce, place.lastRow);
    return b.load(rowIndex, entry.toIndex()) / rowDivisor;
  });
}

void OperandLoad::gather(const Place &place, ArrayRef<Expr> gatheredRows, Expr k, Expr stage) {
  bool byContraction = tile.major == Major::contraction;
  int64_t pieces = getPiecesPerRow(), rowsAtOnce = kWarpgroupSize / pieces;
  int64_t columns = byContraction ? depthTotal : outerTotal;
  Expr piece = b.threadInGroup % pieces, row = b.threadInGroup / pieces;
  Expr column = (byContraction ? k : place.outer) + piece * kPiece;
  int64_t tileColumns = byContraction ? kStageDepth : tile.outer;
  Expr inside = columns % tileColumns ? column < columns : Expr();
  // Chunks of 64 elements lie one after the other; within a row of a chunk the pieces are permuted.
  Expr chunk = getAddress(stage) + piece / kPiecesPerChunk * (kStageDepth * kSwizzleBytes);
  for (auto [i, token] : llvm::enumerate(gatheredRows)) {
    int64_t below = i * rowsAtOnce;
    Expr swizzled = (piece % kPiecesPerChunk) ^ ((row + below % 8) % 8);
    Expr source = token.toIndex() * columns + (inside ? select(inside, column, b.i32(0)) : column).toIndex();
    b.copyAsync(b.globalPointer(memory, source), chunk + (row + below) * kSwizzleBytes + swizzled * 16, inside);
  }
}

} // namespace mlir::moe::cuda
