//===- RowsBody.h - The ops of a rows kernel, iteration by iteration -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_ROWSBODY_H
#define PASSES_TARGET_COMMON_ROWSBODY_H

#include "passes/Target/Common/CloneRegion.h"
#include "passes/Target/Common/Lanes.h"
#include "passes/Target/Common/RowsPlan.h"

namespace mlir::moe::target {

/// Emits single iterations of the ops of a plan; a target derives from it and writes the loops around them. Values that
/// live in one place of the nest are kept in scoped maps, from the outside in: memory of tensors, scalars of the row,
/// registers of the iteration.
class RowsBody {
protected:
  RowsBody(ImplicitLocOpBuilder &builder, moe_kernel::KernelOp kernel, RowsPlan &plan)
      : builder(builder), kernel(kernel), plan(plan), entry(builder.getInsertionBlock()) {}
  virtual ~RowsBody() = default;

  /// Where an iteration of a nest is.
  struct Position {
    SmallVector<Value> outer;      ///< One per outer loop.
    SmallVector<Value> reductions; ///< One per reduction inside the vectorised loop.
    Value vector;                  ///< The first lane of the vectorised loop, a multiple of the number of lanes.
  };
  /// Values of an output while it is reduced, or the lanes of one that is not.
  using Values = SmallVector<Value>;

  //===--- Memory ---------------------------------------------------------===//
  /// Binds the kernel's arguments, results and tables. Tables get `tableAlignment` bytes; they are globals beside the
  /// function, constants of the symbol table around it.
  void bindBuffers(ArrayRef<Value> arguments, ArrayRef<Value> results, int64_t tableAlignment);
  Value flatten(Value memory);
  /// Stores the lanes of a result.
  virtual void emitStore(LaneBuilder &lanes, Value memory, LaneValue offset, LaneValue value) {
    lanes.store(memory, offset, value);
  }

  //===--- Iterations -----------------------------------------------------===//
  /// Every op of the nest for one vector of the vectorised loop, which none of them reduces.
  void emitChunk(const PlannedNest &nest, const Position &position, LaneBuilder &lanes);
  /// One op, with its reductions inside the vectorised loop.
  Values emitReductions(const PlannedOp &planned, Position position, LaneBuilder &lanes, Values partial,
                        unsigned depth);
  /// One iteration in all lanes; `outputs` are the values of the output arguments (null if they are not used).
  Values emitBody(const PlannedOp &planned, const Position &position, LaneBuilder &lanes, ValueRange outputs);
  void emitStores(const PlannedOp &planned, const Position &position, LaneBuilder &lanes, ValueRange values);
  /// The values of the outputs before the first iteration, null where they are not read.
  Values emitInits(const PlannedOp &planned, const Position &position, LaneBuilder &lanes);
  /// Of an op that accumulates: what the rows of the chunk before this one add up to, in the result's memory.
  LaneValue emitInit(const PlannedOp &planned, unsigned output, const Position &position, LaneBuilder &lanes);
  /// What a reduction starts from.
  LaneValue emitStart(const PlannedOp &planned, unsigned output, const Position &position, LaneBuilder &lanes) {
    return emitLoad(planned, planned.getOutputs()[output], position, lanes);
  }

  /// Lanes of 32 bits that `nest` computes with, if there are `width` at most; half as many if it has 64-bit types.
  int64_t getWidth(const PlannedNest &nest, int64_t width) const;
  /// One constant for all uses, at the start of the function.
  Value index(int64_t value);
  Value add(Value a, Value b) { return builder.createOrFold<arith::AddIOp>(a, b); }
  Value multiply(Value a, int64_t b) { return builder.createOrFold<arith::MulIOp>(a, index(b)); }
  Value combine(Operation *combiner, Value a, Value b) { return cloneElementwise(builder, combiner, {a, b}); }
  /// `for` from `lower` to `upper`; `body` gets the induction variable and the carried values and returns the next
  /// ones.
  Values emitFor(Value lower, Value upper, int64_t step, ValueRange carried,
                 function_ref<Values(Value iv, ValueRange carried)> body);

  ImplicitLocOpBuilder &builder;
  moe_kernel::KernelOp kernel;
  RowsPlan &plan;
  Value row;                            ///< The row being computed.
  DenseMap<Value, Value> memory;        ///< One-dimensional memrefs of tensors.
  DenseSet<Value> rowMemory;            ///< Tensors of whose memory there is one row only.
  DenseMap<Value, Value> rowScalars;    ///< Results with one value a row.
  DenseMap<Value, LaneValue> registers; ///< Results of the iteration that is being emitted.

private:
  Value getConstant(DenseElementsAttr value, int64_t alignment);
  LaneValue emitLoad(const PlannedOp &planned, const OperandAccess &access, const Position &position,
                     LaneBuilder &lanes);
  LaneValue emitExtract(tensor::ExtractOp extract, ArrayRef<LaneValue> indices, LaneBuilder &lanes);
  LaneValue emitIndex(const PlannedOp &planned, unsigned dim, const Position &position, LaneBuilder &lanes);
  LaneValue getOffset(const PlannedOp &planned, const OperandAccess &access, Value root, const Position &position,
                      LaneBuilder &lanes);

  Block *entry;
  DenseMap<int64_t, Value> indices; ///< Constants.
};

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_ROWSBODY_H
