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
/// Where the epilogue has much to read and write, three of the producer's warps run it while the consumers multiply the
/// next tile (DeferredEpilogue.h).
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/DeferredEpilogue.h"
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
      : b(context), shape(op, context.config.getTileM()), tileColumns(context.config.getTileN()),
        stages(context.config.getStages()), lhs(b, context, op, shape, OperandLoad::lhs, shape.tileRows, stages),
        rhs(b, context, op, shape, OperandLoad::rhs, tileColumns, stages),
        epilogue(shape.defersEpilogue ? nullptr : std::make_unique<WarpgroupEpilogue>(b, context, op, shape)),
        deferred(shape.defersEpilogue ? std::make_unique<DeferredEpilogue>(b, op, shape, tileColumns) : nullptr),
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
  void finishTiles();
  /// Of a warpgroup: those of its own rows, and of its half of the columns of shared ones.
  using Accumulators = SmallVector<Value>;
  /// The values that `first` gives if `condition` holds, otherwise those of `second`.
  SmallVector<Value> choose(TypeRange types, Expr condition, function_ref<SmallVector<Value>()> first,
                            function_ref<SmallVector<Value>()> second);
  Accumulators multiply(Accumulators accumulators, Expr stage, int64_t firstStep, int64_t lastStep, bool overwrites);
  Accumulators multiplyFirst(const Tile &tile, Expr stage, size_t count);
  Accumulators multiplySteps(Accumulators accumulators, Expr stage, Expr steps, int64_t step);
  void clearBehind(Expr partial, Expr stage);
  /// Of a tile of experts' rows: whether there are rows behind those that each consumer has alone.
  Expr hasSharedRows(const PersistentTiles::Coordinates &coordinates) {
    return coordinates.endRow - coordinates.row > kConsumerGroups * kWarpgroupRows;
  }
  WarpgroupEpilogue::Place locate(const Tile &tile, const PersistentTiles::Coordinates &coordinates, bool isShared);
  SmallVector<Value> accumulate(const Tile &tile, Position at, size_t numAccumulators);
  SmallVector<Value> accumulateIfAny(const Tile &tile, Position at, size_t numAccumulators);
  State compute(const Tile &tile, ArrayRef<Expr> carried, size_t numAccumulators,
                std::optional<PersistentTiles::Coordinates> coordinates);
  void release(Expr stage) {
    b.ifThen(b.threadInGroup == 0, [&] { b.arrive(empty + stage * 8); });
  }

  HopperBuilder b;
  WarpgroupShape shape;
  int64_t tileColumns, stages;
  OperandLoad lhs, rhs;
  std::unique_ptr<WarpgroupEpilogue> epilogue; ///< One of the two.
  std::unique_ptr<DeferredEpilogue> deferred;
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
  left.lastRow = right.lastRow =
      tile.firstRow + (isContraction ? tile.depth : shape.isRaggedRows() ? coordinates.endRow : tile.rows) - 1;

  Expr bytes = b.i32((lhs.isGathered() ? 0 : lhs.tile.getBytes()) + (rhs.isGathered() ? 0 : rhs.tile.getBytes()));
  if (shape.isRaggedRows() && shape.sharesRows() && !lhs.isGathered()) {
    left.hasSharedRows = hasSharedRows(coordinates);
    bytes = bytes - select(left.hasSharedRows, b.i32(0), b.i32(kWarpgroupRows * kSwizzleBytes));
  }
  auto copyBoxes = [&](Expr k, Expr stage) {
    Expr barrier = full + stage * 8;
    b.arriveExpecting(barrier, bytes);
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
  auto role = shape.gathers() ? PersistentTiles::Role::producer : PersistentTiles::Role::leader;
  auto fillAll = [&] {
    tiles.forTiles(role, {b.i32(0), b.i32(0)}, [&](const Tile &tile, ArrayRef<Expr> carried) -> State {
      Position at = fill(tile, {carried[0], carried[1]});
      return {at.stage, at.parity};
    });
  };
  if (shape.gathers()) {
    tiles.prepareToLead();
    return fillAll();
  }
  b.ifThen(b.threadInGroup / kWarpSize == 0, [&] {
    tiles.prepareToLead();
    b.ifThen(b.elect(), fillAll);
  });
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

SmallVector<Value> MatmulEmitter::choose(TypeRange types, Expr condition, function_ref<SmallVector<Value>()> first,
                                         function_ref<SmallVector<Value>()> second) {
  auto branch = scf::IfOp::create(b.builder, types, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b.builder);
  b.builder.setInsertionPointToEnd(branch.thenBlock());
  scf::YieldOp::create(b.builder, first());
  b.builder.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b.builder, second());
  return branch.getResults();
}

