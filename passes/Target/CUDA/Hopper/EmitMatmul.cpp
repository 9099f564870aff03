//===- EmitMatmul.cpp - Matmul kernels by wgmma -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A block of three warpgroups with a ring of stages in shared memory, each of 64 contraction elements of both
/// operands:
///
/// ```
/// producer, for every tile of the block and stage of it:
///   wait until the stage is empty; expect its bytes; TMA writes them (or threads copy rows, gathered by an index)
/// each of two consumers, for every tile and stage:
///   wait until the stage is full; 64 rows of the accumulator += A · B by four asynchronous wgmmas
///   wait for the wgmmas of the stage before, which is then empty
///   after the last one: the epilogue, while the producer runs ahead into the next tile
/// ```
///
/// The first stage of a tile is outside of the loop: its first product overwrites the accumulator. Accumulators that
/// start as zeros make ptxas serialise all wgmmas of the loop.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/Hopper/OperandLoad.h"
#include "passes/Target/CUDA/Hopper/PersistentTiles.h"
#include "passes/Target/CUDA/Hopper/WarpgroupEpilogue.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::moe::cuda {
namespace {

using State = PersistentTiles::State;
using Tile = PersistentTiles::Tile;

/// The named barrier of all consumers; their own have the number of the warpgroup, 1 and 2.
constexpr int64_t kAllConsumers = 1 + kConsumerGroups;

class MatmulEmitter {
public:
  MatmulEmitter(moe_kernel::MatmulOp op, EmitterContext &context)
      : b(context), shape(op), tileColumns(context.config.getTileN()), stages(context.config.getStages()),
        lhs(b, context, op, shape, OperandLoad::lhs, kTileRows, stages),
        rhs(b, context, op, shape, OperandLoad::rhs, tileColumns, stages), epilogue(b, context, op, shape),
        full(b.allocateBarriers(stages)), empty(b.allocateBarriers(stages)),
        tiles(b, shape, tileColumns, op.getOffsets() ? b.operand(op.getOffsets()) : Value()) {}

  LaunchShape emit();

private:
  // Carried from stage to stage: the number of the stage, and the parity of its phase when it is full.
  struct Position {
    Expr stage, parity;
  };
  Position next(Position at) {
    Expr stage = at.stage + 1, wraps = stage == stages;
    return {select(wraps, b.i32(0), stage), select(wraps, at.parity ^ 1, at.parity)};
  }
  Expr countStages(const Tile &tile) { return (tile.depth + (kStageDepth - 1)) / kStageDepth; }
  /// The first contraction index of a stage. The first stage of a ragged contraction is the one that is not whole, so
  /// that it is the same expert's rows that it reads too many.
  Expr getFirstDepth(const Tile &tile, Expr number);
  /// How many elements of the first stage count.
  Expr getPartialDepth(const Tile &tile) { return tile.depth - (countStages(tile) - 1) * kStageDepth; }

  void produce();
  Position fill(const Tile &tile, Position at);
  void consume();
  Value multiply(Value accumulators, Expr stage, int64_t firstStep, int64_t lastStep, bool overwrites);
  Value multiplyFirst(const Tile &tile, Expr stage);
  Value multiplySteps(Value accumulators, Expr stage, Expr steps, int64_t step);
  void clearBehind(Expr partial, Expr stage);
  WarpgroupEpilogue::Place locate(const Tile &tile);
  std::pair<Value, Position> accumulate(const Tile &tile, Position at);
  std::pair<Value, Position> accumulateIfAny(const Tile &tile, Position at);
  void release(Expr stage) {
    b.ifThen(b.threadInGroup == 0, [&] { b.arrive(empty + stage * 8); });
  }

  HopperBuilder b;
  WarpgroupShape shape;
  int64_t tileColumns, stages;
  OperandLoad lhs, rhs;
  WarpgroupEpilogue epilogue;
  Expr full, empty; ///< Barriers, one a stage.
  PersistentTiles tiles;
};

} // namespace

//===----------------------------------------------------------------------===//
// The producer
//===----------------------------------------------------------------------===//

