//===- EmitPlan.cpp - The permutation of routed tokens ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each block places a slice of the entries (PlanSlice.h). Blocks do not wait for one another: what the other slices
/// have per expert it learns from `counts`, which the router wrote, or else counts itself: all entries are in the L2
/// cache.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/CUDA/PlanSlice.h"

namespace mlir::moe::cuda {

LaunchShape emitPlan(moe_kernel::PlanOp op, EmitterContext &context) {
  BlockBuilder b(context);
  Value indices = b.operand(op.getIndices());
  int64_t entries = op.getIndices().getType().getNumElements();
  int64_t size = std::min(context.config.getTileM(), entries), slices = llvm::divideCeil(entries, size);
  PlanSlice slice(b, indices, b.result(op.getOffsets()), b.result(op.getPermutation()), b.result(op.getInverse()),
                  size);
  Expr begin = b.block * size, end = min(begin + size, b.index(entries));

  auto countEntries = [&](Value counts, Expr first, Expr last) {
    b.loop(first + b.thread, last, b.threads,
           [&](Expr entry) { b.atomicAdd(b.i32(1), counts, b.load(indices, entry).toIndex()); });
  };
  auto countAll = [&](Value before, Value behind) {
    countEntries(before, b.index(0), begin);
    countEntries(behind, end, b.index(entries));
  };
  // Each thread sums some of the chunks for an expert.
  auto sumCounts = [&](Value before, Value behind) {
    constexpr int64_t kAtOnce = 8;
    Value counts = b.operand(op.getCounts());
    int64_t chunks = op.getCounts().getType().getDimSize(0), topK = op.getIndices().getType().getDimSize(1);
    int64_t parts = std::max<int64_t>(1, b.threads / slice.experts), perSlice = size / (*op.getChunk() * topK);
    Expr part = b.thread / slice.experts, firstChunk = b.block * perSlice;
    b.ifThen(parts * slice.experts >= b.threads ? Expr() : part < parts, [&] {
      b.loop(b.thread % slice.experts, b.index(slice.experts), b.threads, [&](Expr expert) {
        SmallVector<Expr> sums(2, b.i32(0));
        sums = b.loop(part, b.index(chunks), parts * kAtOnce, sums, [&](Expr first, ArrayRef<Expr> carried) {
          SmallVector<Expr> sums(carried);
          for (int64_t i = 0; i < kAtOnce; ++i) {
            Expr chunk = first + i * parts, exists = chunks % (parts * kAtOnce) == 0 ? Expr() : chunk < chunks;
            Expr count = b.loadOrZero(counts, chunk * slice.experts + expert, exists);
            sums[0] = sums[0] + select(chunk < firstChunk, count, b.i32(0));
            sums[1] = sums[1] + select(chunk < firstChunk + perSlice, b.i32(0), count);
          }
          return sums;
        });
        b.atomicAdd(sums[0], before, expert);
        b.atomicAdd(sums[1], behind, expert);
      });
    });
  };
  function_ref<void(Value, Value)> countOthers = nullptr;
  if (slices > 1)
    countOthers = op.getCounts() ? function_ref<void(Value, Value)>(sumCounts) : countAll;
  slice.emit(begin, b.block == 0, countOthers);
  return {{slices, 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
