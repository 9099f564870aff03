//===- EmitPlan.cpp - The permutation of routed tokens ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A counting sort. Each block places a consecutive slice of the entries, and each of its warps a part of the slice. Blocks
/// do not wait for one another: each counts the entries of all slices itself, which the L2 cache holds.
///
/// ```
/// all threads: count the entries per expert before the slice and behind it, each warp those of its part
///                                                                 // integer atomics: any order gives the same counts
/// each expert: the warps' counters become prefix sums; offsets by a prefix sum over the experts
/// each warp, 32 entries at a time in order: row = offset + counters before + rank among the lanes with the same expert
/// ```
///
/// so entries of an expert keep their order.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/EmitStructured.h"

namespace mlir::moe::cuda {

/// What the counters may take of a block's shared memory; with many experts fewer warps take part.
static constexpr int64_t kMaxCounterBytes = 40 * 1024;

LaunchShape emitPlan(moe_kernel::PlanOp op, EmitterContext &context) {
  BlockBuilder b(context);
  int64_t entries = op.getIndices().getType().getNumElements();
  int64_t experts = op.getOffsets().getType().getNumElements() - 1;
  Value indices = b.operand(op.getIndices());
  Value offsets = b.result(op.getOffsets()), permutation = b.result(op.getPermutation());
  Value inverse = b.result(op.getInverse());

  int64_t sorters = std::clamp<int64_t>(kMaxCounterBytes / (4 * experts), 1, b.warps);
  int64_t slice = std::min(context.config.getTileM(), entries), slices = llvm::divideCeil(entries, slice);
  int64_t part = llvm::alignTo(llvm::divideCeil(slice, sorters), kWarpSize);
  Expr sliceBegin = b.block * slice, sliceEnd = min(sliceBegin + slice, b.index(entries));
  MatrixView counters = {b.allocateShared(sorters * experts, b.builder.getI32Type()), b.index(0), experts};
  Value starts = b.allocateShared(experts, b.builder.getI32Type());
  Value before = b.allocateShared(experts, b.builder.getI32Type()); // Entries of the slices before, per expert,
  Value behind = b.allocateShared(experts, b.builder.getI32Type()); // and of those behind.
  auto counter = [&](Expr warp, Expr expert) { return counters.at(warp, expert); };

  // Calls `body` for each 32 entries of the warp, all lanes together; `entry` may be past the last.
  auto forEntries = [&](function_ref<void(Expr entry, Expr exists)> body) {
    b.ifThen(sorters == b.warps ? Expr() : b.warp < sorters, [&] {
      Expr first = sliceBegin + b.warp * part, last = min(first + part, sliceEnd);
      b.loop(first, last, kWarpSize, [&](Expr group) {
        Expr entry = group + b.lane;
        body(entry, entry < last);
      });
    });
  };

  auto countIn = [&](Value counts, Expr first, Expr last) {
    b.loop(first + b.thread, last, b.threads, [&](Expr entry) {
      b.atomicAdd(b.i32(1), counts, b.load(indices, entry).toIndex());
    });
  };

  b.forThreads(sorters * experts, [&](Expr i) { b.store(b.i32(0), counters.memory, i); });
  b.forThreads(experts, [&](Expr expert) {
    b.store(b.i32(0), before, expert);
    b.store(b.i32(0), behind, expert);
  });
  b.barrier();
  if (slices > 1) {
    countIn(before, b.index(0), sliceBegin);
    countIn(behind, sliceEnd, b.index(entries));
  }
  forEntries([&](Expr entry, Expr exists) {
    b.ifThen(exists, [&] {
      b.atomicAdd(b.i32(1), counters.memory, counter(b.warp, b.load(indices, entry).toIndex()));
    });
  });
  b.barrier();
  b.forThreads(experts, [&](Expr expert) {
    Expr total = b.loop(b.index(0), b.index(sorters), 1, {b.i32(0)}, [&](Expr warp, ArrayRef<Expr> sum) {
      Expr count = b.load(counters.memory, counter(warp, expert));
      b.store(sum[0], counters.memory, counter(warp, expert));
      return SmallVector<Expr>{sum[0] + count};
    })[0];
    b.store(total + b.load(before, expert) + b.load(behind, expert), starts, expert);
  });
  b.barrier();
  b.ifThen(b.warp == 0, [&] {
    Expr all = b.loop(b.index(0), b.index(experts), kWarpSize, {b.i32(0)}, [&](Expr first, ArrayRef<Expr> smaller) {
      Expr expert = first + b.lane, exists = experts % kWarpSize == 0 ? Expr() : expert < experts;
      Expr count = b.valueIf(exists, b.i32(0), [&] { return b.load(starts, expert); });
      Expr end = smaller[0] + b.scanLanes(count);
      b.ifThen(exists, [&] {
        b.store(end - count + b.load(before, expert), starts, expert);
        b.ifThen(b.block == 0, [&] { b.store(end - count, offsets, expert); });
      });
      return SmallVector<Expr>{b.shuffle(end, b.i32(kWarpSize - 1))};
    })[0];
    b.ifThen(both(b.lane == 0, b.block == 0), [&] { b.store(all, offsets, b.index(experts)); });
  });
  b.barrier();

  forEntries([&](Expr entry, Expr exists) {
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
  return {{slices, 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
