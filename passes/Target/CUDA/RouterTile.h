//===- RouterTile.h - What follows the logits of a block --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A router's block of (tokens × experts), however its products are formed:
///
/// ```
/// logits of the block, or several sums of which they are made, to shared memory // an emitter's
/// if the block has not all experts: logits to the first block of a cluster, which goes on with all of them, or to global
///   memory, where the last block of the tokens does
/// a warp for each token, several at a time: scores, experts, weights; counts per expert in shared memory
/// if it makes the plan: the last block of all sorts the entries; the warp that has the only token does it in registers
/// ```
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_ROUTERTILE_H
#define PASSES_TARGET_CUDA_ROUTERTILE_H

#include "passes/Target/CUDA/ClusterExchange.h"
#include "passes/Target/CUDA/RouterShape.h"
#include "passes/Target/CUDA/TokenChoice.h"

namespace mlir::moe::cuda {

class RouterTile {
public:
  RouterTile(BlockBuilder &b, moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape);

  /// `computeLogits` stores every sum of the block; threads meet after it.
  LaunchShape emit(function_ref<void()> computeLogits);
  /// Stores the sum that group `group` has for a token and an expert of the block.
  void storeSum(Expr value, Expr group, Expr row, Expr column) {
    b.store(value, sums, group * getSumsOfGroup() + row * shape.getSumStride() + column);
  }

  const int64_t tokens, width, experts;
  const Expr rowTile, firstToken, firstExpert; ///< Of the block.

private:
  void passLogits();
  void routeTokens();
  void writeCounts();
  void makePlan();
  void planToken(Expr chosen);

  int64_t getRowTiles() const { return llvm::divideCeil(tokens, shape.rows); }
  int64_t getExpertTiles() const { return llvm::divideCeil(experts, shape.experts); }
  int64_t getSumsOfGroup() const { return shape.rows * shape.getSumStride(); }
  bool passesLogits() const { return getExpertTiles() > 1; }
  Expr getFirstLogit(Expr row, Expr token) const { return (cluster ? row : token) * experts; }
  /// The sum of the groups, for a row of the block.
  Expr loadLogit(Expr row, Expr expert);

  BlockBuilder &b;
  moe_kernel::RouterOp op;
  EmitterContext &context;
  RouterShape shape;
  TokenChoice choice;
  Value sums;      ///< Of groups × rows × experts of the block.
  /// Where blocks pass logits on: in the shared memory of the first one of a cluster, [rows, E], or else in global
  /// memory, [T, E].
  std::optional<ClusterExchange> cluster;
  Value exchanged;
};

/// Fails with an error on `op` if its blocks cannot be those of `shape`.
LogicalResult checkRouter(moe_kernel::RouterOp op, const RouterShape &shape);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_ROUTERTILE_H
