//===- WarpStream.h - Weights that pass through a warp's registers -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the threads of a block copy and multiply where reading the weights is all the work. 16 columns of the weights are
/// the rows of `mma.sync`, and 8 rows of tokens its columns. Each warp contracts its own part of every stage.
///
/// The order in which a contraction is summed up is free. A lane copies 8 consecutive elements, 16 bytes, of its column
/// of weights and of its row of tokens. Two products take them, four elements each, as if they were elements 2·t, 2·t + 1,
/// 2·t + 8 and 2·t + 9 of the 16 that lane t of four contributes to: both operands agree on it, and nothing is moved
/// between lanes:
///
/// ```
/// weights  column g:      | lane t = 0: 8 elements | 1 | 2 | 3 |       lanes 4·g + t; and column g + 8
/// tokens   row g:         | lane t = 0: 8 elements | 1 | 2 | 3 |
/// ```
///
/// Chunks pass through shared memory only because `cp.async` needs no registers while it waits: each thread reads what
/// it has copied itself, so that no thread waits for another.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_AMPERE_WARPSTREAM_H
#define PASSES_TARGET_CUDA_AMPERE_WARPSTREAM_H

#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/MatmulSchedule.h"

namespace mlir::moe::cuda::ampere {

inline constexpr int64_t kLanesTogether = 4;                       ///< That have one column, or row, of a fragment.
inline constexpr int64_t kPieceDepth = kLanesTogether * kChunk;    ///< What they copy of it at a time.
inline constexpr int64_t kStrip = 16, kGroup = 8;                  ///< Columns of weights and rows of tokens of a product.

/// How the tile of a block is made up.
struct StreamShape {
  /// `contractions` of `depth`, one after the other.
  StreamShape(moe_kernel::CUDAConfigAttr config, int64_t depth, int64_t contractions = 1)
      : warps(config.getThreads() / kWarpSize), strips(config.getTileN() / kStrip), groups(config.getTileM() / kGroup),
        stageDepth(config.getTileK()), warpDepth(stageDepth / warps), pieces(warpDepth / kPieceDepth),
        steps(contractions * llvm::divideCeil(depth, stageDepth)), ahead(std::min(config.getStages() - 1, steps)),
        buffers(ahead == steps ? steps : ahead + 1) {}

  int64_t warps, strips, groups;
  int64_t stageDepth, warpDepth, pieces; ///< Contraction elements of a stage, of them a warp's; its pieces.
  int64_t steps, ahead, buffers;         ///< Stages in all; those copied before the first one is used; their buffers.

  int64_t chunksPerPiece() const { return 2 * strips + groups; }
  int64_t chunksPerStage() const { return pieces * chunksPerPiece(); }
  int64_t accumulators() const { return strips * groups * 4; }
};

/// What a thread copies and multiplies.
class WarpStream {
public:
  WarpStream(BlockBuilder &b, const StreamShape &shape, int64_t depth)
      : b(b), shape(shape), depth(depth), laneOuter(b.lane / kLanesTogether),
        laneDepth(b.warp * shape.warpDepth + b.lane % kLanesTogether * kChunk),
        memory(b.allocateShared(shape.buffers * shape.chunksPerStage() * b.threads * kChunk, b.builder.getBF16Type())) {}

  /// The first one before the second.
  void setWeights(const MatmulSchedule::Operand &weights) { addSources(weights, 2 * shape.strips, /*isShared=*/false); }
  void setTokens(const MatmulSchedule::Operand &tokens) { addSources(tokens, shape.groups, /*isShared=*/true); }
  /// Begins to copy the chunks of the stage at `firstDepth`; zeros where there are no elements. `base` is added to the
  /// offsets of the operand.
  void copyWeights(Expr firstDepth, Expr buffer, Expr base = Expr()) {
    copy(firstDepth, buffer, base, 0, 2 * shape.strips);
  }
  void copyTokens(Expr firstDepth, Expr buffer, Expr base = Expr()) {
    copy(firstDepth, buffer, base, 2 * shape.strips, shape.chunksPerPiece());
  }
  /// The registers of the thread's chunks of a stage.
  SmallVector<Expr> load(Expr buffer) const;
  void multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Expr> registers) const;

private:
  struct Source {
    Value memory;
    Expr offset, inside;
    bool isShared; ///< With other blocks of the multiprocessor: may stay in its cache.
  };
  void addSources(const MatmulSchedule::Operand &operand, int64_t count, bool isShared);
  /// Chunks [first, last) of each piece.
  void copy(Expr firstDepth, Expr buffer, Expr base, int64_t first, int64_t last);
  Expr at(Expr buffer, int64_t chunk) const {
    return ((buffer * shape.chunksPerStage() + chunk) * b.threads + b.thread) * kChunk;
  }

  BlockBuilder &b;
  const StreamShape &shape;
  int64_t depth;
  Expr laneOuter, laneDepth;
  Value memory;
  SmallVector<Source> sources; ///< Of the chunks of a piece: two of each strip, then one of each group.
};

} // namespace mlir::moe::cuda::ampere

#endif // PASSES_TARGET_CUDA_AMPERE_WARPSTREAM_H
