//===- HopperBuilder.h - What emitters for sm_90a write with ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The tensor memory accelerator, transaction barriers and warpgroup matmuls (PTX ISA, sections "Asynchronous data
/// movement", "mbarrier" and "Asynchronous warpgroup level matrix instructions").
///
/// Shared memory is addressed by 32-bit numbers, its window's addresses, rather than by memrefs: matrix descriptors,
/// barriers and bulk copies all take them. A warpgroup is four consecutive warps.
///
/// A wgmma works behind the program's back: its accumulators may be read only after `waitForMatmuls`, and operands in
/// shared memory overwritten only after that. ptxas serialises all of them if it cannot see that this holds; that is
/// why the fences and waits here take and give back the accumulators they guard, which costs no instruction.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_HOPPERBUILDER_H
#define PASSES_TARGET_CUDA_HOPPER_HOPPERBUILDER_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

inline constexpr int64_t kWarpgroupSize = 128;
inline constexpr int64_t kWarpgroupRows = 64; ///< M of every wgmma.
inline constexpr int64_t kMatmulDepth = 16;   ///< K of a wgmma on bf16.
inline constexpr int64_t kSwizzleBytes = 128; ///< A row of a swizzled tile: 64 elements of bf16.

/// Which dimension of an operand of a matmul is contiguous in memory.
enum class Major {
  contraction, ///< [M or N, K]: "K-major".
  outer,       ///< [K, M or N]: "MN-major".
};

/// A tile in shared memory with the 128-byte swizzle, as TMA writes it and wgmma reads it.
///
/// `contraction`: one row per outer index, 64 contraction elements of 128 bytes; a tile deeper than 64 is one such
/// block after the other. `outer`: chunks of 64 outer elements, one chunk after the other, each with a row of 128 bytes
/// per contraction index.
struct OperandTile {
  Major major = Major::contraction;
  int64_t outer = 0; ///< Rows of A or columns of B.
  int64_t depth = 0; ///< Contraction elements.

  int64_t getBytes() const { return 2 * outer * depth; }
  /// The descriptor's constant bits: swizzle mode, strides (PTX ISA, "Matrix descriptor").
  uint64_t getDescriptorBits() const;
  /// What step `step` of 16 contraction elements adds to the descriptor, in its units of 16 bytes.
  int64_t getStepOffset(int64_t step) const;
  /// The same for the first row `row` (a multiple of 64) that a warpgroup reads.
  int64_t getRowOffset(int64_t row) const;
};

class HopperBuilder : public BlockBuilder {
public:
  explicit HopperBuilder(EmitterContext &context);

  const Expr warpgroup; ///< Number of the thread's warpgroup in its block, known to be the same in a whole warp.
  const Expr threadInGroup;

  //===--- Shared memory --------------------------------------------------===//
  /// The address of `bytes` of shared memory; tiles with a swizzle start at a multiple of 1024.
  Expr allocateBytes(int64_t bytes, int64_t alignment = kSharedAlignment);
  Value pointer(Expr address); ///< As !llvm.ptr<3>.
  /// `address`, of which the optimiser knows nothing: what is derived from it is computed where it is needed instead of
  /// being kept in registers across a loop.
  Expr opaque(Expr address);
  /// A 32-bit word, and several of them.
  void storeWord(Expr value, Expr address);
  void storeVector(ArrayRef<Expr> words, Expr address);
  Expr loadReal(Expr address);
  Expr loadInteger(Expr address);
  /// 16 bytes from shared memory to `destination`, a pointer in address space 1.
  void moveVectorToGlobal(Expr address, Value destination);
  /// `count` (a power of two up to 4) consecutive words of `type`; `address` is a multiple of their size.
  SmallVector<Expr> loadWords(Expr address, int64_t count, Type type);

  //===--- Barriers -------------------------------------------------------===//
  /// Transaction barriers, 8 bytes each: barrier i is at the address + 8·i.
  Expr allocateBarriers(int64_t count) { return allocateBytes(8 * count, 8); }
  void initBarrier(Expr barrier, int64_t arrivals);
  /// After all are initialised: makes them visible to the block and to TMA, and waits for all threads.
  void publishBarriers();
  void arrive(Expr barrier);
  /// Arrives, and expects that `bytes` will be copied.
  void arriveExpecting(Expr barrier, Expr bytes);
  /// Until the phase of `parity` (i32, 0 or 1) is complete.
  void wait(Expr barrier, Expr parity);
  /// Waits for `threads` threads at the named barrier `id` (1 to 15); `arriveNamed` does not wait.
  void syncNamed(int64_t id, int64_t threads);
  void syncNamed(Expr id, int64_t threads);
  void arriveNamed(Expr id, int64_t threads);
  /// What this thread wrote to shared memory can be read by TMA and wgmma.
  void fenceAsyncProxy();
  /// Holds in one thread of the warp.
  Expr elect();
  /// The registers of each thread of this warpgroup (a multiple of 8) from here on.
  void setRegisters(int64_t count, bool increase);

