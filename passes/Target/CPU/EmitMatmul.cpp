//===- EmitMatmul.cpp - Dense, grouped and ragged matmuls -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The accumulator is cut into blocks of block_m × block_n; a block into panels of tile_n columns; a panel is computed
/// by the register tile of TileMatmul.h from a packed panel of B, and then goes through the epilogue row by row.
///
/// ```
/// for item in [begin, end):            // (column block, row block), of one expert in a ragged_contraction
///   for expert with rows here:         // ragged_rows; else once
///     for k block of kDepthBlock:
///       pack A if it is transposed or gathered along k, or of bf16
///       for panel of the column block: // paired: half of the panel is gate columns, half is up columns
///         pack B, unless this thread's last item left the same panel
///         accumulators (+)= A · B
///     for panel: epilogue
/// ```
///
/// The order of summation of an element is ascending k always, so its bits do not depend on blocks, tiles or items.
/// Few rows and B transposed (decoding) take dot products instead, with an order of their own.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/TileMatmul.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cpu {
namespace {

/// Depth of a packed panel: 512 × 64 columns are 128 KiB, which stay in a second-level cache beside a strip of A.
constexpr int64_t kDepthBlock = 512;
/// Up to this many rows in all, dot products beat packing: packing costs as much as about six rows of tiles.
constexpr int64_t kMaxDotRows = 4;

/// Rows [firstRow, firstRow + rows) of the accumulator of one expert, contracted over [firstDepth, lastDepth).
struct Segment {
  Expr expert, firstRow, rows, firstDepth, lastDepth;
};

class MatmulEmitter {
public:
  MatmulEmitter(MatmulOp op, EmitterContext &context);
  LaunchShape emit();

private:
  void emitItem(Expr item);
  void emitSegment(const Segment &segment, Expr columnBlock);
  void emitTiles(const Segment &segment, Expr columnBlock);
  void emitDots(const Segment &segment, Expr columnBlock);
  MatrixView packLhs(const Segment &segment, Expr firstDepth, Expr depthHere);
  MatrixView extendLhs(const Segment &segment, Expr firstDepth, Expr depthHere);
  void packRhs(const Segment &segment, Expr firstColumn, Expr firstDepth, Expr depthHere, const MatrixView &panel,
               int64_t outputsHere);
  void emitEpilogue(const Segment &segment, Expr panel, Expr firstColumn, int64_t outputsHere);

  /// Calls `body` for each panel of the column block: its number, its first output column and how many it has, which is
  /// less in the last panel of all; code for that is emitted apart.
  void forEachPanel(Expr columnBlock, function_ref<void(Expr panel, Expr firstColumn, int64_t outputsHere)> body);

  bool isContraction() { return op.getKind() == MatmulKind::ragged_contraction; }
  bool isRaggedRows() { return op.getKind() == MatmulKind::ragged_rows; }
  Expr offset(Expr expert) { return b.load(offsets, expert).toIndex(); }
  /// The row of the tokens' operand that row `row` of the matmul reads.
  Expr gatherRow(Expr row) { return b.load(rowIndex, row).toIndex() / op.getRowDivisor(); }
  bool gathersLhs() { return rowIndex && !op.getGatherRhs(); }
  bool gathersRhs() { return rowIndex && op.getGatherRhs(); }
  MatrixView accumulators(Expr panel) { return {accumulatorMemory, panel * (blockM * panelColumns), panelColumns, 1}; }
  MatrixView packedRhs(Expr panel) { return {packedRhsMemory, panel * (depthBlock * panelColumns), panelColumns, 1}; }

  /// What identifies the panels of B that an item has packed.
  Expr rhsKey(const Segment &segment, Expr columnBlock) {
    return (segment.expert * columnBlocks + columnBlock).toI32();
  }

  MatmulOp op;
  KernelBuilder b;

  int64_t rows, columns, depth, experts = 1; ///< Of the accumulator; `columns` counts both of a pair.
  int64_t outputs;                           ///< Columns of the epilogue: `columns`, or half of them if paired.
  int64_t tileM, tileN;
  int64_t panelOutputs, panelColumns; ///< Columns of a panel of the epilogue and of the accumulator.
  int64_t blockM, depthBlock, panels; ///< Rows of a block, its packed depth, its panels.
  int64_t rowBlocks, columnBlocks;
  bool packsLhs, extendsLhs, packsRhs, usesDots, splitsDepth;

  Value lhs, rhs, offsets, rowIndex;
  SmallVector<Value> extras, results;
  Value accumulatorMemory, packedLhsMemory, packedRhsMemory, packedKey;
};

} // namespace

