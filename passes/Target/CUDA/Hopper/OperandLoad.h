//===- OperandLoad.h - Operands of a matmul to shared memory -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One operand of a matmul and its tiles in the pipeline's stages. TMA brings boxes, one thread asks for them; rows
/// that are gathered by an index come through cp.async from all threads of the producer. What lies outside
/// of the tensor is zero in either case.
///
/// | major | tensor | boxes |
/// |---|---|---|
/// | contraction | rows of K elements, of all experts | 64 × all outer elements of a part of a half; of experts' rows that consumers share, 64 × 64 |
/// | outer | matrices of K rows | chunks of 64 × 64; all of a part of a half at once if 64 divides its columns |
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_OPERANDLOAD_H
#define PASSES_TARGET_CUDA_HOPPER_OPERANDLOAD_H

#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

namespace mlir::moe::cuda {

class OperandLoad {
public:
  enum Side { lhs, rhs };
  /// Takes `stages` tiles of `extent` outer elements from shared memory.
  OperandLoad(HopperBuilder &b, EmitterContext &context, moe_kernel::MatmulOp op, const WarpgroupShape &shape,
              Side side, int64_t extent, int64_t stages);

  const OperandTile tile;
  bool isGathered() const { return static_cast<bool>(rowIndex); }
  Expr getAddress(Expr stage) { return base + stage * tile.getBytes(); }

  /// Where the tile's elements lie, i32.
  struct Place {
    Expr outer;   ///< First outer element: a row of the whole lhs, a column of one expert's rhs.
    Expr expert;  ///< Of a rhs with a matrix per expert.
    Expr lastRow; ///< The last row of the row index that may be read, where rows are gathered.
    Expr hasSharedRows; ///< Whether those that consumers share are copied by boxes too. Null: with all others.
  };

  /// By one thread: the elements from contraction index `k` on.
  void copyBoxes(const Place &place, Expr k, Expr stage, Expr barrier);

  /// By the threads of the producer: where the rows of the tokens that this thread copies begin, in pieces of 16 bytes.
  /// Those of a contraction-major operand are the same for all stages of a tile; `k` is its first row for the other one.
  SmallVector<Expr> getGatheredRows(const Place &place, Expr k);
  void gather(const Place &place, ArrayRef<Expr> gatheredRows, Expr k, Expr stage);

private:
  void describeBoxes(EmitterContext &context, Value tensor, bool hasExperts);
  int64_t getPiecesPerRow() const;

  HopperBuilder &b;
  int64_t parts, halves, boxExtent;  ///< Outer elements of a tile come in `parts` of `halves` boxes.
  int64_t outerTotal, depthTotal;    ///< Of the tensor; outerTotal of one expert.
  int64_t halfDistance = 0;                           ///< From an outer element to that of the other half.
  bool inChunks = false, hasMatrices = false;
  Value map, memory, rowIndex;
  int64_t rowDivisor, gatheringThreads, tensorBytes = 0;
  Expr base;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_OPERANDLOAD_H
