//===- AttentionBuilder.h - Heads of bf16 on warpgroup matmuls --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the attention kernels for sm_90a share. A block is a producer warpgroup, which copies rows of heads to shared
/// memory, and two consumers, each with 64 of the block's 128 rows in its registers (arXiv:2407.08608, sections 3.1
/// and 3.2):
///
/// ```
/// producer: for step: wait until its slot of the ring is empty; copy to it
/// consumer: for step: wait until the slot is full; multiply; say that it is empty
/// ```
///
/// Tensors are [tokens, heads·headDim]; a head of a sequence is seen as a matrix of `queries` rows, and what lies
/// beyond its rows or columns is read as zero and not written. So any length of sequences, and heads of any multiple of
/// 16 elements up to 128, need no code of their own.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_ATTENTIONBUILDER_H
#define PASSES_TARGET_CUDA_HOPPER_ATTENTIONBUILDER_H

#include "passes/Target/CUDA/AttentionTile.h"
#include "passes/Target/CUDA/Hopper/HopperBuilder.h"

namespace mlir::moe::cuda {

inline constexpr int64_t kConsumers = 2;                           ///< Warpgroups 1 and 2 of a block.
inline constexpr int64_t kBlockRows = kConsumers * kWarpgroupRows; ///< 128: queries or keys of a block.
inline constexpr int64_t kAttentionThreads = (kConsumers + 1) * kWarpgroupSize;
inline constexpr int64_t kProducerRegisters = 24, kConsumerRegisters = 240; ///< 65536 in all.

/// Rows of one head: where they start in its sequence. All are i32.
struct HeadRows {
  Expr sequence, head, row;
};

/// Slots of shared memory that are filled and emptied in turn.
struct Ring {
  int64_t slots = 0; ///< A power of two.
  int64_t bytes = 0; ///< Of a slot.
  Expr memory;       ///< Address of the first slot.
  Expr full, empty;  ///< A barrier for each slot.
  /// Of a barrier's phase. What TMA and wgmma write and read needs one thread of the producer and of each consumer; what
  /// threads write and read themselves, every one of these.
  int64_t fullArrivals = 1, emptyArrivals = kConsumers;

  Expr slot(Expr step) const { return step % slots; }
  /// How often the slot was used before, modulo 2: what to wait for at `full`, and its opposite at `empty`.
  Expr parity(Expr step) const { return step / slots % 2; }
  Expr address(Expr step) const { return memory + slot(step) * bytes; }
  Expr fullBarrier(Expr step) const { return full + slot(step) * 8; }
  Expr emptyBarrier(Expr step) const { return empty + slot(step) * 8; }
};

class AttentionBuilder : public HopperBuilder {
public:
  AttentionBuilder(EmitterContext &context, const AttentionShape &shape, int64_t sequences);
  template <typename OpT>
  AttentionBuilder(EmitterContext &context, OpT op)
      : AttentionBuilder(context, getShape(op), op.getQuery().getType().getDimSize(0) / op.getSequenceLength()) {}

  const AttentionShape shape;
  const int64_t sequences;
  /// 2^(scoreScale · q·k) is what the softmax sums.
  const double scoreScale;

  //===--- Threads of a consumer ------------------------------------------===//
  const Expr consumer;       ///< 0 or 1.
  const Expr fragmentRow;    ///< The first of the thread's two rows of accumulators; the other is 8 below.
  const Expr fragmentColumn; ///< The first of the thread's columns: this and the next of every 8.
  /// The row (0: first, 1: second) and column of accumulator `i`, of those that the thread has.
  static int64_t getHalf(int64_t i) { return i / 2 % 2; }
  static int64_t getColumn(int64_t i) { return i / 4 * 8 + i % 2; }

