//===- EmitStreamedMatmul.cpp - Matmuls of few rows, at the speed of memory -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// With few rows, reading the weights is all the work: each is read once, by the thread that multiplies it, and as many
/// as memory needs are under way. The operands change sides: 16 columns of the weights are the rows of `mma.sync`, and 8
/// rows of tokens its columns. Each warp of a block contracts its own part of every stage; the sums of the warps meet in
/// shared memory, in the order of their numbers.
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
/// it has copied itself, so that there is no barrier before the sums meet:
///
/// ```
/// begin to copy the first stages - 1 stages             // the weights before the kernel waits for the one before it
/// for stage:
///   wait for its chunks and read them; begin to copy stage + stages - 1
///   accumulators += weights · tokens
/// barrier; a thread for two columns of a row: sum over the warps, epilogue
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/MatmulSchedule.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {
namespace {

constexpr int64_t kLanesTogether = 4;                       ///< That have one column, or row, of a fragment.
constexpr int64_t kPieceDepth = kLanesTogether * kChunk;    ///< What they copy of it at a time.
constexpr int64_t kStrip = 16, kGroup = 8;                  ///< Columns of weights and rows of tokens of a product.

/// How the tile of a block is made up.
struct StreamShape {
  StreamShape(moe_kernel::CUDAConfigAttr config, int64_t depth)
      : warps(config.getThreads() / kWarpSize), strips(config.getTileN() / kStrip), groups(config.getTileM() / kGroup),
        stageDepth(config.getTileK()), warpDepth(stageDepth / warps), pieces(warpDepth / kPieceDepth),
        steps(llvm::divideCeil(depth, stageDepth)), ahead(std::min(config.getStages() - 1, steps)),
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
  /// Begins to copy the chunks of the stage at `firstDepth`; zeros where there are no elements.
  void copyWeights(Expr firstDepth, Expr buffer) { copy(firstDepth, buffer, 0, 2 * shape.strips); }
  void copyTokens(Expr firstDepth, Expr buffer) {
    copy(firstDepth, buffer, 2 * shape.strips, shape.chunksPerPiece());
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
  void copy(Expr firstDepth, Expr buffer, int64_t first, int64_t last);
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

} // namespace

void WarpStream::addSources(const MatmulSchedule::Operand &operand, int64_t count, bool isShared) {
  for (int64_t i = 0; i < count; ++i) {
    Expr outer = laneOuter + i * kGroup;
    sources.push_back({operand.memory, operand.outerOffset(outer), operand.isInside(outer), isShared});
  }
}

void WarpStream::copy(Expr firstDepth, Expr buffer, int64_t first, int64_t last) {
  for (int64_t piece = 0; piece < shape.pieces; ++piece) {
    Expr at = firstDepth + (laneDepth + piece * kPieceDepth);
    Expr hasDepth = depth % shape.stageDepth == 0 ? Expr() : at < depth;
    for (int64_t i = first; i < last; ++i)
      copyChunk(b, memory, this->at(buffer, piece * shape.chunksPerPiece() + i), sources[i].memory,
                sources[i].offset + at, both(hasDepth, sources[i].inside), /*bypassesCache=*/!sources[i].isShared);
  }
}

SmallVector<Expr> WarpStream::load(Expr buffer) const {
  SmallVector<Expr> registers;
  auto chunkType = VectorType::get(kChunk, b.builder.getBF16Type());
  for (int64_t chunk = 0; chunk < shape.chunksPerStage(); ++chunk) {
    Value loaded = vector::LoadOp::create(b.builder, chunkType, memory, ValueRange{at(buffer, chunk)},
                                          /*nontemporal=*/false, llvm::MaybeAlign(2 * kChunk));
    Expr words = b.wrap(vector::BitCastOp::create(b.builder, VectorType::get(4, b.builder.getI32Type()), loaded));
    for (int64_t i = 0; i < 4; ++i)
      registers.push_back(words.extract(i));
  }
  return registers;
}

void WarpStream::multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Expr> registers) const {
  for (; !registers.empty(); registers = registers.drop_front(4 * shape.chunksPerPiece()))
    for (int64_t half = 0; half < 2; ++half) {
      auto part = [&](int64_t chunk) { return registers.slice(4 * chunk + 2 * half, 2); };
      for (int64_t strip = 0; strip < shape.strips; ++strip) {
        ArrayRef<Expr> upper = part(2 * strip), lower = part(2 * strip + 1);
        for (int64_t group = 0; group < shape.groups; ++group)
          multiplyAdd(b, accumulators.slice((strip * shape.groups + group) * 4, 4),
                      {upper[0], lower[0], upper[1], lower[1]}, part(2 * shape.strips + group));
      }
    }
}

std::string findStreamObstacle(moe_kernel::MatmulOp op) {
  auto lhs = op.getLhs().getType(), rhs = op.getRhs().getType();
  if (!lhs.getElementType().isBF16() || !rhs.getElementType().isBF16())
    return "its operands are not of bf16";
  if (op.getKind() == moe_kernel::MatmulKind::ragged_contraction)
    return "its rows are contracted";
  if (op.getTransposeLhs() || !op.getTransposeRhs())
    return "the contraction is not contiguous in both operands";
  if (lhs.getShape().back() % kChunk)
    return "rows of its operands are not multiples of 16 bytes";
  return "";
}

/// Why there are no such blocks.
static std::string findConfigObstacle(moe_kernel::MatmulOp op, moe_kernel::CUDAConfigAttr config) {
  int64_t warps = config.getThreads() / kWarpSize, strip = op.getPaired() ? 2 * kStrip : kStrip;
  if (config.getTileM() % kGroup || config.getTileN() % strip || config.getTileK() % (warps * kPieceDepth))
    return "a tile is a multiple of " + std::to_string(kGroup) + " rows, of " + std::to_string(strip) +
           " columns, and of " + std::to_string(warps * kPieceDepth) + " elements of the contraction";
  if (config.getStages() < 2)
    return "there are two stages at least";
  return "";
}

FailureOr<LaunchShape> emitStreamedMatmul(moe_kernel::MatmulOp op, EmitterContext &context) {
  for (const std::string &obstacle : {findStreamObstacle(op), findConfigObstacle(op, context.config)})
    if (!obstacle.empty())
      return op.emitError() << "cannot be emitted for " << context.config << ": " << obstacle;

  BlockBuilder b(context);
  int64_t tileM = context.config.getTileM(), tileN = context.config.getTileN();
  int64_t tileOutputs = op.getPaired() ? tileN / 2 : tileN;
  MatmulSchedule schedule(b, op, tileM, tileN);
  StreamShape shape(context.config, schedule.getDepth());
  // Four rows of sums lie in different banks, of which lanes write two at a time.
  MatrixView sums = b.allocateShared(b.warps * tileM, tileN, tileN + 4);

  // Weights and, of experts, the plan are read before the kernel waits where the one before it writes neither.
  SmallVector<Value> early{op.getRhs()};
  if (op.getOffsets())
    early.push_back(op.getOffsets());
  bool startsEarly = llvm::all_of(early, [&](Value operand) { return context.isSettled(operand); });
  auto [tile, exists] = schedule.findTile(startsEarly);
  WarpStream stream(b, shape, schedule.getDepth());
  stream.setWeights(schedule.getRhs(tile));
  auto forFirstStages = [&](function_ref<void(Expr depth, Expr buffer)> copy) {
    for (int64_t step = 0; step < shape.ahead; ++step) {
      copy(b.index(step * shape.stageDepth), b.index(step));
      commitCopies(b);
    }
  };
  if (startsEarly) {
    b.ifThen(exists, [&] { forFirstStages([&](Expr depth, Expr buffer) { stream.copyWeights(depth, buffer); }); });
    waitForPreviousKernel(context, early);
  }

  b.ifThen(exists, [&, &tile = tile] {
    stream.setTokens(schedule.getLhs(tile));
    forFirstStages([&](Expr depth, Expr buffer) {
      // The weights first: where rows are gathered, their addresses have to be read.
      if (!startsEarly)
        stream.copyWeights(depth, buffer);
      stream.copyTokens(depth, buffer);
    });

    SmallVector<Expr> accumulators(shape.accumulators(), b.real(0));
    if (shape.ahead == shape.steps) {
      for (int64_t step = 0; step < shape.steps; ++step) {
        waitForCopies(b, shape.steps - 1 - step);
        stream.multiply(accumulators, stream.load(b.index(step)));
      }
    } else {
      auto next = [&](Expr buffer) { return select(buffer == shape.buffers - 1, b.index(0), buffer + 1); };
      // Carried: accumulators, the buffers to read and to write.
      SmallVector<Expr> carried = accumulators;
      carried.append({b.index(0), b.index(shape.ahead)});
      Expr end = b.index(shape.steps * shape.stageDepth);
      carried = b.loop(b.index(0), end, shape.stageDepth, carried, [&](Expr depth, ArrayRef<Expr> carried) {
        SmallVector<Expr> sums(carried.drop_back(2));
        Expr read = carried[carried.size() - 2], write = carried.back();
        waitForCopies(b, shape.ahead - 1);
        SmallVector<Expr> registers = stream.load(read);
        Expr following = depth + shape.ahead * shape.stageDepth;
        b.ifThen(following < end, [&] {
          stream.copyWeights(following, write);
          stream.copyTokens(following, write);
        });
        commitCopies(b);
        stream.multiply(sums, registers);
        sums.append({next(read), next(write)});
        return sums;
      });
      accumulators.assign(carried.begin(), carried.begin() + shape.accumulators());
    }

    Expr laneColumn = b.lane / kLanesTogether, laneRow = b.lane % kLanesTogether * 2;
    for (int64_t strip = 0; strip < shape.strips; ++strip)
      for (int64_t group = 0; group < shape.groups; ++group)
        for (int64_t part = 0; part < 4; ++part) {
          Expr row = b.warp * tileM + laneRow + (group * kGroup + part % 2);
          Expr column = laneColumn + (strip * kStrip + part / 2 * 8);
          b.store(accumulators[(strip * shape.groups + group) * 4 + part], sums.memory, sums.at(row, column));
        }
    b.barrier();

    auto pairType = VectorType::get(2, b.builder.getF32Type());
    auto sumOverWarps = [&](Expr row, Expr column) {
      Expr sum;
      for (int64_t warp = 0; warp < b.warps; ++warp) {
        Expr one = b.wrap(vector::LoadOp::create(b.builder, pairType, sums.memory,
                                                 ValueRange{sums.at(row + warp * tileM, column)},
                                                 /*nontemporal=*/false, llvm::MaybeAlign(8)));
        sum = sum ? sum + one : one;
      }
      return sum;
    };
    int64_t pairs = tileOutputs / 2;
    b.forThreads(tile.rows * pairs, [&](Expr item) {
      Expr row = item / pairs, output = item % pairs * 2;
      SmallVector<Expr> totals = {sumOverWarps(row, output)};
      if (op.getPaired())
        totals.push_back(sumOverWarps(row, output + tileOutputs));
      schedule.emitEpilogue(tile, row, output, totals);
    });
  });
  return schedule.getLaunchShape();
}

} // namespace mlir::moe::cuda::ampere
