//===- MatmulSchedule.cpp - What each block of a matmul computes -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/MatmulSchedule.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

MatmulSchedule::MatmulSchedule(BlockBuilder &b, MatmulOp op, int64_t tileRows, int64_t tileColumns)
    : b(b), op(op), tileRows(tileRows),
      tileOutputs(op.getPaired() ? tileColumns / 2 : tileColumns) {
  auto lhsShape = op.getLhs().getType().getShape(), rhsShape = op.getRhs().getType().getShape();
  rows = lhsShape[lhsByDepth() ? 1 : 0];
  depth = lhsShape[lhsByDepth() ? 0 : 1];
  columns = rhsShape[rhsShape.size() - (op.getTransposeRhs() ? 2 : 1)];
  // A gather on the left says how many rows there are, not how many tokens.
  if (op.getRowIndex())
    (lhsByDepth() ? depth : rows) = op.getRowIndex().getType().getNumElements();
  if (op.getOffsets())
    experts = op.getOffsets().getType().getNumElements() - 1;
  outputs = op.getPaired() ? columns / 2 : columns;
  columnTiles = llvm::divideCeil(outputs, tileOutputs);
  rowTiles = llvm::divideCeil(rows, tileRows);
  // Σ ceil(nₑ / t) is at most (Σ nₑ + E·(t − 1)) / t, and no tile is empty.
  if (isRaggedRows())
    rowTiles = std::min(rows, (rows + experts * (tileRows - 1)) / tileRows);

  lhs = b.operand(op.getLhs());
  rhs = b.operand(op.getRhs());
  offsets = op.getOffsets() ? b.operand(op.getOffsets()) : Value();
  rowIndex = op.getRowIndex() ? b.operand(op.getRowIndex()) : Value();
  for (Value extra : op.getExtras())
    extras.push_back(b.operand(extra));
  for (Value result : op.getResults())
    results.push_back(b.result(result));
}