/// Accumulators += A · B for steps of 16 contraction elements of a stage.
MatmulEmitter::Accumulators MatmulEmitter::multiply(Accumulators accumulators, Expr stage, int64_t firstStep,
                                                    int64_t lastStep, bool overwrites) {
  Expr group = b.warpgroup - 1;
  auto addressOf = [](const OperandTile &tile, Expr address, Expr outer) {
    return address + outer * (tile.getRowOffset(kWarpgroupRows) * 16);
  };
  // Of each accumulator: the rows of this warpgroup; half of the columns of those that both share.
  SmallVector<Expr> left, right;
  left.push_back(b.descriptor(lhs.tile, addressOf(lhs.tile, lhs.getAddress(stage), group)));
  right.push_back(b.descriptor(rhs.tile, rhs.getAddress(stage)));
  if (accumulators.size() > 1) {
    left.push_back(b.descriptor(lhs.tile, addressOf(lhs.tile, lhs.getAddress(stage), b.i32(kConsumerGroups))));
    Expr columns = group * (tileColumns / kConsumerGroups / kWarpgroupRows);
    right.push_back(b.descriptor(rhs.tile, addressOf(rhs.tile, rhs.getAddress(stage), columns)));
  }
  if (shape.gathers())
    b.fenceAsyncProxy(); // Rows that threads copied were not written by TMA.
  b.fenceMatmuls();
  for (int64_t step = firstStep; step < lastStep; ++step)
    for (size_t i = 0; i < accumulators.size(); ++i)
      accumulators[i] = b.matmul(accumulators[i], left[i] + lhs.tile.getStepOffset(step), lhs.tile.major,
                                 right[i] + rhs.tile.getStepOffset(step), rhs.tile.major,
                                 !(overwrites && step == firstStep));
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
      if (shape.sharesRows())
        b.ifThen(group == 0, [&] {
          b.storeVector(zeros, lhs.getAddress(stage) + kConsumerGroups * kChunkBytes + offset);
        });
      for (int64_t chunk = 0; chunk < chunks; ++chunk)
        b.storeVector(zeros, rhs.getAddress(stage) + (group * chunks + chunk) * kChunkBytes + offset);
    });
    b.fenceAsyncProxy();
    b.syncNamed(kAllConsumers, kConsumerGroups * kWarpgroupSize);
  });
}

/// The steps from `step` on of those that there are.
MatmulEmitter::Accumulators MatmulEmitter::multiplySteps(Accumulators accumulators, Expr stage, Expr steps,
                                                         int64_t step) {
  if (step == kStageDepth / kMatmulDepth)
    return accumulators;
  return choose(
      TypeRange(ValueRange(accumulators)), steps > step,
      [&] {
        return multiplySteps(multiply(accumulators, stage, step, step + 1, /*overwrites=*/false), stage, steps, step + 1);
      },
      [&] { return accumulators; });
}

MatmulEmitter::Accumulators MatmulEmitter::multiplyFirst(const Tile &tile, Expr stage, size_t count) {
  Accumulators accumulators = {b.undefinedAccumulators(tileColumns)};
  if (count > 1)
    accumulators.push_back(b.undefinedAccumulators(tileColumns / kConsumerGroups));
  if (!shape.isRaggedContraction()) // All stages are whole.
    return multiply(accumulators, stage, 0, kStageDepth / kMatmulDepth, /*overwrites=*/true);
  Expr partial = getPartialDepth(tile);
  clearBehind(partial, stage);
  accumulators = multiply(accumulators, stage, 0, 1, /*overwrites=*/true);
  return multiplySteps(accumulators, stage, (partial + (kMatmulDepth - 1)) / kMatmulDepth, 1);
}