Expr MatmulEmitter::getFirstDepth(const Tile &tile, Expr number) {
  if (!shape.isContraction())
    return number * kStageDepth;
  Expr partial = getPartialDepth(tile);
  return tile.firstRow + select(number == 0, b.i32(0), partial + (number - 1) * kStageDepth);
}

MatmulEmitter::Position MatmulEmitter::fill(const Tile &tile, Position at) {
  PersistentTiles::Coordinates coordinates = tiles.locate(tile);
  bool isContraction = shape.isContraction();
  OperandLoad::Place left, right;
  left.outer = isContraction ? coordinates.row : tile.firstRow + coordinates.row;
  left.expert = b.i32(0);
  right.outer = coordinates.output;
  right.expert = shape.isRaggedRows() ? tile.expert : b.i32(0);
  left.lastRow = right.lastRow = tile.firstRow + (isContraction ? tile.depth : tile.rows) - 1;

  int64_t bytes = (lhs.isGathered() ? 0 : lhs.tile.getBytes()) + (rhs.isGathered() ? 0 : rhs.tile.getBytes());
  auto copyBoxes = [&](Expr k, Expr stage) {
    Expr barrier = full + stage * 8;
    b.arriveExpecting(barrier, b.i32(bytes));
    if (!lhs.isGathered())
      lhs.copyBoxes(left, k, stage, barrier);
    if (!rhs.isGathered())
      rhs.copyBoxes(right, k, stage, barrier);
  };
  // The rows of a contraction-major lhs are the same in all stages.
  SmallVector<Expr> rowsOfTile;
  if (lhs.isGathered() && !isContraction)
    rowsOfTile = lhs.getGatheredRows(left, b.i32(0));
  Expr count = countStages(tile);
  auto last = b.loopWhile(
      {b.i32(0), at.stage, at.parity}, [&](ArrayRef<Expr> carried) { return carried[0] < count; },
      [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
        Position at{carried[1], carried[2]};
        Expr k = getFirstDepth(tile, carried[0]);
        SmallVector<Expr> gatheredRows = rowsOfTile;
        OperandLoad &gathered = lhs.isGathered() ? lhs : rhs;
        const OperandLoad::Place &place = lhs.isGathered() ? left : right;
        if (shape.gathers() && isContraction)
          gatheredRows = gathered.getGatheredRows(place, k);
        b.wait(empty + at.stage * 8, at.parity ^ 1);
        if (!shape.gathers()) {
          copyBoxes(k, at.stage);
        } else {
          b.ifThen(b.threadInGroup == 0, [&] { copyBoxes(k, at.stage); });
          gathered.gather(place, gatheredRows, k, at.stage);
          b.arriveAfterCopies(full + at.stage * 8);
        }
        Position following = next(at);
        return {carried[0] + 1, following.stage, following.parity};
      });
  return {last[1], last[2]};
}

