//===- RowsBuilder.h - Builds rows kernels' linalg.generic ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Rows kernels are made of `linalg.generic` ops in one narrow form, which keeps their emitters small:
///
/// * The first loop is parallel and its extent is the number of rows of the kernel.
/// * Every input and output is indexed by loops themselves (a projected permutation); a scalar by none.
/// * A gather is `tensor.extract` in the body. Its last index is the innermost loop whenever that loop runs over
/// columns,
///   so that it reads contiguous memory; the other indices are scalars of the row.
/// * Loops over columns are innermost. Reductions over anything else stand before them.
/// * Parallel results start from `tensor.empty`, reductions from `linalg.fill`.
/// * Bodies compute in float32. Elements of bf16 are extended first and results rounded last; a reduction of them has a
///   float32 result, which another op rounds.
/// * What cannot be said with loops (halves, heads) is said by reshaping arguments and results.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_ROWSBUILDER_H
#define PASSES_FUSE_ROWSBUILDER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinTypes.h"
#include "passes/Fuse/ScalarBuilder.h"

namespace mlir::moe {

/// On a linalg.generic until it is outlined: for each result the input whose memory it may take, or -1.
inline constexpr llvm::StringLiteral kInPlaceAttrName = "moe_kernel.in_place";
/// On a linalg.generic until it is outlined: nothing but writes to variables reads its results, and so many of its kind
/// may share a kernel.
inline constexpr llvm::StringLiteral kBatchAttrName = "moe_kernel.batch";
/// On linalg.generic ops until they are outlined: those with the same attribute share a kernel if their rows allow it,
/// also where none reads what another one computes.
inline constexpr llvm::StringLiteral kKernelAttrName = "moe_kernel.kernel";
/// On a reshape of a kernel's result until it is outlined: gives it the shape that the model knows it by.
inline constexpr llvm::StringLiteral kModelShapeAttrName = "moe_kernel.model_shape";

inline ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }
inline int64_t numElements(Value value) { return cast<RankedTensorType>(value.getType()).getNumElements(); }

class RowsBuilder : public ScalarBuilder {
public:
  /// `label` names what is built; it has to outlive the builder.
  RowsBuilder(Location location, OpBuilder &builder, StringRef label)
      : ScalarBuilder(location, builder), label(label) {}

  /// A tensor and, for each of its dimensions, the loop that indexes it.
  struct Input {
    Value tensor;
    SmallVector<unsigned> loops;
  };
  /// Loops that an output lacks are reductions; they start from `init`.
  struct Output {
    Type elementType;
    SmallVector<unsigned> loops;
    double init = 0.0;
  };
  /// Builds the body; its arguments are the elements of the inputs, then those of the outputs so far, as computeType
  /// gives them, and so are its results.
  using Body = function_ref<SmallVector<Value>(ValueRange arguments)>;

  /// A linalg.generic over loops of the extents `extents`.
  linalg::GenericOp generic(ArrayRef<int64_t> extents, ArrayRef<Input> inputs, ArrayRef<Output> outputs, Body body);
  /// One with a single result; if that is a reduction to bf16, two.
  Value compute(ArrayRef<int64_t> extents, ArrayRef<Input> inputs, const Output &output,
                function_ref<Value(ValueRange arguments)> body);

  /// The sum of a vector, in computeType, as a rank-0 tensor: a kernel of one row.
  Value sumVector(Value vector);
  /// `tensor` with another shape of as many elements.
  Value reshape(Value tensor, ArrayRef<int64_t> shape);
  /// What `generic` computed, with the shape that the model knows it by.
  Value toModelShape(Value rows, ArrayRef<int64_t> shape);

  /// Names the ops built from here on.
  void setLabel(StringRef newLabel) { label = newLabel; }

  // Indices and gathers, for bodies.
  Value index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }
  Value loop(unsigned number) { return linalg::IndexOp::create(*this, number); }
  /// Extended as the elements of inputs are.
  Value extract(Value tensor, ValueRange indices);
  Value toIndex(Value integer) { return arith::IndexCastOp::create(*this, getIndexType(), integer); }

private:
  StringRef label;
};

} // namespace mlir::moe

#endif // PASSES_FUSE_ROWSBUILDER_H