/// The accumulators of a tile that has a stage at least, and after them the position in the ring.
SmallVector<Value> MatmulEmitter::accumulate(const Tile &tile, Position at, size_t numAccumulators) {
  b.wait(full + at.stage * 8, at.parity);
  Accumulators accumulators = multiplyFirst(tile, at.stage, numAccumulators);
  Expr count = countStages(tile);
  Position second = next(at);
  // Carried: the number of the stage, its position, the stage before, the accumulators.
  SmallVector<Expr> initial = {b.i32(1), second.stage, second.parity, at.stage};
  constexpr size_t kBefore = 4;
  for (Value value : accumulators)
    initial.push_back(b.wrap(value));
  auto last = b.loopWhile(
      initial, [&](ArrayRef<Expr> carried) { return carried[0] < count; },
      [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
        Position at{carried[1], carried[2]}, following = next(at);
        b.wait(full + at.stage * 8, at.parity);
        Accumulators sums(llvm::drop_begin(carried, kBefore));
        sums = multiply(sums, at.stage, 0, kStageDepth / kMatmulDepth, /*overwrites=*/false);
        b.waitForMatmuls(1);
        release(carried[3]);
        SmallVector<Expr> result = {carried[0] + 1, following.stage, following.parity, at.stage};
        for (Value value : sums)
          result.push_back(b.wrap(value));
        return result;
      });
  SmallVector<Value> results = b.waitForMatmuls(0, Accumulators(llvm::drop_begin(last, kBefore)));
  release(last[3]);
  results.push_back(last[1]);
  results.push_back(last[2]);
  return results;
}

/// The same, zeros if there is none: the gradient of an expert without rows.
SmallVector<Value> MatmulEmitter::accumulateIfAny(const Tile &tile, Position at, size_t numAccumulators) {
  SmallVector<Type> types = {b.getAccumulatorType(tileColumns)};
  if (numAccumulators > 1)
    types.push_back(b.getAccumulatorType(tileColumns / kConsumerGroups));
  types.append({at.stage.getType(), at.parity.getType()});
  return choose(
      types, tile.depth > 0, [&] { return accumulate(tile, at, numAccumulators); },
      [&] {
        SmallVector<Value> zeros = {b.zeroAccumulators(tileColumns)};
        if (numAccumulators > 1)
          zeros.push_back(b.zeroAccumulators(tileColumns / kConsumerGroups));
        zeros.push_back(at.stage);
        zeros.push_back(at.parity);
        return zeros;
      });
}

WarpgroupEpilogue::Place MatmulEmitter::locate(const Tile &tile, const PersistentTiles::Coordinates &coordinates,
                                               bool isShared) {
  WarpgroupEpilogue::Place place;
  place.expert = tile.expert;
  Expr group = b.warpgroup - 1;
  place.firstRow = coordinates.row + (isShared ? b.i32(kConsumerGroups) : group) * kWarpgroupRows;
  if (shape.isRaggedRows()) {
    place.rowsLeft = coordinates.endRow - place.firstRow;
    place.firstRow = tile.firstRow + place.firstRow;
  }
  place.output = coordinates.output;
  if (isShared)
    place.output = place.output + group * (tileColumns / shape.halves() / kConsumerGroups);
  return place;
}

/// A tile of which this warpgroup has `numAccumulators`. Gives back where the next one starts in the ring, and its
/// parity of the epilogue's extras.
PersistentTiles::State MatmulEmitter::compute(const Tile &tile, ArrayRef<Expr> carried, size_t numAccumulators,
                                              std::optional<PersistentTiles::Coordinates> coordinates) {
  Position start{carried[0], carried[1]};
  // Divisions: early only if there is something to ask for, as they delay the first products.
  bool readsTiles = epilogue && epilogue->readsTiles();
  if (!coordinates && readsTiles)
    coordinates = tiles.locate(tile);
  if (readsTiles)
    epilogue->begin(locate(tile, *coordinates, /*isShared=*/false));
  SmallVector<Value> sums = shape.isRaggedContraction() ? accumulateIfAny(tile, start, numAccumulators)
                                                  : accumulate(tile, start, numAccumulators);
  Expr parity = carried[2];
  if (deferred) {
    deferred->handOver(sums.front(), parity);
    return {b.wrap(sums[numAccumulators]), b.wrap(sums[numAccumulators + 1]), parity ^ 1};
  }
  if (!coordinates)
    coordinates = tiles.locate(tile);
  for (size_t i = 0; i < numAccumulators; ++i) {
    WarpgroupEpilogue::Place place = locate(tile, *coordinates, /*isShared=*/i > 0);
    if (i > 0 && readsTiles)
      epilogue->begin(place);
    parity = epilogue->emit(place, sums[i], parity, i == 0 ? shape.columnParts() : 1);
  }
  return {b.wrap(sums[numAccumulators]), b.wrap(sums[numAccumulators + 1]), parity};
}