  //===--- Bulk copies ----------------------------------------------------===//
  /// By one thread. Copies the box at `coordinates` (i32, innermost first; elements outside are zeros) to shared memory,
  /// completing its bytes on `barrier`. `map` is a kernel parameter from EmitterContext::tensorMap.
  void copyBoxToShared(Value map, ArrayRef<Expr> coordinates, Expr address, Expr barrier);
  /// The way back; elements outside are not written. Part of the bulk group that `commitCopies` closes.
  void copyBoxToGlobal(Value map, ArrayRef<Expr> coordinates, Expr address);
  /// `bytes` (a multiple of 16) of global memory from `source`, a pointer in address space 1.
  void copyBytesToShared(Value source, int64_t bytes, Expr address, Expr barrier);
  void commitCopies();
  /// Until at most `pending` groups of this thread have not yet read their shared memory.
  void waitForCopiesToRead(int64_t pending);
  void waitForCopies(int64_t pending);
  /// 16 bytes from a pointer in address space 1, and an arrival on `barrier` when all of this thread's are there. Copies
  /// zeros where `valid` does not hold; null: always valid.
  void copyAsync(Value source, Expr address, Expr valid = {});
  void arriveAfterCopies(Expr barrier);
  /// The address of element `offset` of flat global memory, in address space 1.
  Value globalPointer(Value memory, Expr offset);
  /// The same, and `bytes` (i32, unsigned) further: what threads differ in is 32 bits, beside an address that they share.
  Value globalPointer(Value memory, Expr offset, Expr bytes);

  //===--- Warpgroup matmuls ----------------------------------------------===//
  /// Accumulators of 64 × n in a warpgroup, a struct of n/2 floats: thread t holds, of rows 16·(t/32) + (t%32)/4 and
  /// that + 8, columns 8·j + 2·(t%4) and the next: elements 4·j, 4·j + 1 (first row), 4·j + 2, 4·j + 3 (second row).
  Type getAccumulatorType(int64_t n);
  Value undefinedAccumulators(int64_t n);
  Value zeroAccumulators(int64_t n);
  SmallVector<Expr> unpack(Value accumulators);
  Value pack(ArrayRef<Expr> values);

  /// The descriptor of a tile at `address`.
  Expr descriptor(const OperandTile &tile, Expr address);

  /// Before the first matmul of a sequence, and after registers that it uses were written by other instructions.
  void fenceMatmuls();
  /// The values, computed here: the optimiser moves none of it below.
  Value pin(Value accumulators);
  Value fenceMatmuls(Value accumulators);
  SmallVector<Value> fenceMatmuls(ArrayRef<Value> accumulators);
  /// accumulators + A·B, 16 deep, of bf16; without `accumulate`, A·B alone.
  Value matmul(Value accumulators, Expr lhs, Major lhsMajor, Expr rhs, Major rhsMajor, bool accumulate = true);
  /// The same with A in registers: four words of two bf16 each per thread, laid out like 16 columns of accumulators.
  Value matmul(Value accumulators, ArrayRef<Expr> lhs, Expr rhs, Major rhsMajor);
  void commitMatmuls();
  /// Until at most `pending` committed groups run; the accumulators given are then complete.
  void waitForMatmuls(int64_t pending);
  SmallVector<Value> waitForMatmuls(int64_t pending, ArrayRef<Value> accumulators);

  //===--- Elements -------------------------------------------------------===//
  /// Two floats rounded to bf16 in a word, `low` in its low half.
  Expr packHalves(Expr low, Expr high);
  /// Stores four 8 × 8 matrices of bf16 whose rows start at the addresses of lanes 0–7, 8–15, 16–23, 24–31.
  void storeMatrices(ArrayRef<Expr> words, Expr address, bool transpose = false);
  /// The same four words, loaded.
  SmallVector<Expr> loadMatrices(Expr address);
  /// 2^x and log2(x) to about 2^-22, by the special function unit; denormals are zero.
  Expr exp2Fast(Expr x);
  Expr log2Fast(Expr x);
  /// 1 / x to about 2^-23; 0 for what is larger than 2^126.
  Expr reciprocalFast(Expr x);

private:
  Expr sharedBase;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_HOPPERBUILDER_H