  //===--- Rows of heads --------------------------------------------------===//
  /// Bytes of `rows` vectors of a head in shared memory: blocks of 64 columns, one after the other.
  int64_t getBytes(int64_t rows) const { return rows * getColumnBlocks() * kSwizzleBytes; }
  /// A tensor of `heads` heads, to be copied `rows` rows at a time.
  Value headMap(Value tensor, int64_t heads, int64_t rows);
  /// Copies `rows` rows to `address`; `barrier` expects getBytes(rows).
  void loadRows(Value map, const HeadRows &from, int64_t rows, Expr address, Expr barrier);
  /// Rounds a consumer's 64 rows of accumulators, times `factors` (of the thread's two rows), to bf16 and writes them
  /// through shared memory that only this consumer still uses: its part, at `address`, of a tile of `tileRows` rows.
  void storeRows(Value accumulators, ArrayRef<Expr> factors, Value map, const HeadRows &to, Expr address,
                 int64_t tileRows);

  //===--- Rings ----------------------------------------------------------===//
  Ring allocateRing(int64_t slots, int64_t bytes);
  Ring allocateRing(int64_t slots, int64_t bytes, Expr memory);
  /// In one thread.
  void initRing(const Ring &ring);
  void waitFull(const Ring &ring, Expr step) { wait(ring.fullBarrier(step), ring.parity(step)); }
  void waitEmpty(const Ring &ring, Expr step) { wait(ring.emptyBarrier(step), 1 - ring.parity(step)); }
  /// Waits for the slot of `step` and copies `rows` rows to it.
  void fill(const Ring &ring, Expr step, Value map, const HeadRows &from, int64_t rows);
  /// By all threads of a consumer.
  void release(const Ring &ring, Expr step);

  //===--- Matmuls of a consumer ------------------------------------------===//
  /// Starts lhs · rhsᵀ: 64 rows at `lhs`, in a tile of `lhsRows`, and all `rhsRows` at `rhs`. One group.
  Value multiplyRows(Expr lhs, int64_t lhsRows, Expr rhs, int64_t rhsRows);
  /// Starts sums + weights · rows: 64 × depth weights as packWeights gives them, `depth` rows at `rhs`. One group.
  Value addWeightedRows(Value sums, ArrayRef<Expr> weights, Expr rhs, int64_t depth);
  /// Accumulators rounded to bf16, as the left operand of a matmul.
  SmallVector<Expr> packWeights(ArrayRef<Expr> values);
  Value noSums() { return zeroAccumulators(shape.headDim); }

  /// `values`, changed by `change` if `condition` holds, which is the same in a whole warpgroup.
  SmallVector<Expr> changeIf(Expr condition, ArrayRef<Expr> values,
                             function_ref<SmallVector<Expr>(ArrayRef<Expr>)> change);

  //===--- Elements -------------------------------------------------------===//
  /// The row of the tensors that is row `row` of `sequence`.
  Expr token(Expr sequence, Expr row) { return (sequence * shape.queries + row).toIndex(); }
  /// The first key that query `row` sees (i32, in its sequence): the first of its document.
  Expr firstKey(Value positions, Expr sequence, Expr row);
  /// The larger of floats, or the one that is not NaN, in one instruction.
  Expr larger(Expr lhs, Expr rhs);

  /// `values`, computed while matmuls run and not after the wait for these that follows: ptxas puts waits as early as
  /// it can, but not before a branch. The wait for the slot of `step`, which is full already and not yet released, is
  /// one.
  SmallVector<Expr> computeBefore(ArrayRef<Expr> values, const Ring &ring, Expr step);
  /// Null if there is no such operand.
  Value optionalOperand(Value tensor) { return tensor ? operand(tensor) : Value(); }

private:
  template <typename OpT> static AttentionShape getShape(OpT op) {
    int64_t heads = op.getNumHeads(), length = op.getSequenceLength();
    return {heads, int64_t(op.getNumKvHeads()), op.getQuery().getType().getDimSize(1) / heads, length, length};
  }
  int64_t getColumnBlocks() const;
};

/// The largest divisor of `heads` up to `most`: heads whose blocks run at the same time, so that what these share stays
/// in the L2 cache.
int64_t chooseHeadsTogether(int64_t heads, int64_t most);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_ATTENTIONBUILDER_H
