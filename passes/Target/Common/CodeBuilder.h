//===- CodeBuilder.h - Loops and flat memory for emitters -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the emitters of structured ops of every target write with. All memory is seen as rank-1 memrefs with offsets in
/// elements, so that a matrix may be a slice of a tensor, a head of a sequence or a panel of scratch memory alike.
///
/// Values are float32 whatever the memory holds: a bf16 element is extended when it is loaded, and what is stored in
/// bf16 memory is rounded to nearest even. So an emitter is written once for both.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_CODEBUILDER_H
#define PASSES_TARGET_COMMON_CODEBUILDER_H

#include "passes/Target/Common/Expr.h"

#include "mlir/IR/TypeUtilities.h"

namespace mlir::moe::target {

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
  MatrixView transposed() const { return {memory, offset, columnStride, rowStride}; }
};

class CodeBuilder {
public:
  explicit CodeBuilder(ImplicitLocOpBuilder &builder) : builder(builder) {}

  //===--- Values ---------------------------------------------------------===//
  Expr wrap(Value value) { return {builder, value}; }
  Expr index(int64_t number);
  Expr i32(int64_t number);
  Expr real(double number);
  /// min(block, total − start), a constant where block divides total.
  Expr blockSize(Expr start, int64_t block, int64_t total);

  //===--- Memory ---------------------------------------------------------===//
  /// Static contiguous memory as a memref of rank 1.
  Value flatten(Value memory);
  /// Flat memory as a row-major matrix.
  MatrixView matrix(Value memory, int64_t columns) { return {memory, index(0), columns}; }
  Expr load(Value memory, Expr offset);
  void store(Expr value, Value memory, Expr offset);
  /// The element as it is in memory, which `store` takes back unchanged: for copies, and for a matmul's epilogue.
  Expr loadElement(Value memory, Expr offset);
  /// bf16 values, or vectors of them, as float32; others as they are.
  Expr extend(Expr value);
  /// float32 values, or vectors of them, as bf16 if `memory` holds that; others as they are.
  Expr roundFor(Value memory, Expr value);
  static bool holdsBFloat16(Value memory) { return getElementTypeOrSelf(memory.getType()).isBF16(); }

  //===--- Control flow ---------------------------------------------------===//
  void loop(Expr lower, Expr upper, int64_t step, function_ref<void(Expr)> body);
  /// With values carried from iteration to iteration.
  SmallVector<Expr> loop(Expr lower, Expr upper, int64_t step, ArrayRef<Expr> initial,
                         function_ref<SmallVector<Expr>(Expr, ArrayRef<Expr>)> body);
  void loop(int64_t count, int64_t step, function_ref<void(Expr)> body) { loop(index(0), index(count), step, body); }
  void ifThen(Expr condition, function_ref<void()> then);
  void ifThenElse(Expr condition, function_ref<void()> then, function_ref<void()> otherwise);

  ImplicitLocOpBuilder &builder;
};

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_CODEBUILDER_H