void MatmulEmitter::consume() {
  if (!deferred)
    b.setRegisters(shape.gathers() ? 224 : 232, /*increase=*/true);
  // Carried: the position in the ring, and the parity of the epilogue's extras.
  tiles.forTiles(PersistentTiles::Role::consumer, {b.i32(0), b.i32(0), b.i32(0)},
                 [&](const Tile &tile, ArrayRef<Expr> carried) -> State {
                   if (!shape.sharesRows())
                     return compute(tile, carried, /*numAccumulators=*/1, std::nullopt);
                   // Rows that are shared may be behind the last one.
                   PersistentTiles::Coordinates coordinates = tiles.locate(tile);
                   auto computeAll = [&](size_t numAccumulators) {
                     return llvm::map_to_vector(compute(tile, carried, numAccumulators, coordinates),
                                                [](Expr value) -> Value { return value; });
                   };
                   SmallVector<Type> types(carried.size(), carried.front().getType());
                   SmallVector<Value> after = choose(
                       types,
                       shape.isRaggedRows() ? hasSharedRows(coordinates)
                                            : tile.rows - coordinates.row > kConsumerGroups * kWarpgroupRows,
                       [&] { return computeAll(2); }, [&] { return computeAll(1); });
                   return llvm::map_to_vector(after, [&](Value value) { return b.wrap(value); });
                 });
  if (epilogue)
    epilogue->finish();
}

/// The warps of a deferred epilogue.
void MatmulEmitter::finishTiles() {
  tiles.forTiles(PersistentTiles::Role::consumer, {b.i32(0)}, [&](const Tile &tile, ArrayRef<Expr> carried) -> State {
    PersistentTiles::Coordinates coordinates = tiles.locate(tile);
    deferred->run({tile.firstRow + coordinates.row, tile.rows - coordinates.row, coordinates.output}, carried[0]);
    return {carried[0] ^ 1};
  });
}

LaunchShape MatmulEmitter::emit() {
  b.ifThen(b.thread == 0, [&] {
    for (int64_t stage = 0; stage < stages; ++stage) {
      b.initBarrier(full + stage * 8, 1 + (shape.gathers() ? shape.getProducerThreads() : 0));
      b.initBarrier(empty + stage * 8, kConsumerGroups);
    }
    if (epilogue)
      epilogue->initBarriers();
    else
      deferred->initBarriers();
    tiles.initBarriers();
  });
  b.publishBarriers();
  b.ifThenElse(
      b.warpgroup == 0,
      [&] {
        // What the consumers need more: their accumulators alone are 128 of the 168 that all threads start with. Without
        // an epilogue these are enough, and warps that run one need as many as that.
        if (!deferred) {
          b.setRegisters(shape.gathers() ? 56 : 40, /*increase=*/false);
          return produce();
        }
        Expr warp = b.shuffle(b.threadInGroup / kWarpSize, b.i32(0));
        b.ifThenElse(
            warp < shape.getProducerThreads() / kWarpSize, [&] { produce(); }, [&] { finishTiles(); });
      },
      [&] { consume(); });
  return {{tiles.getGrid(), 1, 1}, {kMatmulThreads, 1, 1}, 2 * shape.rows * shape.columns * shape.depth};
}

FailureOr<LaunchShape> emitWarpgroupMatmul(moe_kernel::MatmulOp op, EmitterContext &context) {
  moe_kernel::CUDAConfigAttr config = context.config;
  std::optional<Capabilities> capabilities = getCapabilities(op->getParentOfType<ModuleOp>());
  if (!capabilities)
    return failure();
  if (std::string obstacle = findWarpgroupObstacle(op, *capabilities); !obstacle.empty())
    return op.emitError() << "is configured for wgmma, but " << obstacle;
  int64_t tileM = config.getTileM(), tileN = config.getTileN(), stages = config.getStages();
  if (config.getThreads() != kMatmulThreads || (tileM != 128 && tileM != 192) ||
      (tileN != 256 && (tileN != 128 || tileM != 128)) || config.getTileK() != kStageDepth || stages < 2)
    return op.emitError()
           << "is configured for wgmma with " << config << "; it takes " << kMatmulThreads
           << " threads, tile_m = 128 and tile_n = 128 or 256, or tile_m = 192 and tile_n = 256, tile_k = "
           << kStageDepth << " and two stages or more";
  return MatmulEmitter(op, context).emit();
}

} // namespace mlir::moe::cuda