MatmulEmitter::MatmulEmitter(MatmulOp op, EmitterContext &context) : op(op), b(context) {
  auto lhsShape = op.getLhs().getType().getShape(), rhsShape = op.getRhs().getType().getShape();
  bool lhsByDepth = isContraction() || op.getTransposeLhs();
  rows = lhsShape[lhsByDepth ? 1 : 0];
  depth = lhsShape[lhsByDepth ? 0 : 1];
  columns = rhsShape[rhsShape.size() - (op.getTransposeRhs() ? 2 : 1)];
  // A gather on the left says how many rows there are, not how many tokens.
  if (op.getRowIndex())
    (lhsByDepth ? depth : rows) = op.getRowIndex().getType().getNumElements();
  if (op.getOffsets())
    experts = op.getOffsets().getType().getNumElements() - 1;
  outputs = op.getPaired() ? columns / 2 : columns;

  CPUConfigAttr config = context.config;
  tileM = config.getTileM();
  tileN = config.getTileN();
  panelOutputs = op.getPaired() ? std::max<int64_t>(b.width, llvm::alignDown(tileN / 2, b.width)) : tileN;
  panelOutputs = std::min(panelOutputs, b.roundUp(outputs));
  panelColumns = op.getPaired() ? 2 * panelOutputs : panelOutputs;
  panels = std::clamp<int64_t>(config.getBlockN() / panelColumns, 1, llvm::divideCeil(outputs, panelOutputs));
  blockM = std::min(config.getBlockM(), rows);
  rowBlocks = llvm::divideCeil(rows, blockM);
  columnBlocks = llvm::divideCeil(outputs, panels * panelOutputs);
  depthBlock = std::min(kDepthBlock, b.roundUp(depth));

  usesDots = op.getTransposeRhs() && !lhsByDepth && rows <= kMaxDotRows;
  splitsDepth = depth > depthBlock && !usesDots;
  packsLhs = lhsByDepth;
  // Elements of A are broadcast from memory, once per tile of a row: bf16 is extended before that, not at each of them.
  extendsLhs = op.getLhs().getType().getElementType().isBF16() && !lhsByDepth && !usesDots;
  // Rows of B that lie well and are read only once or twice are read where they are.
  packsRhs = isContraction() || op.getTransposeRhs() || op.getPaired() || rows > 2 * tileM;

  lhs = b.operand(op.getLhs());
  rhs = b.operand(op.getRhs());
  offsets = op.getOffsets() ? b.operand(op.getOffsets()) : Value();
  rowIndex = op.getRowIndex() ? b.operand(op.getRowIndex()) : Value();
  for (Value extra : op.getExtras())
    extras.push_back(b.operand(extra));
  for (Value result : op.getResults())
    results.push_back(b.result(result));

  accumulatorMemory = b.allocate(panels * blockM * panelColumns);
  if (packsLhs)
    packedLhsMemory = b.allocate(depthBlock * b.roundUp(blockM));
  if (extendsLhs)
    packedLhsMemory = b.allocate(blockM * depthBlock);
  if (packsRhs && !usesDots) {
    packedRhsMemory = b.allocate(panels * depthBlock * panelColumns);
    packedKey = b.allocate(1, b.builder.getI32Type());
  }
}

LaunchShape MatmulEmitter::emit() {
  if (packedKey)
    b.store(b.i32(-1), packedKey, b.index(0));
  b.forEachItem([&](Expr item) { emitItem(item); });
  int64_t items = columnBlocks * rowBlocks * (isContraction() ? experts : 1);
  return {items, b.getScratchBytes(), 2 * rows * columns * depth};
}

void MatmulEmitter::emitItem(Expr item) {
  Expr rowBlock = item % rowBlocks, columnBlock = item / rowBlocks % columnBlocks;
  Segment segment;
  segment.expert = b.index(0);
  segment.firstRow = rowBlock * blockM;
  segment.rows = b.blockSize(segment.firstRow, blockM, rows);
  segment.firstDepth = b.index(0);
  segment.lastDepth = b.index(depth);
  if (isContraction()) {
    segment.expert = item / (rowBlocks * columnBlocks);
    segment.firstDepth = offset(segment.expert);
    segment.lastDepth = offset(segment.expert + 1);
  }
  if (!isRaggedRows())
    return emitSegment(segment, columnBlock);

  Expr blockStart = segment.firstRow, blockEnd = segment.firstRow + segment.rows;
  b.loop(experts, 1, [&](Expr expert) {
    Expr first = max(offset(expert), blockStart), last = min(offset(expert + 1), blockEnd);
    b.ifThen(first < last, [&] {
      Segment part = segment;
      part.expert = expert;
      part.firstRow = first;
      part.rows = last - first;
      emitSegment(part, columnBlock);
    });
  });
}

