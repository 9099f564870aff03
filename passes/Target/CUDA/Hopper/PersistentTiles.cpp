//===- PersistentTiles.cpp - Which tiles a block computes, one after the other -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/PersistentTiles.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace mlir::moe::cuda {

/// Blocks of a launch, one per multiprocessor: as many as an H100 or H200 has. The machine is not known here; on a GPU
/// with fewer, the last ones wait for a place.
static constexpr int64_t kBlocks = 132;
static constexpr int64_t kSlots = 2; ///< For numbers of tiles on their way from the producer to the consumers.

/// An i32 in device memory, zero when the module is loaded.
static Value createCounter(HopperBuilder &b) {
  auto kernel = b.builder.getBlock()->getParent()->getParentOfType<gpu::GPUFuncOp>();
  OpBuilder before(kernel);
  auto global = LLVM::GlobalOp::create(before, kernel.getLoc(), before.getI32Type(), /*isConstant=*/false,
                                       LLVM::Linkage::Internal, (kernel.getName() + "$tiles").str(),
                                       before.getI32IntegerAttr(0), /*alignment=*/4,
                                       static_cast<unsigned>(NVVM::NVVMMemorySpace::Global));
  return LLVM::AddressOfOp::create(b.builder, global);
}

PersistentTiles::PersistentTiles(HopperBuilder &b, const WarpgroupShape &shape, int64_t tileColumns, Value offsets)
    : b(b), shape(shape), tileOutputs(tileColumns / shape.halves()), columnTiles(shape.getColumnTiles(tileColumns)),
      grid(std::min(kBlocks, shape.getMostRowTiles() * columnTiles)), full(b.allocateBarriers(kSlots)),
      empty(b.allocateBarriers(kSlots)), numbers(b.allocateBytes(4 * kSlots, 8)) {
  if (!shape.takesTilesInTurn())
    counter = createCounter(b);
  if (!offsets)
    return;
  offsetTable = b.allocateBytes(4 * (shape.experts + 1), 16);
  b.forThreads(shape.experts + 1,
               [&](Expr expert) { b.storeWord(b.load(offsets, expert), offsetTable + expert.toI32() * 4); });
  if (!shape.isContraction())
    return;
  orderTable = b.allocateBytes(4 * shape.experts, 16);
  b.barrier();
  sortExperts();
}

