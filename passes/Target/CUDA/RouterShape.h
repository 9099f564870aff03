//===- RouterShape.h - How blocks share the logits of a router --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A block computes the logits of `rows` tokens for `experts` experts. Its warps are `groups` groups, each of which
/// contracts its own part; their sums are added in the order of the groups.
///
/// For a single token (`rows` of 1) weights are in registers, and a group contracts `depth` elements in one stage. With
/// `mma.sync` a group contracts its own part of every stage. Warpgroups (384 threads, one of three for TMA) are for many
/// tokens: two of them share 128 tokens, or are two groups of 64 that take the stages in turns.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_ROUTERSHAPE_H
#define PASSES_TARGET_CUDA_ROUTERSHAPE_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Target/CUDA/Capabilities.h"

namespace mlir::moe::cuda {

struct RouterShape {
  int64_t rows = 16, experts = 16; ///< Of a block: multiples of 16, or one token and any number of experts.
  int64_t depth = 64;              ///< Of a stage, for a group: 32 or 64; for one token, all that the group contracts.
  int64_t stages = 2;
  int64_t groups = 1;
  int64_t tokenWarps = 8;          ///< Of a block, for one token.
  bool usesWarpgroups = false;

  /// Consecutive elements that a lane has of an expert, of a single token.
  static constexpr int64_t kTokenElements = 4;

  bool isForToken() const { return rows == 1; }

  /// Of `mma.sync`: a warp has accumulators for up to 32 tokens and, if they can be halved so often, 64 experts.
  int64_t getWarpRows() const { return std::min<int64_t>(rows, 32); }
  int64_t getWarpExperts() const;
  int64_t getWarpsOfGroup() const;

  int64_t getThreads() const;
  /// Between the rows of sums in shared memory: 8 rows of a fragment start in different banks.
  int64_t getSumStride() const { return experts + 8; }
  /// Of operands and sums.
  int64_t getSharedBytes() const;

  /// Whether the blocks that share a token's `allExperts` experts are a cluster, and pass their logits on in shared memory.
  bool fillsCluster(int64_t tokens, int64_t allExperts, const Capabilities &capabilities) const;

  /// From what configure wrote; nothing if it cannot be emitted.
  static std::optional<RouterShape> get(moe_kernel::CUDAConfigAttr config);
  /// For `tokens` tokens of `width` elements and `experts` experts: the blocks that read least, with a multiprocessor
  /// for each if possible.
  static RouterShape choose(int64_t tokens, int64_t width, int64_t experts, const Capabilities &capabilities);
  moe_kernel::CUDAConfigAttr toConfig(MLIRContext *context) const;

  bool operator==(const RouterShape &) const = default;
};

/// Entries up to which the router's last block makes the plan, and with which a slice of a plan begins.
inline constexpr int64_t kMostPlannedEntries = 1024, kSliceEntries = 512;

/// Whether tensor cores can take the operands: bf16, with rows of whole 16 bytes.
bool canRoute(RankedTensorType input, RankedTensorType weight);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_ROUTERSHAPE_H