LaunchShape MatmulSchedule::getLaunchShape() const {
  MatmulOp kernelOp = op;
  int64_t matrices = kernelOp.getKind() == MatmulKind::ragged_contraction ? experts : 1;
  return {{rowTiles * columnTiles * matrices, 1, 1}, {b.threads, 1, 1}, 2 * rows * columns * depth};
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

void MatmulSchedule::forTile(function_ref<void(const Tile &)> body) {
  auto [tile, found] = findTile();
  b.ifThen(found, [&, &tile = tile] { body(tile); });
}

std::pair<MatmulSchedule::Tile, Expr> MatmulSchedule::findTile(bool early) {
  Expr rowTile = b.block % rowTiles;
  Tile tile;
  tile.firstOutput = b.block / rowTiles % columnTiles * tileOutputs;
  tile.expert = b.index(0);
  tile.firstDepth = b.index(0);
  tile.lastDepth = b.index(depth);
  Expr found;
  if (isRaggedRows()) {
    findRaggedTile(rowTile, early, tile, found);
  } else {
    tile.firstRow = rowTile * tileRows;
    tile.rows = b.blockSize(tile.firstRow, tileRows, rows);
  }
  if (isContraction()) {
    tile.expert = b.block / (rowTiles * columnTiles);
    tile.firstDepth = b.load(offsets, tile.expert).toIndex();
    tile.lastDepth = b.load(offsets, tile.expert + 1).toIndex();
  }
  return {tile, found};
}

/// The experts' tiles are numbered one expert after the other. Each lane looks at as many consecutive experts as all
/// lanes need, so that all offsets are read at once.
void MatmulSchedule::findRaggedTile(Expr rowTile, bool early, Tile &tile, Expr &found) {
  int64_t expertsEach = llvm::divideCeil(experts, kWarpSize);
  bool hasAll = expertsEach * kWarpSize == experts;
  // Experts behind the last one have no rows.
  auto limit = [&](Expr expert) { return hasAll ? expert : min(expert, b.index(experts)); };
  Expr firstExpert = b.lane * expertsEach;
  SmallVector<Expr> starts;
  Value source = offsets;
  if (early) {
    // Once for the block: of all blocks, these are many reads of few lines of the second-level cache.
    source = b.allocateShared(experts + 1, b.builder.getI32Type());
    b.forThreads(experts + 1, [&](Expr expert) { b.store(b.loadCoherent(offsets, expert), source, expert); });
    b.barrier();
  }
  for (int64_t i = 0; i <= expertsEach; ++i)
    starts.push_back(b.load(source, limit(firstExpert + i)));
  SmallVector<Expr> firstTiles = {b.i32(0)};
  for (int64_t i = 0; i < expertsEach; ++i)
    firstTiles.push_back(firstTiles.back() + (starts[i + 1] - starts[i] + (tileRows - 1)) / tileRows);

  // Of what is wanted, counted from the lane's first tile.
  Expr wanted = rowTile.toI32() - (b.scanLanes(firstTiles.back()) - firstTiles.back());
  Expr owners = b.ballot(both(wanted < firstTiles.back(), wanted > -1));
  Expr expert = firstExpert.toI32(), firstTile = firstTiles[0], start = starts[0], end = starts[1];
  for (int64_t i = 1; i < expertsEach; ++i) {
    Expr isBehind = wanted > firstTiles[i] - 1;
    expert = select(isBehind, firstExpert.toI32() + i, expert);
    firstTile = select(isBehind, firstTiles[i], firstTile);
    start = select(isBehind, starts[i], start);
    end = select(isBehind, starts[i + 1], end);
  }
  Expr firstRow = start + (wanted - firstTile) * tileRows, rowsHere = min(end - firstRow, b.i32(tileRows));
  Expr owner = b.lowestBit(owners);
  found = owners != 0;
  tile.expert = b.shuffle(expert, owner).toIndex();
  tile.firstRow = b.shuffle(firstRow, owner).toIndex();
  tile.rows = b.shuffle(rowsHere, owner).toIndex();
}

Expr MatmulSchedule::isRowInside(const Tile &tile, Expr row) {
  return tile.rows.getConstant() == tileRows ? Expr() : row < tile.rows;
}
Expr MatmulSchedule::isOutputInside(const Tile &tile, Expr output) {
  return outputs % tileOutputs == 0 ? Expr() : tile.firstOutput + output < outputs;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

MatmulSchedule::Operand MatmulSchedule::getLhs(const Tile &tile) {
  Operand operand;
  operand.memory = lhs;
  operand.depthIsContiguous = !lhsByDepth();
  operand.granule = std::gcd(lhsByDepth() ? rows : depth, 8);
  operand.isInside = [this, tile](Expr row) { return isRowInside(tile, row); };
  if (lhsByDepth()) {
    operand.outerOffset = [tile](Expr row) { return tile.firstRow + row; };
    operand.depthOffset = [this](Expr k) { return (gathersLhs() ? gatherRow(k) : k) * rows; };
    return operand;
  }
  operand.outerOffset = [this, tile](Expr row) {
    Expr source = tile.firstRow + row;
    if (!gathersLhs())
      return source * depth;
    // Rows behind the tile's last one repeat it.
    if (isRowInside(tile, row))
      source = tile.firstRow + min(row, tile.rows - 1);
    return gatherRow(source) * depth;
  };
  operand.depthOffset = [](Expr k) { return k; };
  return operand;
}

MatmulSchedule::Operand MatmulSchedule::getRhs(const Tile &tile) {
  Operand operand;
  operand.memory = rhs;
  operand.depthIsContiguous = op.getTransposeRhs();
  operand.granule = std::gcd(op.getTransposeRhs() ? depth : outputs, 8);
  auto half = [this](Expr column) { return op.getPaired() ? column / tileOutputs : b.index(0); };
  auto output = [this](Expr column) { return op.getPaired() ? column % tileOutputs : column; };
  operand.isInside = [=, this](Expr column) { return isOutputInside(tile, output(column)); };
  auto tensorColumn = [=, this](Expr column) { return half(column) * outputs + tile.firstOutput + output(column); };
  if (op.getTransposeRhs()) {
    operand.outerOffset = [=, this](Expr column) { return (tile.expert * columns + tensorColumn(column)) * depth; };
    operand.depthOffset = [](Expr k) { return k; };
    return operand;
  }
  operand.outerOffset = tensorColumn;
  operand.depthOffset = [=, this](Expr k) {
    if (isContraction())
      return (gathersRhs() ? gatherRow(k) : k) * columns;
    return (tile.expert * depth + k) * columns;
  };
  return operand;
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

Expr MatmulSchedule::loadColumns(Value memory, Expr offset, int64_t width) {
  if (width == 1)
    return b.loadElement(memory, offset);
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  llvm::MaybeAlign alignment(width * element.getIntOrFloatBitWidth() / 8);
  return b.wrap(vector::LoadOp::create(b.builder, VectorType::get(width, element), memory, ValueRange{offset},
                                       /*nontemporal=*/false, alignment));
}

void MatmulSchedule::emitEpilogue(const Tile &tile, Expr row, Expr output, ArrayRef<Expr> accumulators) {
  auto vector = dyn_cast<VectorType>(accumulators.front().getType());
  int64_t width = vector ? vector.getNumElements() : 1;
  if (outputs % width != 0) {
    for (int64_t i = 0; i < width; ++i)
      emitEpilogue(tile, row, output + i,
                   llvm::map_to_vector(accumulators, [&](Expr accumulator) { return accumulator.extract(i); }));
    return;
  }
  b.ifThen(both(isRowInside(tile, row), isOutputInside(tile, output)), [&] {
    Expr tensorRow = tile.firstRow + row, column = tile.firstOutput + output;
    Expr resultRow = isContraction() ? tile.expert * rows + tensorRow : tensorRow;
    auto fullAt = [&] { return resultRow * outputs + column; };
    auto pairAt = [&](int64_t half) { return resultRow * (2 * outputs) + half * outputs + column; };

    SmallVector<Value> arguments(accumulators.begin(), accumulators.end());
    for (auto [extra, extent] : llvm::zip_equal(extras, op.getExtraExtents().getAsRange<TileExtentAttr>())) {
      switch (extent.getValue()) {
      case TileExtent::scalar:
        arguments.push_back(b.loadElement(extra, b.index(0)));
        break;
      case TileExtent::row:
        arguments.push_back(b.loadElement(extra, tensorRow));
        break;
      case TileExtent::column:
        arguments.push_back(loadColumns(extra, column, width));
        break;
      case TileExtent::full:
        arguments.push_back(loadColumns(extra, fullAt(), width));
        break;
      case TileExtent::pair:
        for (int64_t half = 0; half < 2; ++half)
          arguments.push_back(loadColumns(extra, pairAt(half), width));
        break;
      case TileExtent::row_sum:
        llvm_unreachable("for results only");
      }
    }

    SmallVector<Value> yielded = cloneScalarRegion(b.builder, op.getEpilogue(), arguments);
    const Value *next = yielded.begin();
    auto store = [&](Value result, Expr offset) {
      Expr value = b.wrap(*next++);
      if (width == 1)
        return b.store(value, result, offset);
      if (!isa<VectorType>(value.getType())) // It depends on none of the columns.
        value = value.splat(width);
      llvm::MaybeAlign alignment(width * getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth() / 8);
      vector::StoreOp::create(b.builder, value, result, ValueRange{offset}, /*nontemporal=*/false, alignment);
    };
    for (auto [result, extent] : llvm::zip_equal(results, op.getResultExtents().getAsRange<TileExtentAttr>())) {
      if (extent.getValue() == TileExtent::full) {
        store(result, fullAt());
        continue;
      }
      for (int64_t half = 0; half < 2; ++half)
        store(result, pairAt(half));
    }
  });
}

} // namespace mlir::moe::cuda