/// Each thread counts, for its expert, those that come before it: with more rows, or as many and a lower number.
void PersistentTiles::sortExperts() {
  auto countRows = [&](Expr expert) { return loadOffset(expert + 1) - loadOffset(expert); };
  b.forThreads(shape.experts, [&](Expr number) {
    Expr mine = number.toI32(), rows = countRows(mine);
    SmallVector<Expr> rank = b.loopWhile(
        {b.i32(0), b.i32(0)}, [&](ArrayRef<Expr> carried) { return carried[0] < shape.experts; },
        [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
          Expr other = carried[0], otherRows = countRows(other);
          Expr isBefore = select(otherRows == rows, other < mine, rows < otherRows);
          return {other + 1, carried[1] + select(isBefore, b.i32(1), b.i32(0))};
        });
    b.storeWord(mine, orderTable + rank[1] * 4);
  });
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

Expr PersistentTiles::getRowTiles(Expr expert) {
  return (loadOffset(expert + 1) - loadOffset(expert) + (shape.tileRows - 1)) / shape.tileRows;
}

std::pair<Expr, Expr> PersistentTiles::findExpert(Expr number, Expr expert, Expr start) {
  // Carried: the expert, the number of its first tile, that of the next expert's.
  auto withEnd = [&](Expr expert, Expr start) {
    // Behind the last expert, offsets are not read.
    Expr safe = min(expert, b.i32(shape.experts - 1));
    return SmallVector<Expr>{expert, start, start + getRowTiles(safe) * columnTiles};
  };
  auto isElsewhere = [&](ArrayRef<Expr> carried) {
    return (carried[0] < shape.experts) & ((number < carried[2]) == 0);
  };
  auto found = b.loopWhile(withEnd(expert, start), isElsewhere,
                           [&](ArrayRef<Expr> carried) { return withEnd(carried[0] + 1, carried[2]); });
  return {found[0], found[1]};
}

PersistentTiles::Tile PersistentTiles::getTile(Expr number, Expr expert, Expr start) {
  int64_t rowTiles = llvm::divideCeil(shape.rows, shape.tileRows);
  if (shape.isRaggedRows()) {
    Expr firstRow = loadOffset(expert), rows = loadOffset(expert + 1) - firstRow;
    return {expert, firstRow, rows, b.i32(shape.depth), (rows + (shape.tileRows - 1)) / shape.tileRows, number - start};
  }
  if (!shape.isContraction())
    return {b.i32(0), b.i32(0), b.i32(shape.rows), b.i32(shape.depth), b.i32(rowTiles), number};
  int64_t tilesEach = rowTiles * columnTiles;
  if (!shape.isRagged) {
    Expr part = number / tilesEach;
    int64_t depth = shape.depth / shape.experts;
    return {part, part * depth, b.i32(shape.rows), b.i32(depth), b.i32(rowTiles), number % tilesEach};
  }
  expert = b.loadInteger(orderTable + number / tilesEach * 4);
  Expr firstRow = loadOffset(expert);
  return {expert, firstRow, b.i32(shape.rows), loadOffset(expert + 1) - firstRow, b.i32(rowTiles), number % tilesEach};
}

void PersistentTiles::initBarriers() {
  int64_t threads = kConsumerGroups * kWarpgroupSize + (shape.gathers() ? shape.getProducerThreads() : 0) +
                    (shape.defersEpilogue ? kEpilogueThreads : 0);
  int64_t warps = threads / kWarpSize;
  for (int64_t slot = 0; slot < kSlots; ++slot) {
    b.initBarrier(full + slot * 8, 1);
    b.initBarrier(empty + slot * 8, warps);
  }
}

void PersistentTiles::prepareToLead() {
  numTiles = b.i32(shape.getMostRowTiles() * columnTiles);
  if (!shape.isRaggedRows())
    return;
  numTiles = b.i32(0);
  for (int64_t first = 0; first < shape.experts; first += kWarpSize) {
    Expr expert = b.lane.toI32() + first, safe = min(expert, b.i32(shape.experts - 1));
    numTiles = numTiles + select(expert < shape.experts, getRowTiles(safe), b.i32(0));
  }
  numTiles = b.sumLanes(numTiles) * columnTiles;
}

Expr PersistentTiles::takeNumber() {
  // The counter wraps when all tiles' blocks have asked once for each.
  Value taken = LLVM::AtomicRMWOp::create(b.builder, LLVM::AtomicBinOp::uinc_wrap, counter, numTiles - 1,
                                          LLVM::AtomicOrdering::monotonic, "device");
  return b.wrap(taken) + grid;
}

/// The barriers order what is written to a slot and what is read. That both are atomic spares those who look for races
/// with tools that do not follow such barriers.
static Expr exchange(HopperBuilder &b, LLVM::AtomicBinOp kind, Expr address, Expr value) {
  return b.wrap(LLVM::AtomicRMWOp::create(b.builder, kind, b.pointer(address), value, LLVM::AtomicOrdering::monotonic,
                                          "block"));
}

Expr PersistentTiles::share(Role role, Expr number, Expr sequence) {
  Expr slot = sequence % kSlots, parity = sequence / kSlots % 2;
  auto publish = [&] {
    b.wait(empty + slot * 8, parity ^ 1);
    exchange(b, LLVM::AtomicBinOp::xchg, numbers + slot * 4, number);
    b.arrive(full + slot * 8);
  };
  if (role == Role::leader) {
    publish();
    return number;
  }
  if (role == Role::producer)
    b.ifThen(b.threadInGroup == 0, publish);
  b.wait(full + slot * 8, parity);
  Expr shared = b.valueIf(b.lane == 0, b.i32(0), [&] {
    Expr read = exchange(b, LLVM::AtomicBinOp::_or, numbers + slot * 4, b.i32(0));
    b.arrive(empty + slot * 8);
    return read;
  });
  return b.shuffle(shared, b.i32(0));
}

PersistentTiles::State PersistentTiles::forTiles(Role role, State state,
                                                 function_ref<State(const Tile &, ArrayRef<Expr>)> body) {
  // Carried: how many tiles there were, the number of the tile, its expert and the number of the expert's first tile,
  // then the state.
  constexpr size_t kOwn = 4;
  Expr number = b.block.toI32(), expert = b.i32(0), start = b.i32(0);
  if (shape.isRaggedRows())
    std::tie(expert, start) = findExpert(number, expert, start);
  State carried = {b.i32(0), number, expert, start};
  carried.append(state);
  auto exists = [&](ArrayRef<Expr> carried) {
    return shape.isRaggedRows() ? carried[2] < shape.experts : carried[1] < shape.getMostRowTiles() * columnTiles;
  };
  State last = b.loopWhile(carried, exists, [&](ArrayRef<Expr> carried) {
    Expr number = carried[1] + grid;
    // Early, as the counter is far away.
    if (!shape.takesTilesInTurn() && role == Role::leader)
      number = takeNumber();
    else if (!shape.takesTilesInTurn() && role == Role::producer)
      number = b.valueIf(b.threadInGroup == 0, b.i32(0), [&] { return takeNumber(); });
    State rest = body(getTile(carried[1], carried[2], carried[3]), carried.drop_front(kOwn));
    if (!shape.takesTilesInTurn())
      number = share(role, number, carried[0]);
    Expr expert = carried[2], start = carried[3];
    if (shape.isRaggedRows())
      std::tie(expert, start) = findExpert(number, expert, start);
    State next = {carried[0] + 1, number, expert, start};
    next.append(rest);
    return next;
  });
  return State(llvm::drop_begin(last, kOwn));
}

PersistentTiles::Coordinates PersistentTiles::locate(const Tile &tile) {
  Expr group = tile.number / (kGroupedRowTiles * columnTiles), first = group * kGroupedRowTiles;
  Expr inGroup = min(tile.rowTiles - first, b.i32(kGroupedRowTiles));
  Expr rest = tile.number - group * (kGroupedRowTiles * columnTiles), column = rest / inGroup;
  Expr rowTile = first + rest - column * inGroup, row = rowTile * shape.tileRows, output = column * tileOutputs;
  if (!shape.isRaggedRows())
    return {row, Expr(), output};
  Expr endRow = row + shape.tileRows;
  if (shape.sharesRows()) {
    constexpr int64_t kOwnRows = kConsumerGroups * kWarpgroupRows;
    Expr last = tile.rowTiles - 1, lastRows = tile.rows - last * shape.tileRows;
    Expr isEven = (last > 0) & (lastRows < kWarpgroupRows + 1);
    row = select(isEven & (rowTile == last), row - (shape.tileRows - kOwnRows), row);
    endRow = select(isEven & (rowTile > last - 2), row + kOwnRows, endRow);
  }
  return {row, min(endRow, tile.rows), output};
}

} // namespace mlir::moe::cuda