void MatmulEmitter::forEachPanel(Expr columnBlock, function_ref<void(Expr, Expr, int64_t)> body) {
  int64_t tail = outputs % panelOutputs, allPanels = llvm::divideCeil(outputs, panelOutputs);
  Expr first = columnBlock * panels;
  b.loop(b.index(0), b.blockSize(first, panels, allPanels), 1, [&](Expr panel) {
    Expr column = (first + panel) * panelOutputs;
    if (tail == 0)
      return body(panel, column, panelOutputs);
    if (allPanels == 1)
      return body(panel, column, tail);
    b.ifThenElse(
        first + panel < allPanels - 1, [&] { body(panel, column, panelOutputs); }, [&] { body(panel, column, tail); });
  });
}

void MatmulEmitter::emitSegment(const Segment &segment, Expr columnBlock) {
  if (usesDots)
    emitDots(segment, columnBlock);
  else
    emitTiles(segment, columnBlock);
  forEachPanel(columnBlock, [&](Expr panel, Expr firstColumn, int64_t outputsHere) {
    emitEpilogue(segment, panel, firstColumn, outputsHere);
  });
}

void MatmulEmitter::emitTiles(const Segment &segment, Expr columnBlock) {
  // Partial sums wait in memory where the depth does not fit into one block (of a contraction: may not fit).
  bool accumulate = splitsDepth || isContraction();
  if (accumulate)
    forEachPanel(columnBlock,
                 [&](Expr panel, Expr, int64_t) { b.fillZeros(accumulators(panel), segment.rows, panelColumns); });

  b.loop(segment.firstDepth, segment.lastDepth, depthBlock, [&](Expr firstDepth) {
    Expr depthHere = accumulate ? min(segment.lastDepth - firstDepth, b.index(depthBlock)) : b.index(depth);
    BlockMatmul block;
    block.rows = segment.rows;
    block.depth = depthHere;
    block.accumulate = accumulate;
    if (packsLhs)
      block.lhs = packLhs(segment, firstDepth, depthHere);
    else if (extendsLhs)
      block.lhs = extendLhs(segment, firstDepth, depthHere);
    else
      block.lhs = b.matrix(lhs, depth).from(segment.firstRow, firstDepth);
    if (!packsLhs && !extendsLhs && gathersLhs())
      block.lhsRow = [&](Expr row) { return gatherRow(segment.firstRow + row) * depth + firstDepth; };

    auto pack = [&](Expr panel, Expr firstColumn, int64_t outputsHere) {
      packRhs(segment, firstColumn, firstDepth, depthHere, packedRhs(panel), outputsHere);
    };
    auto multiply = [&](Expr panel, Expr firstColumn, int64_t outputsHere) {
      block.result = accumulators(panel);
      block.rhs = packedRhs(panel);
      block.columns = op.getPaired() ? panelColumns : b.roundUp(outputsHere);
      if (!packsRhs) {
        block.rhs = {rhs, (segment.expert * depth + firstDepth) * columns + firstColumn, columns};
        block.columns = outputsHere;
      }
      emitBlockMatmul(b, block, tileM, tileN);
    };
    if (packsRhs && splitsDepth) {
      forEachPanel(columnBlock, pack);
    } else if (packsRhs) {
      Expr key = rhsKey(segment, columnBlock);
      b.ifThen(b.load(packedKey, b.index(0)) != key, [&] {
        forEachPanel(columnBlock, pack);
        b.store(key, packedKey, b.index(0));
      });
    }
    forEachPanel(columnBlock, multiply);
  });
}

MatrixView MatmulEmitter::packLhs(const Segment &segment, Expr firstDepth, Expr depthHere) {
  MatrixView packed = b.matrix(packedLhsMemory, b.roundUp(blockM));
  auto sourceRow = [&](Expr k) {
    Expr row = firstDepth + k;
    return (gathersLhs() ? gatherRow(row) : row) * rows + segment.firstRow;
  };
  emitPackRows(b, lhs, sourceRow, depthHere, segment.rows, packed.rowStride, packed);
  return {packed.memory, packed.offset, /*rowStride=*/1, /*columnStride=*/packed.rowStride};
}

MatrixView MatmulEmitter::extendLhs(const Segment &segment, Expr firstDepth, Expr depthHere) {
  MatrixView extended = b.matrix(packedLhsMemory, depthBlock);
  auto sourceRow = [&](Expr row) {
    Expr source = segment.firstRow + row;
    return (gathersLhs() ? gatherRow(source) : source) * depth + firstDepth;
  };
  b.loop(b.index(0), segment.rows, 1, [&](Expr row) {
    Expr start = sourceRow(row);
    b.loop(b.index(0), depthHere, b.width, [&](Expr k) {
      b.storeVector(b.loadVector(lhs, start + k, b.tailMask(k, depthHere)), extended.memory, extended.at(row, k));
    });
  });
  return extended;
}