void MatmulEmitter::produce() {
  // What the consumers need more: their accumulators alone are 128 of the 168 that all threads start with.
  b.setRegisters(shape.gathers() ? 56 : 40, /*increase=*/false);
  auto fillAll = [&] {
    tiles.forTiles({b.i32(0), b.i32(0)}, [&](const Tile &tile, ArrayRef<Expr> carried) -> State {
      Position at = fill(tile, {carried[0], carried[1]});
      return {at.stage, at.parity};
    });
  };
  if (shape.gathers())
    return fillAll();
  b.ifThen(b.threadInGroup / kWarpSize == 0, [&] { b.ifThen(b.elect(), fillAll); });
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

/// Accumulators += A · B for steps of 16 contraction elements of a stage.
Value MatmulEmitter::multiply(Value accumulators, Expr stage, int64_t firstStep, int64_t lastStep, bool overwrites) {
  Expr group = b.warpgroup - 1;
  Expr left = b.descriptor(lhs.tile, lhs.getAddress(stage) + group * (lhs.tile.getRowOffset(kWarpgroupRows) * 16));
  Expr right = b.descriptor(rhs.tile, rhs.getAddress(stage));
  if (shape.gathers())
    b.fenceAsyncProxy(); // Rows that threads copied were not written by TMA.
  b.fenceMatmuls();
  for (int64_t step = firstStep; step < lastStep; ++step)
    accumulators = b.matmul(accumulators, left + lhs.tile.getStepOffset(step), lhs.tile.major,
                            right + rhs.tile.getStepOffset(step), rhs.tile.major, !(overwrites && step == firstStep));
  b.commitMatmuls();
  return accumulators;
}

/// Zeros behind the last row of a first stage of a ragged contraction, up to a whole step of 16. Each consumer clears
/// its own rows of A and half of B, which both read: neither multiplies before the other has cleared.
void MatmulEmitter::clearBehind(Expr partial, Expr stage) {
  constexpr int64_t kPieces = kSwizzleBytes / 16, kChunkBytes = kStageDepth * kSwizzleBytes;
  b.ifThen((partial & (kMatmulDepth - 1)) != 0, [&] {
    Expr row = partial + b.threadInGroup / kPieces, end = (partial + (kMatmulDepth - 1)) / kMatmulDepth * kMatmulDepth;
    Expr offset = row * kSwizzleBytes + b.threadInGroup % kPieces * 16;
    SmallVector<Expr> zeros(4, b.i32(0));
    b.ifThen(row < end, [&] {
      Expr group = b.warpgroup - 1;
      int64_t chunks = tileColumns / 64 / kConsumerGroups;
      b.storeVector(zeros, lhs.getAddress(stage) + group * kChunkBytes + offset);
      for (int64_t chunk = 0; chunk < chunks; ++chunk)
        b.storeVector(zeros, rhs.getAddress(stage) + (group * chunks + chunk) * kChunkBytes + offset);
    });
    b.fenceAsyncProxy();
    b.syncNamed(kAllConsumers, kConsumerGroups * kWarpgroupSize);
  });
}

/// The steps from `step` on of those that there are.
Value MatmulEmitter::multiplySteps(Value accumulators, Expr stage, Expr steps, int64_t step) {
  if (step == kStageDepth / kMatmulDepth)
    return accumulators;
  auto branch = scf::IfOp::create(b.builder, accumulators.getType(), steps > step, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b.builder);
  b.builder.setInsertionPointToEnd(branch.thenBlock());
  Value more = multiply(accumulators, stage, step, step + 1, /*overwrites=*/false);
  scf::YieldOp::create(b.builder, multiplySteps(more, stage, steps, step + 1));
  b.builder.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b.builder, accumulators);
  return branch.getResult(0);
}

Value MatmulEmitter::multiplyFirst(const Tile &tile, Expr stage) {
  Value accumulators = b.undefinedAccumulators(tileColumns);
  if (!shape.isContraction())
    return multiply(accumulators, stage, 0, kStageDepth / kMatmulDepth, /*overwrites=*/true);
  Expr partial = getPartialDepth(tile);
  clearBehind(partial, stage);
  accumulators = multiply(accumulators, stage, 0, 1, /*overwrites=*/true);
  return multiplySteps(accumulators, stage, (partial + (kMatmulDepth - 1)) / kMatmulDepth, 1);
}

/// The accumulators of a tile that has a stage at least.
std::pair<Value, MatmulEmitter::Position> MatmulEmitter::accumulate(const Tile &tile, Position at) {
  b.wait(full + at.stage * 8, at.parity);
  Value accumulators = multiplyFirst(tile, at.stage);
  Expr count = countStages(tile);
  Position second = next(at);
  // Carried: the number of the stage, its position, the stage before, the accumulators.
  auto last = b.loopWhile(
      {b.i32(1), second.stage, second.parity, at.stage, b.wrap(accumulators)},
      [&](ArrayRef<Expr> carried) { return carried[0] < count; },
      [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
        Position at{carried[1], carried[2]}, following = next(at);
        b.wait(full + at.stage * 8, at.parity);
        Value sums = multiply(carried[4], at.stage, 0, kStageDepth / kMatmulDepth, /*overwrites=*/false);
        b.waitForMatmuls(1);
        release(carried[3]);
        return {carried[0] + 1, following.stage, following.parity, at.stage, b.wrap(sums)};
      });
  accumulators = b.waitForMatmuls(0, {Value(last[4])}).front();
  release(last[3]);
  return {accumulators, {last[1], last[2]}};
}

