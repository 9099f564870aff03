//===- KernelBuilder.h - What emitters of structured ops write with -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Work items, scratch memory and vectors of the configured width, beside the loops and flat memory of CodeBuilder.h.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_KERNELBUILDER_H
#define PASSES_TARGET_CPU_KERNELBUILDER_H

#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/Common/CodeBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe::cpu {

using target::Expr;
using target::MatrixView;

class KernelBuilder : public target::CodeBuilder {
public:
  explicit KernelBuilder(EmitterContext &context);

  const int64_t width; ///< Lanes of a vector.

  //===--- Values ---------------------------------------------------------===//
  /// A float32 vector with `number` in every lane.
  Expr realVector(double number) { return real(number).splat(width); }
  /// The i32 vector 0, 1, 2, …
  Expr lanes();
  /// Lanes [0, count) are on.
  Expr mask(Expr count);
  /// Of the columns from `column` on, those in [begin, end) are on; a null `begin` means 0.
  Expr rangeMask(Expr begin, Expr end, Expr column);
  /// The mask of the columns [column, columns) of a vector at `column`; none if `columns` is known to be a multiple of
  /// the vector width (and `column` is one).
  Expr tailMask(Expr column, Expr columns);
  int64_t roundUp(int64_t count) const { return llvm::alignTo(count, width); }

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
  /// Takes `count` elements of the thread's scratch memory, aligned to 64 bytes.
  Value allocate(int64_t count, Type type = {});
  MatrixView allocateMatrix(int64_t rows, int64_t columns) { return matrix(allocate(rows * columns), columns); }
  int64_t getScratchBytes() const { return scratchBytes; }

  /// Lanes outside `mask` are zeros. A null mask means all lanes. Loads and stores convert as those of CodeBuilder.
  Expr loadVector(Value memory, Expr offset, Expr mask = {}) { return extend(loadElements(memory, offset, mask)); }
  Expr loadElements(Value memory, Expr offset, Expr mask = {});
  void storeVector(Expr value, Value memory, Expr offset, Expr mask = {});
  /// Zeros in the rows [0, rows) × columns [0, columns).
  void fillZeros(const MatrixView &matrix, Expr rows, int64_t columns);
  /// Copies rows [0, rows) × columns [0, columns) to a matrix that may be of another type.
  void copy(const MatrixView &source, const MatrixView &target, Expr rows, int64_t columns);
  /// `matrix` if it is of float32, else a float32 copy of it in scratch memory for `mostRows` rows: for what is read
  /// element by element or often.
  MatrixView extended(const MatrixView &matrix, Expr rows, int64_t mostRows, int64_t columns);

  //===--- Control flow ---------------------------------------------------===//
  /// Runs `body` for every work item of this call.
  void forEachItem(function_ref<void(Expr)> body) { loop(begin, end, 1, body); }
  /// Runs `body` for those of the items [first, last) that are of this call.
  void forEachItem(int64_t first, int64_t last, function_ref<void(Expr)> body) {
    loop(max(begin, index(first)), min(end, index(last)), 1, body);
  }

private:
  EmitterContext &context;
  Expr begin, end;
  int64_t scratchBytes = 0;
};

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_KERNELBUILDER_H
