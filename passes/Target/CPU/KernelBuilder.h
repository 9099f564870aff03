//===- KernelBuilder.h - What emitters of structured ops write with -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Loops, flat memory and vectors of the configured width. All memory is seen as rank-1 memrefs with offsets in
/// elements, so that a matrix may be a slice of a tensor, a head of a sequence or a panel of scratch memory alike.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_KERNELBUILDER_H
#define PASSES_TARGET_CPU_KERNELBUILDER_H

#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/CPU/Expr.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe::cpu {

/// A matrix in flat memory: element (i, j) is memory[offset + i·rowStride + j·columnStride].
struct MatrixView {
  Value memory;
  Expr offset;
  int64_t rowStride = 0;
  int64_t columnStride = 1;

  Expr at(Expr row) const { return offset + row * rowStride; }
  Expr at(Expr row, Expr column) const { return offset + row * rowStride + column * columnStride; }
  /// The same matrix without its first rows and columns.
  MatrixView from(Expr row, Expr column) const { return {memory, at(row, column), rowStride, columnStride}; }
};

class KernelBuilder {
public:
  explicit KernelBuilder(EmitterContext &context);

  const int64_t width; ///< Lanes of a vector.

  //===--- Values ---------------------------------------------------------===//
  Expr wrap(Value value) { return {builder, value}; }
  Expr index(int64_t number);
  Expr i32(int64_t number);
  Expr real(double number);
  /// A float32 vector with `number` in every lane.
  Expr realVector(double number) { return real(number).splat(width); }
  /// The i32 vector 0, 1, 2, …
  Expr lanes();
  /// Lanes [0, count) are on.
  Expr mask(Expr count);
  /// The mask of the columns [column, columns) of a vector at `column`; none if `columns` is known to be a multiple of
  /// the vector width (and `column` is one).
  Expr tailMask(Expr column, Expr columns);
  int64_t roundUp(int64_t count) const { return llvm::alignTo(count, width); }
  /// min(block, total − start), a constant where block divides total.
  Expr blockSize(Expr start, int64_t block, int64_t total);

  /// vector[lanes[i]] of two vectors' concatenation.
  Expr shuffle(Expr first, Expr second, ArrayRef<int64_t> lanes);
  /// Combines all lanes in a fixed tree; every lane of the result has the total.
  Expr reduce(Expr vector, function_ref<Expr(Expr, Expr)> combine);
  Expr reduceSum(Expr vector);
  Expr reduceMax(Expr vector);

  //===--- Memory ---------------------------------------------------------===//
  /// An operand of the structured op (an argument of the kernel) or a result (one of the kernel's) as flat memory.
  Value operand(Value tensor);
  Value result(Value tensor);
  /// Flat memory as a row-major matrix.
  MatrixView matrix(Value memory, int64_t columns) { return {memory, index(0), columns}; }
  /// Takes `count` elements of the thread's scratch memory, aligned to 64 bytes.
  Value allocate(int64_t count, Type type = {});
  MatrixView allocateMatrix(int64_t rows, int64_t columns) { return matrix(allocate(rows * columns), columns); }
  int64_t getScratchBytes() const { return scratchBytes; }

  Expr load(Value memory, Expr offset);
  void store(Expr value, Value memory, Expr offset);
  /// Lanes outside `mask` are zeros. A null mask means all lanes.
  Expr loadVector(Value memory, Expr offset, Expr mask = {});
  void storeVector(Expr value, Value memory, Expr offset, Expr mask = {});
  /// Zeros in the rows [0, rows) × columns [0, columns).
  void fillZeros(const MatrixView &matrix, Expr rows, int64_t columns);

  //===--- Control flow ---------------------------------------------------===//
  void loop(Expr lower, Expr upper, int64_t step, function_ref<void(Expr)> body);
  /// With values carried from iteration to iteration.
  SmallVector<Expr> loop(Expr lower, Expr upper, int64_t step, ArrayRef<Expr> initial,
                         function_ref<SmallVector<Expr>(Expr, ArrayRef<Expr>)> body);
  void loop(int64_t count, int64_t step, function_ref<void(Expr)> body) { loop(index(0), index(count), step, body); }
  void ifThen(Expr condition, function_ref<void()> then);
  void ifThenElse(Expr condition, function_ref<void()> then, function_ref<void()> otherwise);
  /// Runs `body` for every work item of this call.
  void forEachItem(function_ref<void(Expr)> body) { loop(begin, end, 1, body); }
  /// Runs `body` for those of the items [first, last) that are of this call.
  void forEachItem(int64_t first, int64_t last, function_ref<void(Expr)> body) {
    loop(max(begin, index(first)), min(end, index(last)), 1, body);
  }

  ImplicitLocOpBuilder &builder;

private:
  Value flatten(Value memory);

  EmitterContext &context;
  Expr begin, end;
  int64_t scratchBytes = 0;
};

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_KERNELBUILDER_H
