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
/// Chunks pass through shared memory only because `cp.async` needs no registers while it waits: a warp reads what its own
/// lanes have copied, so that no warp waits for another. A multiprocessor asks for so many lines of the cache in a time,
/// whole or not, and half lines do not fill the memory's time. So where a warp has whole lines of 128 bytes of a stage,
/// eight lanes copy one, and each chunk to the place of the lane that multiplies it.
///
/// A single token, which all rows of the products then are, is read once and stays there; stages have weights alone.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_AMPERE_WARPSTREAM_H
#define PASSES_TARGET_CUDA_AMPERE_WARPSTREAM_H

#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/MatmulSchedule.h"

namespace mlir::moe::cuda::ampere {

inline constexpr int64_t kLanesTogether = 4; ///< That have one column, or row, of a fragment.
inline constexpr int64_t kPieceDepth = kLanesTogether * kChunk; ///< What they multiply of it at a time.
inline constexpr int64_t kPiecesOfLine = 2, kChunksOfLine = kPiecesOfLine * kLanesTogether;
inline constexpr int64_t kStrip = 16, kGroup = 8; ///< Columns of weights and rows of tokens of a product.

/// How the tile of a block is made up.
struct StreamShape {
  /// `contractions` of `depth`, one after the other: a warp's part of a stage is of one. `isOneToken`: all rows are the
  /// same.
  StreamShape(moe_kernel::CUDAConfigAttr config, int64_t depth, int64_t contractions, bool isOneToken)
      : warps(config.getThreads() / kWarpSize), strips(config.getTileN() / kStrip), groups(config.getTileM() / kGroup),
        stageDepth(config.getTileK()), warpDepth(stageDepth / warps), pieces(warpDepth / kPieceDepth),
        contractions(contractions), tokenDepth(llvm::alignTo(depth, contractions > 1 ? warpDepth : stageDepth)),
        steps(llvm::divideCeil(contractions * tokenDepth, stageDepth)), ahead(std::min(config.getStages() - 1, steps)),
        buffers(ahead == steps ? steps : ahead + 1) {
    keepsToken = isOneToken && groups == 1 && steps * stageDepth <= kMostTokenChunks * config.getThreads() * kChunk;
    copiesLines = pieces % kPiecesOfLine == 0;
  }

  int64_t warps, strips, groups;
  int64_t stageDepth, warpDepth, pieces; ///< Contraction elements of a stage, of them a warp's; its pieces.
  int64_t contractions, tokenDepth;      ///< With what fills up the last part of a contraction.
  int64_t steps, ahead, buffers;         ///< Stages in all; those copied before the first one is used; their buffers.

  bool keepsToken;  ///< Stages have weights alone.
  bool copiesLines; ///< Of weights, whole ones.
  /// Of 16 bytes, that a thread reads of the token.
  static constexpr int64_t kMostTokenChunks = 16;

  int64_t chunksPerPiece() const { return 2 * strips + (keepsToken ? 0 : groups); }
  int64_t chunksPerStage() const { return pieces * chunksPerPiece(); }
  int64_t accumulators() const { return strips * groups * 4; }
  int64_t chunksOfToken() const { return keepsToken ? steps * stageDepth / kChunk : 0; }
  /// Of stages and the token.
  int64_t getSharedBytes() const {
    return 2 * kChunk * (buffers * chunksPerStage() * warps * kWarpSize + chunksOfToken());
  }
};

/// Has the loop that gives `result` stay one: unrolled, its addresses take all registers of a thread, and blocks of the
/// kernel before or after find no place beside.
void keepRolled(Expr result);

/// What a thread copies and multiplies.
class WarpStream {
public:
  WarpStream(BlockBuilder &b, const StreamShape &shape, int64_t depth)
      : b(b), shape(shape), depth(depth), laneOuter(b.lane / kLanesTogether),
        laneDepth(b.lane % kLanesTogether * kChunk),
        memory(b.allocateShared(shape.buffers * shape.chunksPerStage() * b.threads * kChunk, b.builder.getBF16Type())) {
    if (shape.keepsToken)
      token = b.allocateShared(shape.steps * shape.stageDepth, b.builder.getBF16Type());
  }

  void setWeights(const MatmulSchedule::Operand &operand);
  void setTokens(const MatmulSchedule::Operand &operand);
  /// Where the warp's part of stage `step` begins, the contractions lying one after the other.
  Expr partOf(Expr step) const { return step * shape.stageDepth + b.warp * shape.warpDepth; }
  /// Begins to copy the warp's part of a stage, which begins at `depth` of its contraction; zeros where there are no
  /// elements, and unless `exists`. `base` is added to the offsets of the operand.
  void copyWeights(Expr depth, Expr buffer, Expr base = Expr(), Expr exists = Expr());
  void copyTokens(Expr depth, Expr buffer, Expr base = Expr(), Expr exists = Expr());
  /// Waits until all but the last `pending` groups of copies of the warp's lanes are there.
  void wait(int64_t pending);
  /// Instead of copying tokens where the shape keeps one: asks for that of each contraction, which begins at `start` of
  /// `source`. Before weights, behind which it would have to wait.
  void askForToken(Value source, function_ref<Expr(Expr contraction)> start);
  /// Keeps what was asked for. By all threads of the block.
  void keepToken();
  /// The registers of the thread's chunks of stage `step`.
  SmallVector<Expr> load(Expr step, Expr buffer) const;
  void multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Expr> registers) const;

private:
  struct Source {
    Value memory;
    Expr offset, inside;
  };
  Source getSource(const MatmulSchedule::Operand &operand, Expr outer) {
    return {operand.memory, operand.outerOffset(outer), operand.isInside(outer)};
  }
  void copy(const Source &source, Expr at, Expr exists, Expr target, bool isShared);
  Expr isInside(Expr at) const { return depth == shape.tokenDepth ? Expr() : at < depth; }
  Expr at(Expr buffer, int64_t chunk) const {
    return ((buffer * shape.chunksPerStage() + chunk) * b.threads + b.thread) * kChunk;
  }

  BlockBuilder &b;
  const StreamShape &shape;
  int64_t depth;
  Expr laneOuter, laneDepth;
  Value memory, token;         ///< Stages, and the token of every step.
  SmallVector<Value> asked;    ///< Chunks thread, thread + threads, … of the token.
  /// Of the weights of a strip two or, for lines, four: eight or four columns each. Of tokens one for each group.
  SmallVector<Source> weights, tokens;
};

} // namespace mlir::moe::cuda::ampere

#endif // PASSES_TARGET_CUDA_AMPERE_WARPSTREAM_H
