//===- TileMatmul.h - Small matmuls in registers ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The microkernels that matmul and attention share. A tile of C is a grid of vector accumulators that live in
/// registers for the whole loop over k:
///
/// ```mlir
/// %acc:16 = scf.for %k = %c0 to %depth step %c1 iter_args(%c0_0 = %zero, ...) -> (vector<16xf32>, ...) {
///   %b0 = vector.load %B[%k * ldb + 0] ...                     // tile_n / vector_width vectors of one row of B
///   %a0 = vector.broadcast (memref.load %A[row 0, %k])         // tile_m elements of one column of A
///   %c0_0' = vector.fma %a0, %b0, %c0_0 ...
/// ```
///
/// Every element of C is summed in ascending k with one rounding per step, whatever the tile it falls into.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_TILEMATMUL_H
#define PASSES_TARGET_CPU_TILEMATMUL_H

#include "passes/Target/CPU/KernelBuilder.h"

namespace mlir::moe::cpu {

/// C[0:rows, 0:columns] = A[0:rows, 0:depth] · B[0:depth, 0:columns], or += with `accumulate`.
/// B and C have unit column stride; nothing outside of the three ranges is touched.
struct BlockMatmul {
  MatrixView lhs = {};
  MatrixView rhs = {};
  MatrixView result = {};
  Expr rows = {};
  Expr depth = {};
  int64_t columns = 0;
  bool accumulate = false;
  /// Where a row of A starts, if not at lhs.at(row): a gather.
  std::function<Expr(Expr row)> lhsRow = nullptr;
};

/// Emits `block` in register tiles of at most tileM × tileN; the rows left over take tiles of powers of two.
void emitBlockMatmul(KernelBuilder &b, const BlockMatmul &block, int64_t tileM, int64_t tileN);

/// Copies `depth` rows of `columns` elements: row k starts at `sourceRow(k)` of `source`. Columns [columns, width) of
/// the panel, a multiple of the vector width, are set to zero.
void emitPackRows(KernelBuilder &b, Value source, function_ref<Expr(Expr k)> sourceRow, Expr depth, Expr columns,
                  int64_t width, const MatrixView &panel);

/// Writes the transpose of source[0:columns, 0:depth] (unit column stride) to panel[0:depth, 0:width], width a multiple
/// of the vector width. Columns from `columns` on repeat the last one; rows of the panel up to depth rounded up to the
/// vector width are overwritten.
void emitPackTransposed(KernelBuilder &b, const MatrixView &source, Expr columns, Expr depth, int64_t width,
                        const MatrixView &panel);

/// The vector of dot products Σ_k vector[k] · rows[i, k] for i in [0, vector width), k in [0, depth). Rows from `count`
/// on repeat the last one. For few rows of A this needs no packing.
Expr emitDotProducts(KernelBuilder &b, Value vectorMemory, Expr vectorStart, const MatrixView &rows, Expr count,
                     int64_t depth);

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_TILEMATMUL_H
