//===- PlanSlice.h - Sort a slice of routed tokens by expert ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A stable counting sort by a block: it places the entries [begin, end) among all, each of its warps a part of them.
///
/// ```
/// each warp counts its part per expert                    // integer atomics: any order gives the same counts
/// each expert: the warps' counters become prefix sums
/// offsets by a prefix sum of the totals over the experts  // what other blocks have is given
/// each warp, 32 entries at a time in order: row = offset + counter + rank among the lanes with the same expert
/// ```
///
/// so entries of an expert keep their order.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_PLANSLICE_H
#define PASSES_TARGET_CUDA_PLANSLICE_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda {

class PlanSlice {
public:
  /// Slices of `size` of the entries of `indices`; allocates its shared memory.
  PlanSlice(BlockBuilder &b, Value indices, Value offsets, Value permutation, Value inverse, int64_t size);

  /// Places the entries from `begin` on, with all threads of the block. `countOthers` fills shared memory that is zero:
  /// how many entries of each expert are in the slices before this one, and in those behind; null: there are none.
  /// `writesOffsets`: whether this block writes them (null: yes).
  void emit(Expr begin, Expr writesOffsets, function_ref<void(Value before, Value behind)> countOthers);

  const int64_t entries, experts;

private:
  void forEntries(Expr begin, function_ref<void(Expr entry, Expr exists)> body);
  Expr counter(Expr warp, Expr expert) const { return counters.at(warp, expert); }
  void countParts(Expr begin);
  void sumParts(bool hasOthers);
  void scanExperts(Expr writesOffsets, bool hasOthers);
  void place(Expr begin);

  BlockBuilder &b;
  Value indices, offsets, permutation, inverse;
  int64_t size, sorters, part; ///< Entries of a slice, warps that sort them, and entries of one of these.
  MatrixView counters;
  Value starts, before, behind;
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_PLANSLICE_H