/// The same, zeros if there is none: the gradient of an expert without rows.
std::pair<Value, MatmulEmitter::Position> MatmulEmitter::accumulateIfAny(const Tile &tile, Position at) {
  Type types[] = {b.getAccumulatorType(tileColumns), at.stage.getType(), at.parity.getType()};
  auto branch = scf::IfOp::create(b.builder, types, tile.depth > 0, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b.builder);
  b.builder.setInsertionPointToEnd(branch.thenBlock());
  auto [sums, following] = accumulate(tile, at);
  scf::YieldOp::create(b.builder, ValueRange{sums, following.stage, following.parity});
  b.builder.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b.builder, ValueRange{b.zeroAccumulators(tileColumns), at.stage, at.parity});
  return {branch.getResult(0), {b.wrap(branch.getResult(1)), b.wrap(branch.getResult(2))}};
}

WarpgroupEpilogue::Place MatmulEmitter::locate(const Tile &tile) {
  PersistentTiles::Coordinates coordinates = tiles.locate(tile);
  WarpgroupEpilogue::Place place;
  place.expert = tile.expert;
  place.firstRow = coordinates.row + (b.warpgroup - 1) * kWarpgroupRows;
  if (shape.isRaggedRows()) {
    place.rowsLeft = tile.rows - place.firstRow;
    place.firstRow = tile.firstRow + place.firstRow;
  }
  place.output = coordinates.output;
  return place;
}

void MatmulEmitter::consume() {
  b.setRegisters(shape.gathers() ? 224 : 232, /*increase=*/true);
  // Carried: the position in the ring, and the parity of the epilogue's extras.
  tiles.forTiles({b.i32(0), b.i32(0), b.i32(0)}, [&](const Tile &tile, ArrayRef<Expr> carried) -> State {
    Position start{carried[0], carried[1]};
    // Divisions: early only if there is something to ask for, as they delay the first products.
    std::optional<WarpgroupEpilogue::Place> place;
    if (epilogue.readsTiles())
      epilogue.begin(place.emplace(locate(tile)));
    auto [accumulators, at] = shape.isContraction() ? accumulateIfAny(tile, start) : accumulate(tile, start);
    Expr parity = epilogue.emit(place ? *place : locate(tile), accumulators, carried[2]);
    return {at.stage, at.parity, parity};
  });
  epilogue.finish();
}

LaunchShape MatmulEmitter::emit() {
  b.ifThen(b.thread == 0, [&] {
    for (int64_t stage = 0; stage < stages; ++stage) {
      b.initBarrier(full + stage * 8, 1 + (shape.gathers() ? kWarpgroupSize : 0));
      b.initBarrier(empty + stage * 8, kConsumerGroups);
    }
    epilogue.initBarriers();
  });
  b.publishBarriers();
  b.ifThenElse(
      b.warpgroup == 0, [&] { produce(); }, [&] { consume(); });
  return {{tiles.getGrid(), 1, 1}, {kMatmulThreads, 1, 1}, 2 * shape.rows * shape.columns * shape.depth};
}

FailureOr<LaunchShape> emitWarpgroupMatmul(moe_kernel::MatmulOp op, EmitterContext &context) {
  moe_kernel::CUDAConfigAttr config = context.config;
  std::optional<Capabilities> capabilities = getCapabilities(op->getParentOfType<ModuleOp>());
  if (!capabilities)
    return failure();
  if (std::string obstacle = findWarpgroupObstacle(op, *capabilities); !obstacle.empty())
    return op.emitError() << "is configured for wgmma, but " << obstacle;
  int64_t tileN = config.getTileN(), stages = config.getStages();
  if (config.getThreads() != kMatmulThreads || config.getTileM() != kTileRows || (tileN != 128 && tileN != 256) ||
      config.getTileK() != kStageDepth || stages < 2)
    return op.emitError() << "is configured for wgmma with " << config << "; it takes " << kMatmulThreads
                          << " threads, tile_m = " << kTileRows << ", tile_n = 128 or 256, tile_k = " << kStageDepth
                          << " and two stages or more";
  return MatmulEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda
