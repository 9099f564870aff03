//===- RowsPlan.h - How the loops of a rows kernel run ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A rows kernel is a list of linalg.generic ops. Its plan says what a work item is and in which loops each op runs.
///
/// * `rows`: the first loops of all ops are parallel and have the same extent, and what one op writes in a row the next
///   ones read in the same row. A work item is a block of rows; within a row one loop nest follows the other. If the
///   ops share no rows there is one item, a single "row" that holds everything.
///   Ops marked `moe_kernel.accumulates` add up the rows of a chunk, in the same loops. A work item is then whole
///   chunks, and whoever has a chunk adds its rows up in order.
/// * `columns`: all ops have the same last parallel loop (the elements of flat tensors, or the columns of a reduction
/// over
///   rows). A work item is a block of columns, and what one op computes for a vector of columns stays in registers.
///
/// Tensors are contiguous, so a plan sees them as flat: an operand's element lies at Σ stride · loop, and reshapes of
/// tensors are nothing at all.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_ROWSPLAN_H
#define PASSES_TARGET_COMMON_ROWSPLAN_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::moe::target {

/// A loop over one or several neighbouring dimensions of a linalg.generic that are contiguous in every operand.
struct PlannedLoop {
  SmallVector<unsigned> dims;
  int64_t extent = 1;
};

/// An operand of a linalg.generic: the tensor whose memory it is, seen through reshapes, and the distance of elements
/// that neighbouring iterations of each dimension touch.
struct OperandAccess {
  Value root;
  SmallVector<int64_t> strides;

  int64_t getStride(const PlannedLoop &loop) const { return loop.dims.empty() ? 0 : strides[loop.dims.back()]; }
};

/// One linalg.generic.
struct PlannedOp {
  mutable linalg::GenericOp op; ///< Mutable because the accessors of ops are not const.
  SmallVector<int64_t> extents;
  SmallVector<OperandAccess> accesses; ///< Of the inputs, then of the outputs.

  PlannedLoop row;                     ///< Empty in a plan by columns, and if there is one row.
  SmallVector<PlannedLoop> outer;      ///< Parallel loops.
  SmallVector<PlannedLoop> reductions; ///< Reductions inside the vectorised loop (outside if that is one itself).
  PlannedLoop vector;                  ///< The vectorised loop; extent 1 if nothing is left to vectorise.
  bool reducesVector = false;
  bool accumulates = false; ///< Whether it reduces the rows of a chunk: the inner ones of `row.dims`.

  ArrayRef<OperandAccess> getInputs() const { return ArrayRef(accesses).take_front(op.getNumDpsInputs()); }
  ArrayRef<OperandAccess> getOutputs() const { return ArrayRef(accesses).drop_front(op.getNumDpsInputs()); }
  bool isReduction() const { return reducesVector || !reductions.empty(); }
  /// The only op that combines a partial result with another for output `index`, or null.
  Operation *getCombiner(unsigned index) const;
};

/// Ops that share their loops: outer ones and the vectorised one.
struct PlannedNest {
  SmallVector<PlannedOp *> ops;

  ArrayRef<PlannedLoop> getOuter() const { return ops.front()->outer; }
  int64_t getVectorExtent() const { return ops.front()->vector.extent; }
  bool reducesVector() const {
    return llvm::any_of(ops, [](const PlannedOp *op) { return op->reducesVector; });
  }
};

struct RowsPlan {
  enum class Kind { rows, columns };
  Kind kind = Kind::rows;
  int64_t extent = 1; ///< Rows, or columns, of a launch.
  int64_t chunk = 1;  ///< Rows that ops which accumulate add up.
  int64_t work = 0;   ///< Scalar operations and accesses for one of them, weighted by what they cost.
  int64_t flops = 0;  ///< Floating-point operations of a launch.
  SmallVector<std::unique_ptr<PlannedOp>> ops;
  SmallVector<PlannedNest> nests;
  /// Results of ops that are kept in scratch memory: the part of a row.
  SmallVector<Value> scratch;

  /// Elements of `root` that belong to one row (all if there is one row).
  int64_t getRowSize(Value root) const;
};

/// The tensor whose memory `tensor` is: looks through reshapes.
Value getRoot(Value tensor);

/// Rows beyond which a CPU needs no more of them to keep its cores busy.
inline constexpr int64_t kEnoughRows = 64;

/// Plans the kernel for vectors of `vectorWidth` float32 lanes. It is cut into rows by as few leading dimensions as
/// give `enoughRows` of them. Emits an error if its ops are not of the supported form.
FailureOr<RowsPlan> planRows(moe_kernel::KernelOp kernel, int64_t vectorWidth, int64_t enoughRows = kEnoughRows);

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_ROWSPLAN_H