void MatmulEmitter::packRhs(const Segment &segment, Expr firstColumn, Expr firstDepth, Expr depthHere,
                            const MatrixView &panel, int64_t outputsHere) {
  for (int64_t half = 0; half < (op.getPaired() ? 2 : 1); ++half) {
    Expr column = firstColumn + half * outputs, count = b.index(outputsHere);
    MatrixView target = panel.from(b.index(0), b.index(half * panelOutputs));
    int64_t width = b.roundUp(outputsHere);
    if (op.getTransposeRhs()) {
      MatrixView source = b.matrix(rhs, depth).from(segment.expert * columns + column, firstDepth);
      emitPackTransposed(b, source, count, depthHere, width, target);
      continue;
    }
    auto sourceRow = [&](Expr k) {
      Expr row = firstDepth + k;
      if (isContraction())
        return (gathersRhs() ? gatherRow(row) : row) * columns + column;
      return (segment.expert * depth + row) * columns + column;
    };
    emitPackRows(b, rhs, sourceRow, depthHere, count, width, target);
  }
}

void MatmulEmitter::emitDots(const Segment &segment, Expr columnBlock) {
  forEachPanel(columnBlock, [&](Expr panel, Expr firstColumn, int64_t outputsHere) {
    b.loop(b.index(0), segment.rows, 1, [&](Expr row) {
      Expr lhsRow = segment.firstRow + row;
      Expr lhsStart = (gathersLhs() ? gatherRow(lhsRow) : lhsRow) * depth;
      for (int64_t half = 0; half < (op.getPaired() ? 2 : 1); ++half)
        b.loop(outputsHere, b.width, [&](Expr column) {
          Expr rhsRow = segment.expert * columns + half * outputs + firstColumn + column;
          MatrixView rhsRows = b.matrix(rhs, depth).from(rhsRow, b.index(0));
          Expr sums = emitDotProducts(b, lhs, lhsStart, rhsRows, b.index(outputsHere) - column, depth);
          MatrixView target = accumulators(panel);
          b.storeVector(sums, target.memory, target.at(row, column + half * panelOutputs));
        });
    });
  });
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

void MatmulEmitter::emitEpilogue(const Segment &segment, Expr panel, Expr firstColumn, int64_t outputsHere) {
  bool paired = op.getPaired();
  MatrixView sums = accumulators(panel);
  b.loop(b.index(0), segment.rows, 1, [&](Expr blockRow) {
    b.loop(outputsHere, b.width, [&](Expr blockColumn) {
      Expr mask = b.tailMask(blockColumn, b.index(outputsHere));
      Expr row = segment.firstRow + blockRow, column = firstColumn + blockColumn;
      Expr tensorRow = isContraction() ? segment.expert * rows + row : row;
      auto fullAt = [&] { return tensorRow * outputs + column; };
      auto pairAt = [&](int64_t half) { return tensorRow * (2 * outputs) + half * outputs + column; };

      SmallVector<Value> arguments;
      for (int64_t half = 0; half < (paired ? 2 : 1); ++half)
        arguments.push_back(b.loadVector(sums.memory, sums.at(blockRow, blockColumn + half * panelOutputs)));
      for (auto [extra, extent] : llvm::zip_equal(extras, op.getExtraExtents().getAsRange<TileExtentAttr>())) {
        switch (extent.getValue()) {
        case TileExtent::scalar:
          arguments.push_back(b.loadElement(extra, b.index(0)));
          break;
        case TileExtent::row:
          arguments.push_back(b.loadElement(extra, row));
          break;
        case TileExtent::column:
          arguments.push_back(b.loadElements(extra, column, mask));
          break;
        case TileExtent::full:
          arguments.push_back(b.loadElements(extra, fullAt(), mask));
          break;
        case TileExtent::pair:
          for (int64_t half = 0; half < 2; ++half)
            arguments.push_back(b.loadElements(extra, pairAt(half), mask));
          break;
        case TileExtent::row_sum:
          llvm_unreachable("for results only");
        }
      }

      SmallVector<Value> yielded = cloneRegionAtWidth(b.builder, op.getEpilogue(), arguments);
      const Value *next = yielded.begin();
      auto take = [&] {
        Expr value = b.wrap(*next++);
        return isa<VectorType>(value.getType()) ? value : value.splat(b.width);
      };
      for (auto [result, extent] : llvm::zip_equal(results, op.getResultExtents().getAsRange<TileExtentAttr>())) {
        if (extent.getValue() == TileExtent::full) {
          b.storeVector(take(), result, fullAt(), mask);
          continue;
        }
        for (int64_t half = 0; half < 2; ++half)
          b.storeVector(take(), result, pairAt(half), mask);
      }
    });
  });
}

LaunchShape emitMatmul(MatmulOp op, EmitterContext &context) { return MatmulEmitter(op, context).emit(); }

} // namespace mlir::moe::cpu
