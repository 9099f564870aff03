//===- EmitMatmul.cpp - Dense, grouped and ragged matmuls -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The exact path: products on CUDA cores in float32. The tile of a block is computed in steps of tile_k, from two
/// buffers in shared memory:
///
/// ```
/// first step: global → registers → buffer 0; barrier
/// for step:
///   next step: global → registers       // in flight during the products
///   accumulators += buffer this · buffer this
///   registers → the other buffer; barrier
/// epilogue on every accumulator
/// ```
///
/// Both operands lie in shared memory with k as the slow dimension, so that a thread reads neighbouring rows, and
/// neighbouring columns, as vectors.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/CUDA/MatmulSchedule.h"
#include "passes/Target/CUDA/ThreadTile.h"

namespace mlir::moe::cuda {
namespace {

/// Elements between the rows of a buffer: keeps vectors aligned and spreads writes along k over the banks.
constexpr int64_t kPadding = 4;

/// Moves one operand of the tile from global to shared memory, `extent` × `tileK` elements a step.
class OperandStage {
public:
  OperandStage(BlockBuilder &b, int64_t extent, int64_t tileK)
      : b(b), extent(extent), tileK(tileK), rowStride(llvm::alignTo(extent, 4) + kPadding),
        memory(b.allocateShared(2 * tileK * rowStride)) {}

  /// Chooses the operand and works out what does not change from step to step.
  void begin(const MatmulSchedule::Operand &operand);
  /// The elements of the step at `firstDepth` that this thread moves; zeros where there are none.
  SmallVector<Expr> fetch(Expr firstDepth, Expr lastDepth);
  void put(ArrayRef<Expr> elements, Expr buffer);
  /// Element (k, outer) of a buffer.
  MatrixView view(Expr buffer) { return {memory, buffer * (tileK * rowStride), rowStride, 1}; }

private:
  struct Element {
    Expr exists; ///< False for what is past the last element of a step; null: always.
    Expr outer, depth, offset, inside;
  };

  BlockBuilder &b;
  int64_t extent, tileK, rowStride;
  Value memory;
  MatmulSchedule::Operand operand;
  SmallVector<Element> elements;
};

} // namespace

void OperandStage::begin(const MatmulSchedule::Operand &chosen) {
  operand = chosen;
  elements.clear();
  int64_t count = extent * tileK;
  for (int64_t first = 0; first < count; first += b.threads) {
    Expr number = b.thread + first;
    Element element;
    if (first + b.threads > count) {
      element.exists = number < count;
      number = min(number, b.index(count - 1));
    }
    // Neighbouring threads read neighbouring addresses.
    bool byDepth = operand.depthIsContiguous;
    element.outer = byDepth ? number / tileK : number % extent;
    element.depth = byDepth ? number % tileK : number / extent;
    element.offset = operand.outerOffset(element.outer);
    element.inside = operand.isInside(element.outer);
    elements.push_back(element);
  }
}

SmallVector<Expr> OperandStage::fetch(Expr firstDepth, Expr lastDepth) {
  return llvm::map_to_vector(elements, [&](const Element &element) {
    Expr depth = firstDepth + element.depth, valid = both(depth < lastDepth, element.inside);
    Expr safeDepth = select(valid, depth, b.index(0));
    Expr offset = select(valid, element.offset, b.index(0)) + operand.depthOffset(safeDepth);
    return b.loadOrZero(operand.memory, offset, valid);
  });
}

void OperandStage::put(ArrayRef<Expr> values, Expr buffer) {
  MatrixView target = view(buffer);
  for (auto [element, value] : llvm::zip_equal(elements, values))
    b.ifThen(element.exists,
             [&] { b.store(value, target.memory, target.at(element.depth, element.outer)); });
}

LaunchShape emitMatmul(moe_kernel::MatmulOp op, EmitterContext &context) {
  BlockBuilder b(context);
  int64_t tileM = context.config.getTileM(), tileN = context.config.getTileN(), tileK = context.config.getTileK();
  ThreadTile threads(b, ThreadTile::chooseThreadColumns(b.threads, tileM, tileN), tileM, tileN, op.getPaired());
  MatmulSchedule schedule(b, op, threads.getRows(), threads.getColumns());
  OperandStage lhs(b, threads.getRows(), tileK), rhs(b, threads.getColumns(), tileK);

  schedule.forTile([&](const MatmulSchedule::Tile &tile) {
    lhs.begin(schedule.getLhs(tile));
    rhs.begin(schedule.getRhs(tile));
    auto fetch = [&](Expr depth) {
      return std::pair(lhs.fetch(depth, tile.lastDepth), rhs.fetch(depth, tile.lastDepth));
    };
    auto put = [&](const auto &fetched, Expr buffer) {
      lhs.put(fetched.first, buffer);
      rhs.put(fetched.second, buffer);
      b.barrier();
    };
    put(fetch(tile.firstDepth), b.index(0));

    SmallVector<Expr> carried = threads.zeros(b);
    carried.push_back(b.index(0)); // The buffer of the step.
    carried = b.loop(tile.firstDepth, tile.lastDepth, tileK, carried, [&](Expr depth, ArrayRef<Expr> carried) {
      auto next = fetch(depth + tileK);
      Expr buffer = carried.back(), other = 1 - buffer;
      SmallVector<Expr> sums = threads.multiply(b, Accumulators(carried.drop_back()), lhs.view(buffer).transposed(),
                                                rhs.view(buffer), tileK);
      put(next, other);
      sums.push_back(other);
      return sums;
    });

    int64_t outputsEach = op.getPaired() ? threads.columnsEach / 2 : threads.columnsEach;
    for (int64_t i = 0; i < threads.rowsEach; ++i)
      for (int64_t j = 0; j < outputsEach; ++j) {
        SmallVector<Expr> accumulators = {threads.at(carried, i, j)};
        if (op.getPaired())
          accumulators.push_back(threads.at(carried, i, j + outputsEach));
        schedule.emitEpilogue(tile, threads.row(i), threads.column(j), accumulators);
      }
  });
  return schedule.getLaunchShape();
}

} // namespace mlir::moe::cuda
