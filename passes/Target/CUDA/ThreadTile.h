//===- ThreadTile.h - A tile in the registers of a block --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Matrix products on CUDA cores in float32: the exact path. The threads of a block form a grid over a tile of
/// accumulators, neighbouring threads along its columns; a thread holds rowsEach × columnsEach of them:
///
/// ```
///              column 0 1 2 3 | 4 5 6 7 | … | 4·threadColumns …      (groups of rowVector × columnVector elements,
/// row 0, 1, …         thread 0  thread 1        thread 0              so that operands are read as vectors)
/// ```
///
/// Every element is summed in ascending k with one rounding per step, whatever the tile it falls into.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_THREADTILE_H
#define PASSES_TARGET_CUDA_THREADTILE_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

/// What a thread holds of a tile, row by row.
using Accumulators = SmallVector<Expr>;

class ThreadTile {
public:
  /// A tile of at least `rows` × `columns` over threads / threadColumns rows of threads. The columns of a thread come in
  /// an even number of groups if `paired`: its first half lies in the left half of the tile, its second half as far in
  /// the right half.
  ThreadTile(BlockBuilder &b, int64_t threadColumns, int64_t rows, int64_t columns, bool paired = false);

  /// As square a piece for each thread as may be: the columns of threads for a tile of `rows` × `columns`, at most 32.
  static int64_t chooseThreadColumns(int64_t threads, int64_t rows, int64_t columns);

  int64_t threadRows, threadColumns;
  int64_t rowsEach, columnsEach;
  int64_t rowVector, columnVector;

  /// Of the tile: what was asked for, rounded up to whole threads.
  int64_t getRows() const { return threadRows * rowsEach; }
  int64_t getColumns() const { return threadColumns * columnsEach; }
  /// Where row i and column j of this thread lie in the tile.
  Expr row(int64_t i) const { return position(threadRow, threadRows, rowVector, i); }
  Expr column(int64_t j) const { return position(threadColumn, threadColumns, columnVector, j); }

  Accumulators zeros(BlockBuilder &b) const { return Accumulators(rowsEach * columnsEach, b.real(0)); }
  /// The accumulator of row i and column j of this thread.
  template <typename Container> auto &at(Container &&accumulators, int64_t i, int64_t j) const {
    return accumulators[i * columnsEach + j];
  }

  /// accumulators + lhs[tile rows, 0:depth] · rhs[0:depth, tile columns], both in shared memory.
  Accumulators multiply(BlockBuilder &b, Accumulators accumulators, const MatrixView &lhs, const MatrixView &rhs,
                        int64_t depth) const;
  /// Writes the accumulators to shared memory.
  void store(BlockBuilder &b, ArrayRef<Expr> accumulators, const MatrixView &target) const;

private:
  static Expr position(Expr thread, int64_t threads, int64_t vector, int64_t i) {
    return thread * vector + (i / vector * threads * vector + i % vector);
  }

  Expr threadRow, threadColumn;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_THREADTILE_H
