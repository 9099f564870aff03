//===- Residuals.cpp - What the backward pass keeps of the forward pass -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Residuals.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::moe;

bool mlir::moe::isCheapToRecompute(Operation *op) {
  return isa<AddOp, MultiplyOp, DivideOp, NegateOp, CastOp, BroadcastOp, RMSNormOp, RopeOp, RopeTableOp,
             SequencePositionsOp, GatedActivationOp, RouterScoresOp, DispatchOp, ExpertLoadOp>(op);
}

SmallVector<Value> mlir::moe::collectResiduals(Block &forward, Block &backward) {
  llvm::DenseSet<Value> used;
  for (Operation &op : backward)
    used.insert(op.operand_begin(), op.operand_end());

  SmallVector<Value> residuals;
  auto addIfUsed = [&](Value value) {
    if (used.contains(value))
      residuals.push_back(value);
  };
  llvm::for_each(forward.getArguments(), addIfUsed);
  for (Operation &op : forward)
    llvm::for_each(op.getResults(), addIfUsed);
  return residuals;
}

namespace {
/// Decides which residuals to recompute.
class Recomputation {
public:
  Recomputation(ArrayRef<Value> residuals, bool recompute) : recompute(recompute) {
    // In the order of definition, so that what a residual is computed from has been decided on.
    for (Value residual : residuals)
      if (!isRecomputable(residual))
        kept.insert(residual);
    for (Value residual : residuals)
      request(residual);
  }

  /// The ops to clone, each after those that it uses.
  ArrayRef<Operation *> getOps() const { return ops.getArrayRef(); }

private:
  bool isKept(Value value) const { return isa<BlockArgument>(value) || kept.contains(value); }

  bool isRecomputable(Value value) const {
    Operation *op = value.getDefiningOp();
    if (!op || kept.contains(value))
      return false;
    if (matchPattern(op, m_Constant()))
      return true;
    return recompute && isCheapToRecompute(op) &&
           llvm::all_of(op->getOperands(), [&](Value operand) { return isKept(operand) || isRecomputable(operand); });
  }

  void request(Value value) {
    if (isKept(value))
      return;
    Operation *op = value.getDefiningOp();
    llvm::for_each(op->getOperands(), [&](Value operand) { request(operand); });
    ops.insert(op);
  }

  bool recompute;
  llvm::DenseSet<Value> kept;
  llvm::SetVector<Operation *> ops;
};
} // namespace

/// The first op of `block` that uses a result of `op`, which is not in `block`.
static Operation *findFirstUser(Operation *op, Block &block) {
  Operation *first = block.getTerminator();
  for (Operation *user : op->getUsers())
    if (user->getBlock() == &block && user->isBeforeInBlock(first))
      first = user;
  return first;
}

void mlir::moe::recomputeResiduals(Block &forward, Block &backward, bool recompute) {
  Recomputation recomputation(collectResiduals(forward, backward), recompute);
  // The last one first, so that the clones of its users have their place.
  for (Operation *op : llvm::reverse(recomputation.getOps())) {
    OpBuilder builder(findFirstUser(op, backward));
    Operation *clone = builder.clone(*op);
    op->replaceUsesWithIf(clone->getResults(), [&](OpOperand &use) { return use.getOwner()->getBlock() == &backward; });
  }
}
