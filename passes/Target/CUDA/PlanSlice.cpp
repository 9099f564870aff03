//===- PlanSlice.cpp - Sort a slice of routed tokens by expert --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/PlanSlice.h"

namespace mlir::moe::cuda {

/// What the counters may take of a block's shared memory; with many experts fewer warps take part.
static constexpr int64_t kMaxCounterBytes = 40 * 1024;

PlanSlice::PlanSlice(BlockBuilder &b, Value indices, Value offsets, Value permutation, Value inverse, int64_t size)
    : entries(cast<MemRefType>(indices.getType()).getNumElements()),
      experts(cast<MemRefType>(offsets.getType()).getNumElements() - 1), b(b), indices(indices), offsets(offsets),
      permutation(permutation), inverse(inverse), size(size) {
  int64_t mostSorters = std::min(b.warps, llvm::divideCeilSigned(size, kWarpSize));
  sorters = std::clamp<int64_t>(kMaxCounterBytes / (4 * experts), 1, mostSorters);
  part = llvm::alignTo(llvm::divideCeil(size, sorters), kWarpSize);
  Type i32 = b.builder.getI32Type();
  counters = {b.allocateShared(sorters * experts, i32), b.index(0), experts};
  starts = b.allocateShared(experts, i32);
  before = b.allocateShared(experts, i32);
  behind = b.allocateShared(experts, i32);
}

/// Calls `body` for each 32 entries of the warp, all lanes together; `entry` may be past the last.
void PlanSlice::forEntries(Expr begin, function_ref<void(Expr, Expr)> body) {
  b.ifThen(sorters == b.warps ? Expr() : b.warp < sorters, [&] {
    Expr end = min(begin + size, b.index(entries));
    Expr first = begin + b.warp * part, last = min(first + part, end);
    b.loop(first, last, kWarpSize, [&](Expr group) {
      Expr entry = group + b.lane;
      body(entry, entry < last);
    });
  });
}

void PlanSlice::countParts(Expr begin) {
  forEntries(begin, [&](Expr entry, Expr exists) {
    b.ifThen(exists,
             [&] { b.atomicAdd(b.i32(1), counters.memory, counter(b.warp, b.load(indices, entry).toIndex())); });
  });
}

/// The warps' counters become the entries before them in the slice; `starts` is all entries of the expert.
void PlanSlice::sumParts(bool hasOthers) {
  b.forThreads(experts, [&](Expr expert) {
    Expr total = b.loop(b.index(0), b.index(sorters), 1, {b.i32(0)}, [&](Expr warp, ArrayRef<Expr> sum) {
      Expr count = b.load(counters.memory, counter(warp, expert));
      b.store(sum[0], counters.memory, counter(warp, expert));
      return SmallVector<Expr>{sum[0] + count};
    })[0];
    if (hasOthers)
      total = total + b.load(before, expert) + b.load(behind, expert);
    b.store(total, starts, expert);
  });
}

/// By the first warp, a lane for neighbouring experts: `starts` becomes where the slice's entries of an expert begin.
void PlanSlice::scanExperts(Expr writesOffsets, bool hasOthers) {
  int64_t perLane = llvm::divideCeil(experts, kWarpSize);
  b.ifThen(b.warp == 0, [&] {
    auto forExperts = [&](function_ref<void(Expr expert, Expr exists)> body) {
      for (int64_t i = 0; i < perLane; ++i) {
        Expr expert = b.lane * perLane + i;
        body(expert, experts % kWarpSize == 0 ? Expr() : expert < experts);
      }
    };
    SmallVector<Expr> counts;
    Expr sum = b.i32(0);
    forExperts([&](Expr expert, Expr exists) {
      counts.push_back(b.valueIf(exists, b.i32(0), [&] { return b.load(starts, expert); }));
      sum = sum + counts.back();
    });
    Expr end = b.scanLanes(sum) - sum;
    int64_t i = 0;
    forExperts([&](Expr expert, Expr exists) {
      b.ifThen(exists, [&] {
        b.store(hasOthers ? end + b.load(before, expert) : end, starts, expert);
        b.ifThen(writesOffsets, [&] { b.store(end, offsets, expert); });
      });
      end = end + counts[i++];
    });
    b.ifThen(both(b.lane == kWarpSize - 1, writesOffsets), [&] { b.store(end, offsets, b.index(experts)); });
  });
}

void PlanSlice::place(Expr begin) {
  forEntries(begin, [&](Expr entry, Expr exists) {
    // Lanes without an entry form a group of their own.
    Expr expert = select(exists, b.loadOrZero(indices, entry, exists), b.i32(-1));
    Expr peers = b.matchAny(expert), rank = b.lanesBelow(peers);
    Expr slot = counter(b.warp, select(exists, expert, b.i32(0)).toIndex());
    // The first of them counts for all.
    Expr first = both(exists, rank == 0), counted = b.valueIf(first, b.i32(0), [&] {
      Expr count = b.load(counters.memory, slot);
      b.store(count + b.countBits(peers), counters.memory, slot);
      return count;
    });
    Expr earlier = b.shuffle(counted, b.lowestBit(peers));
    b.ifThen(exists, [&] {
      Expr row = b.load(starts, expert.toIndex()) + earlier + rank;
      b.store(entry.toI32(), permutation, row.toIndex());
      b.store(row, inverse, entry);
    });
    b.warpBarrier(); // The counters are up to date.
  });
}

void PlanSlice::emit(Expr begin, Expr writesOffsets, function_ref<void(Value, Value)> countOthers) {
  b.forThreads(sorters * experts, [&](Expr i) { b.store(b.i32(0), counters.memory, i); });
  if (countOthers)
    b.forThreads(experts, [&](Expr expert) {
      b.store(b.i32(0), before, expert);
      b.store(b.i32(0), behind, expert);
    });
  b.barrier();
  if (countOthers)
    countOthers(before, behind);
  countParts(begin);
  b.barrier();
  sumParts(/*hasOthers=*/bool(countOthers));
  b.barrier();
  scanExperts(writesOffsets, /*hasOthers=*/bool(countOthers));
  b.barrier();
  place(begin);
}

} // namespace mlir::moe::cuda
