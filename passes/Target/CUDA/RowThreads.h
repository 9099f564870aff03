//===- RowThreads.h - The threads that share a row --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_ROWTHREADS_H
#define PASSES_TARGET_CUDA_ROWTHREADS_H

#include "passes/Target/CUDA/Emitter.h"
#include "passes/Target/CUDA/RowsShape.h"

namespace mlir::moe::cuda {

/// Writes code for the threads that have one row between them: part of a warp, a warp, or several, which may be all of
/// the block.
class RowThreads {
public:
  /// `mayDiverge`: other rows of the same block may not be there.
  RowThreads(EmitterContext &context, const RowsShape &shape, bool mayDiverge);

  int64_t size() const { return count; }
  Value getThread() const { return thread; } ///< Of this row: 0 to size() − 1.
  Value getSlot() const { return slot; }     ///< The row of the block.
  Value isFirst();

  /// What a thread of the row wrote before, all of them read after.
  void synchronize();
  /// Combines one scalar of every thread in a fixed tree. All of them get the same bits.
  Value reduce(Value value, function_ref<Value(Value, Value)> combine);

private:
  static constexpr int64_t kWarpSize = Capabilities::kWarpSize;

  Value integer(int64_t value) { return arith::ConstantIntOp::create(builder, builder.getI32Type(), value); }
  Value getMask();
  /// The value of the thread whose number differs in the bit `distance`.
  Value shuffle(Value value, int64_t distance);
  void meet();
  Value reduceInWarp(Value value, int64_t lanes, function_ref<Value(Value, Value)> combine);
  Value reduceAcrossWarps(Value value, function_ref<Value(Value, Value)> combine);

  EmitterContext &context;
  ImplicitLocOpBuilder &builder;
  int64_t count, slots;
  bool mayDiverge;
  Value blockThread, thread, slot;
  DenseMap<Type, Value> warpValues; ///< Shared memory for one value of every warp of the block.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_ROWTHREADS_H
