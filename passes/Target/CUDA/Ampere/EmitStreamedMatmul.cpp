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
/// What a thread copies and multiplies is WarpStream.h.
///
/// ```
/// ask for the token, if there is one only
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
#include "passes/Target/CUDA/Ampere/WarpStream.h"
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/MatmulSchedule.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {

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
  // Where there is one token, every row is that.
  bool isOneToken = op.getLhs().getType().getDimSize(0) == 1;
  StreamShape shape(context.config, schedule.getDepth(), /*contractions=*/1, isOneToken);
  // Four rows of sums lie in different banks, of which lanes write two at a time.
  MatrixView sums = b.allocateShared(b.warps * tileM, tileN, tileN + 4);

  // Weights and, of experts, the plan are read before the kernel waits where the one before it writes neither.
  SmallVector<Value> early{op.getRhs()};
  if (op.getOffsets())
    early.push_back(op.getOffsets());
  bool startsEarly = llvm::all_of(early, [&](Value operand) { return context.isSettled(operand); });
  WarpStream stream(b, shape, schedule.getDepth());
  auto askForToken = [&] {
    if (shape.keepsToken)
      stream.askForToken(b.operand(op.getLhs()), [&](Expr) { return b.index(0); });
  };
  if (!startsEarly)
    askForToken();
  auto [tile, exists] = schedule.findTile(startsEarly);
  stream.setWeights(schedule.getRhs(tile));
  auto forFirstStages = [&](function_ref<void(Expr depth, Expr buffer)> copy) {
    for (int64_t step = 0; step < shape.ahead; ++step) {
      copy(stream.partOf(b.index(step)), b.index(step));
      commitCopies(b);
    }
  };
  if (startsEarly) {
    b.ifThen(exists, [&] { forFirstStages([&](Expr depth, Expr buffer) { stream.copyWeights(depth, buffer); }); });
    waitForPreviousKernel(context, early);
    askForToken();
  }

  b.ifThen(exists, [&, &tile = tile] {
    if (!shape.keepsToken)
      stream.setTokens(schedule.getLhs(tile));
    if (!shape.keepsToken || !startsEarly)
      forFirstStages([&](Expr depth, Expr buffer) {
        // The weights first: where rows are gathered, their addresses have to be read.
        if (!startsEarly)
          stream.copyWeights(depth, buffer);
        if (!shape.keepsToken)
          stream.copyTokens(depth, buffer);
      });
    if (shape.keepsToken)
      stream.keepToken();

    SmallVector<Expr> accumulators(shape.accumulators(), b.real(0));
    if (shape.ahead == shape.steps) {
      for (int64_t step = 0; step < shape.steps; ++step) {
        stream.wait(shape.steps - 1 - step);
        stream.multiply(accumulators, stream.load(b.index(step), b.index(step)));
      }
    } else {
      auto next = [&](Expr buffer) { return select(buffer == shape.buffers - 1, b.index(0), buffer + 1); };
      // Carried: accumulators, the buffers to read and to write.
      SmallVector<Expr> carried = accumulators;
      carried.append({b.index(0), b.index(shape.ahead)});
      carried = b.loop(b.index(0), b.index(shape.steps), 1, carried, [&](Expr step, ArrayRef<Expr> carried) {
        SmallVector<Expr> sums(carried.drop_back(2));
        Expr read = carried[carried.size() - 2], write = carried.back();
        stream.wait(shape.ahead - 1);
        SmallVector<Expr> registers = stream.load(step, read);
        Expr following = step + shape.ahead;
        b.ifThen(following < shape.steps, [&] {
          stream.copyWeights(stream.partOf(following), write);
          if (!shape.keepsToken)
            stream.copyTokens(stream.partOf(following), write);
        });
        commitCopies(b);
        stream.multiply(sums, registers);
        sums.append({next(read), next(write)});
        return sums;
      });
      keepRolled(carried.front());
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
