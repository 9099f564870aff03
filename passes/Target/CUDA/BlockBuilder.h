//===- BlockBuilder.h - What emitters of structured ops write with -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The code of one block of threads: who a thread is, shared memory, barriers, and exchanges within a warp and a block.
/// Warps are 32 consecutive threads; blocks and threads are numbered along x only.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_BLOCKBUILDER_H
#define PASSES_TARGET_CUDA_BLOCKBUILDER_H

#include "passes/Target/CUDA/Emitter.h"
#include "passes/Target/Common/CodeBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe::cuda {

using target::Expr;
using target::MatrixView;

inline constexpr int64_t kWarpSize = 32;

class BlockBuilder : public target::CodeBuilder {
public:
  explicit BlockBuilder(EmitterContext &context);

  const int64_t threads, warps; ///< Of a block.
  const Expr block;             ///< Number of the block.
  const Expr thread;            ///< Number of the thread in its block.
  const Expr lane, warp;        ///< Of the thread: its number in its warp, and the warp's number in the block.

  //===--- Memory ---------------------------------------------------------===//
  /// An operand of the structured op (an argument of the kernel) or a result (one of the kernel's) as flat memory.
  Value operand(Value tensor) { return flatten(context.lookup(tensor)); }
  Value result(Value tensor) { return flatten(context.results[tensor.getUses().begin()->getOperandNumber()]); }
  /// `count` elements of shared memory, of float32 if no type is given.
  Value allocateShared(int64_t count, Type type = {});
  MatrixView allocateShared(int64_t rows, int64_t columns, int64_t rowStride);

  /// memory[offset] if `valid`, else zero; what is outside is not touched. A null `valid` means true.
  Expr loadOrZero(Value memory, Expr offset, Expr valid);
  /// memory[offset] as the second-level cache has it: what other multiprocessors wrote before is seen.
  Expr loadCoherent(Value memory, Expr offset);
  /// The same for consecutive elements from a multiple of their number on, as one integer `type` of up to 64 bits.
  Value loadCoherent(Value memory, Expr offset, Type type);
  /// `width` (a power of two up to 4) consecutive elements; `offset` is a multiple of it.
  SmallVector<Expr> loadVector(Value memory, Expr offset, int64_t width);
  /// Adds `value` to the integer memory[offset] atomically: the sum does not depend on the order.
  void atomicAdd(Expr value, Value memory, Expr offset);

  //===--- Threads --------------------------------------------------------===//
  /// All threads of the block see each other's writes before it after it.
  void barrier();
  /// The same for the lanes of a warp.
  void warpBarrier();
  /// Runs `body` for i in [0, count), spread over the threads of the block.
  void forThreads(Expr count, function_ref<void(Expr)> body) { loop(thread, count, threads, body); }
  void forThreads(int64_t count, function_ref<void(Expr)> body) { forThreads(index(count), body); }

  /// The value of lane `source`, and of the lane whose number differs in the bits of `distance`.
  Expr shuffle(Expr value, Expr source);
  Expr shuffleXor(Expr value, int64_t distance);
  /// The lanes where `condition` holds, as bits of an i32; all lanes ask.
  Expr ballot(Expr condition);
  /// The lanes whose i32 `value` is that of this lane.
  Expr matchAny(Expr value);
  /// The bits of an i32 that are set, their number below this lane, and the lowest of them.
  Expr countBits(Expr bits);
  Expr lanesBelow(Expr bits);
  Expr lowestBit(Expr bits);

  /// Combines the values of groups of `lanes` lanes (a power of two) in a fixed tree; every lane has its group's total.
  using Combine = function_ref<Expr(Expr, Expr)>;
  Expr reduceLanes(Expr value, int64_t lanes, Combine combine);
  Expr sumLanes(Expr value, int64_t lanes = kWarpSize);
  Expr maxLanes(Expr value, int64_t lanes = kWarpSize);
  /// Of i32 as unsigned numbers, over the lanes of a warp; one instruction.
  Expr maxUnsigned(Expr value);
  Expr minUnsigned(Expr value);
  /// Sums over the block in a fixed tree; every thread has the total. `scratch` is shared memory of `warps` elements.
  Expr sumBlock(Expr value, Value scratch);
  Expr maxBlock(Expr value, Value scratch);
  /// The sum of the i32 `value` over this lane and those below.
  Expr scanLanes(Expr value);

  //===--- Control flow ---------------------------------------------------===//
  /// Carries `initial` while `condition` holds.
  SmallVector<Expr> loopWhile(ArrayRef<Expr> initial, function_ref<Expr(ArrayRef<Expr>)> condition,
                              function_ref<SmallVector<Expr>(ArrayRef<Expr>)> body);
  /// What `then` gives if `condition` is null or holds.
  Expr valueIf(Expr condition, Expr otherwise, function_ref<Expr()> then);
  /// If `condition` is null or known to hold, `then` alone.
  void ifThen(Expr condition, function_ref<void()> then);

protected:
  EmitterContext &context;

private:
  Expr reduceBlock(Expr value, Value scratch, Combine combine);
};

/// Both conditions; a null one holds.
Expr both(Expr lhs, Expr rhs);
/// begin ≤ number < end; a null `begin` is below every number.
Expr isWithin(Expr number, Expr begin, Expr end);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_BLOCKBUILDER_H
