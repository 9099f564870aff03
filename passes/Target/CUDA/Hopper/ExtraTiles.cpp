//===- ExtraTiles.cpp - Tensors that an epilogue reads beside accumulators -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/ExtraTiles.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

bool isExtraTile(Value extra, TileExtent extent) {
  return (extent == TileExtent::full || extent == TileExtent::pair) && getElementTypeOrSelf(extra).isBF16();
}

int64_t countExtraTiles(MatmulOp op) {
  int64_t count = 0;
  for (auto [extra, extent] : llvm::zip_equal(op.getExtras(), op.getExtraExtents().getAsRange<TileExtentAttr>()))
    if (isExtraTile(extra, extent.getValue()))
      count += extent.getValue() == TileExtent::pair ? 2 : 1;
  return count;
}

Value mapResult(EmitterContext &context, const WarpgroupShape &shape, Value memory, int64_t halves, int64_t columns) {
  int64_t elementBytes = cast<MemRefType>(memory.getType()).getElementTypeBitWidth() / 8;
  int64_t rows = shape.isSwapped ? shape.outputs : shape.rows, outputs = shape.isSwapped ? shape.rows : shape.outputs;
  SmallVector<int64_t> dims = {outputs}, strides, box = {columns};
  auto add = [&](int64_t dim, int64_t elements, int64_t extent) {
    dims.push_back(dim);
    strides.push_back(elements * elementBytes);
    box.push_back(extent);
  };
  if (halves == 2)
    add(2, outputs, 1);
  add(rows, halves * outputs, kWarpgroupRows);
  if (shape.isContraction())
    add(shape.experts, rows * outputs, 1);
  return context.tensorMap(memory, dims, strides, box, kSwizzleBytes);
}

SmallVector<Expr> locateResult(HopperBuilder &b, const WarpgroupShape &shape, int64_t halves, Expr expert, Expr row,
                               int64_t half, Expr column) {
  if (shape.isSwapped)
    std::swap(row, column);
  SmallVector<Expr> coordinates = {column};
  if (halves == 2)
    coordinates.push_back(b.i32(half));
  coordinates.push_back(row);
  if (shape.isContraction())
    coordinates.push_back(expert);
  return coordinates;
}

ExtraTiles::ExtraTiles(HopperBuilder &b, EmitterContext &context, MatmulOp op, const WarpgroupShape &shape)
    : b(b), shape(shape) {
  for (auto [extra, extent] : llvm::zip_equal(op.getExtras(), op.getExtraExtents().getAsRange<TileExtentAttr>())) {
    if (!isExtraTile(extra, extent.getValue()))
      continue;
    int64_t halves = extent.getValue() == TileExtent::pair ? 2 : 1;
    Value map = mapResult(context, shape, context.lookup(extra), halves, kSwizzleBytes / 2);
    for (int64_t half = 0; half < halves; ++half)
      tiles.push_back({map, half, halves});
  }
  if (isEmpty())
    return;
  Expr group = b.warpgroup - 1;
  int64_t bytesEach = tiles.size() * kExtraTileBytes;
  base = b.allocateBytes(kConsumerGroups * bytesEach) + group * bytesEach;
  barriers = b.allocateBarriers(kConsumerGroups);
  barrier = barriers + group * 8;
}

void ExtraTiles::initBarriers() {
  for (int64_t group = 0; !isEmpty() && group < kConsumerGroups; ++group)
    b.initBarrier(barriers + group * 8, 1);
}

void ExtraTiles::request(Expr expert, Expr row, Expr column) {
  b.arriveExpecting(barrier, b.i32(tiles.size() * kExtraTileBytes));
  for (auto [i, tile] : llvm::enumerate(tiles))
    b.copyBoxToShared(tile.map, locateResult(b, shape, tile.halves, expert, row, tile.half, column),
                      base + i * kExtraTileBytes, barrier);
}

void ExtraTiles::wait(Expr parity) { b.wait(barrier, parity); }

std::array<std::array<Value, 2>, 2> ExtraTiles::load(int64_t tile, int64_t i, Expr thread) {
  // As WarpgroupEpilogue stores what it gives to stmatrix: lanes 0–7 name the rows of the first matrix, 8–15 those 8
  // rows below, 16–31 the same 8 columns further.
  Expr warp = thread / kWarpSize, lane = thread % kWarpSize;
  Expr row = lane % 8, right = lane / 16, below = lane / 8 % 2;
  Expr start = base + (warp * 16 + below * 8 + row) * kSwizzleBytes, piece = (right ^ row) * 16;
  SmallVector<Expr> words = b.loadMatrices(start + tile * kExtraTileBytes + (piece ^ (i * 32)));
  auto pair = VectorType::get(2, b.builder.getBF16Type());
  auto at = [&](int64_t word) -> Value { return LLVM::BitcastOp::create(b.builder, pair, words[word]); };
  return {{{at(0), at(1)}, {at(2), at(3)}}};
}

} // namespace mlir::moe::cuda
