//===- MatmulPlan.h - How a matmul runs on warpgroups, and what that costs -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The one place that chooses: tiles, stages, whether gathered rows are copied first, and in how many parts a long
/// contraction is summed. Every choice is the least of a few predicted times, from sizes alone; nothing is searched at
/// run time. The prediction has three bounds, and takes the largest:
///
/// | bound | is |
/// |---|---|
/// | products | stages and epilogues of all tiles, over 132 multiprocessors; a stage is its wgmmas, or its shared bytes |
/// | cache | what tiles of experts' rows read from the L2 cache, faster if blocks read it together |
/// | memory | every byte of operands and results once |
///
/// The constants are those of an H100.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_MATMULPLAN_H
#define PASSES_TARGET_CUDA_HOPPER_MATMULPLAN_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Target/CUDA/Capabilities.h"

#include <optional>
#include <string>

namespace mlir::moe::cuda {

struct MatmulPlan {
  int64_t tileRows = 0, tileColumns = 0, stages = 0;
  int64_t expectedRows = 0; ///< Of each expert, for ragged kinds.
  double products = 0;      ///< Microseconds, as are the following.
  double cache = 0; ///< Only of experts' rows.
  double memory = 0;

  double getTime() const { return std::max({products, cache, memory}); }
  /// "192 x 256 tiles, 3 stages, 512 rows per expert: 641 us (products 641, memory 312)".
  std::string describe() const;
};

/// The best plan for `op` on warpgroups; none where it cannot run on them, or not well. `gathers` says whether the rows
/// of its row index, if it has one, are gathered in the kernel; otherwise it is planned as if they were in order.
std::optional<MatmulPlan> planMatmul(moe_kernel::MatmulOp op, const Capabilities &capabilities, bool gathers = true);

/// A kernel that copies `rows` of `tokens` rows of `columns` bf16, some more than once, in microseconds. `readsOnce`: each
/// token is read once and written to all of its rows.
double getCopyTime(int64_t tokens, int64_t rows, int64_t columns, bool readsOnce);

struct PartsChoice {
  int64_t parts = 1;
  double time = 0, wholeTime = 0; ///< With them and their sum, and without.
};
/// In how many parts the contraction of `op` is summed: 1, or as many as make it faster.
PartsChoice chooseParts(moe_kernel::MatmulOp op, const Capabilities &capabilities);

/// Tells whoever asks for remarks of the category `configure` (`moe-opt --remarks-filter=configure`) what was chosen for
/// `kernel`, and why.
void explain(moe_kernel::KernelOp kernel, const Twine &choice);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_MATMULPLAN_H
