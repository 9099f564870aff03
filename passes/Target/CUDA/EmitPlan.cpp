//===- EmitPlan.cpp - The permutation of routed tokens ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A counting sort by one block. Each warp owns a consecutive part of the entries, and has a counter per expert in shared
/// memory:
///
/// ```
/// each warp: count its entries per expert                         // integer atomics: any order gives the same counts
/// each expert: counters become prefix sums over the warps; offsets by a prefix sum over the experts
/// each warp, 32 entries at a time in order: row = counter + rank among the lanes with the same expert
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
  int64_t part = llvm::alignTo(llvm::divideCeil(entries, sorters), kWarpSize);
  MatrixView counters = {b.allocateShared(sorters * experts, b.builder.getI32Type()), b.index(0), experts};
  Value starts = b.allocateShared(experts, b.builder.getI32Type());
  auto counter = [&](Expr warp, Expr expert) { return counters.at(warp, expert); };

  // Calls `body` for each 32 entries of the warp, all lanes together; `entry` may be past the last.
  auto forEntries = [&](function_ref<void(Expr entry, Expr exists)> body) {
    b.ifThen(sorters == b.warps ? Expr() : b.warp < sorters, [&] {
      Expr first = b.warp * part, last = min(first + part, b.index(entries));
      b.loop(first, last, kWarpSize, [&](Expr group) {
        Expr entry = group + b.lane;
        body(entry, entry < entries);
      });
    });
  };

  b.forThreads(sorters * experts, [&](Expr i) { b.store(b.i32(0), counters.memory, i); });
  b.barrier();
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
    b.store(total, starts, expert);
  });
  b.barrier();
  b.ifThen(b.warp == 0, [&] {
    Expr all = b.loop(b.index(0), b.index(experts), kWarpSize, {b.i32(0)}, [&](Expr first, ArrayRef<Expr> before) {
      Expr expert = first + b.lane, exists = experts % kWarpSize == 0 ? Expr() : expert < experts;
      Expr count = b.loadOrZero(starts, expert, exists), end = before[0] + b.scanLanes(count);
      b.ifThen(exists, [&] {
        b.store(end - count, starts, expert);
        b.store(end - count, offsets, expert);
      });
      return SmallVector<Expr>{b.shuffle(end, b.i32(kWarpSize - 1))};
    })[0];
    b.ifThen(b.lane == 0, [&] { b.store(all, offsets, b.index(experts)); });
  });
  b.barrier();

  forEntries([&](Expr entry, Expr exists) {
    // Lanes without an entry form a group of their own.
    Expr expert = select(exists, b.loadOrZero(indices, entry, exists), b.i32(-1));
    Expr peers = b.matchAny(expert), rank = b.lanesBelow(peers);
    Expr slot = counter(b.warp, select(exists, expert, b.i32(0)).toIndex());
    Expr before = b.load(counters.memory, slot);
    b.warpBarrier(); // All lanes have read their counters.
    b.ifThen(both(exists, rank == 0), [&] { b.store(before + b.countBits(peers), counters.memory, slot); });
    b.ifThen(exists, [&] {
      Expr row = b.load(starts, expert.toIndex()) + before + rank;
      b.store(entry.toI32(), permutation, row.toIndex());
      b.store(row, inverse, entry);
    });
    b.warpBarrier(); // The counters are up to date.
  });
  return {{1, 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
