//===- Lanes.h - Values of all lanes of a vectorised loop -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The body of a vectorised loop is evaluated for `width` consecutive iterations at once. Most of what it computes is
/// known better than "a vector": the same in all lanes (a row's scale), or an index that counts up (the column).
/// Keeping these apart makes loads contiguous where the text of the kernel says `tensor.extract`, and keeps scalars
/// scalar:
///
/// ```mlir
/// %column = linalg.index 2 ... // linear: the loop's induction variable, step 1
/// %next = arith.addi %column, %c16 // linear
/// %wrapped = arith.remui %next, %c32 // linear: 16 aligned lanes lie on one side of a multiple of 32
/// %x = tensor.extract %t[%row, %wrapped] // one vector load
/// ```
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_LANES_H
#define PASSES_TARGET_COMMON_LANES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/Alignment.h"

namespace mlir::moe::target {

/// What the lanes hold: a vector, or a scalar `value` of lane 0 to which lane i adds i · step.
struct LaneValue {
  Value value;
  int64_t step = 0;
  int64_t divisor = 1; ///< A number known to divide `value` (integers and indices only).

  bool isVector() const { return isa<VectorType>(value.getType()); }
  bool isUniform() const { return !isVector() && step == 0; }
  bool isLinear() const { return !isVector() && step != 0; }
};

/// How a machine reads and writes vectors.
struct LaneMemory {
  int64_t alignment = 0;  ///< Bytes that the address of every tensor is a multiple of; 0 if vectors may lie anywhere.
  bool hasGathers = true; ///< Whether elements at unrelated places are one operation; else they are loaded one by one.
};

/// Builds code for `width` lanes (a power of two), of which only the first `active` may touch memory.
class LaneBuilder {
public:
  LaneBuilder(ImplicitLocOpBuilder &builder, int64_t width, int64_t active, LaneMemory traits = {})
      : builder(builder), width(width), active(active), traits(traits) {}

  int64_t getWidth() const { return width; }
  bool isMasked() const { return active < width; }
  /// The active lanes as a vector of i1.
  Value getMask();

  /// `value`, `value` + step, ...: uniform if there is one lane.
  LaneValue linear(Value value, int64_t step, int64_t divisor) const;
  LaneValue add(LaneValue a, LaneValue b);
  LaneValue scale(LaneValue a, int64_t factor);
  /// The scalar op `op` (arith, math) in every lane.
  LaneValue apply(Operation *op, ArrayRef<LaneValue> operands);
  /// A value of the type that all lanes together have: a scalar if there is one lane, else a vector.
  Value materialize(LaneValue value);

  /// Elements of the one-dimensional memref `memory` at `offset` (index).
  LaneValue load(Value memory, LaneValue offset);
  void store(Value memory, LaneValue offset, LaneValue value);

private:
  /// The result of `op` as a uniform or linear value, or nothing if it is neither.
  std::optional<LaneValue> applyLinear(Operation *op, ArrayRef<LaneValue> operands);
  Value applyScalar(Operation *op, ArrayRef<LaneValue> operands);
  VectorType vectorOf(Type element) const { return VectorType::get({width}, element); }

  /// What the address of a vector at `offset` is known to be a multiple of.
  llvm::MaybeAlign getAlignment(Type element, const LaneValue &offset) const;
  /// The place of lane `lane`.
  Value getLane(const LaneValue &offset, int64_t lane);

  ImplicitLocOpBuilder &builder;
  int64_t width, active;
  LaneMemory traits;
};

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_LANES_H
