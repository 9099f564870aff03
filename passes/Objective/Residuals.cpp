//===- Residuals.cpp - What the backward pass keeps of the forward pass -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Residuals.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::moe;

bool mlir::moe::mayRecompute(Operation *op, ActivationCheckpointing policy) {
  if (matchPattern(op, m_Constant()))
    return true;
  switch (policy) {
  case ActivationCheckpointing::none:
    return false;
  case ActivationCheckpointing::selective:
    return isa<AddOp, MultiplyOp, DivideOp, NegateOp, CastOp, BroadcastOp, RMSNormOp, RopeOp, RopeTableOp,
               SequencePositionsOp, GatedActivationOp, WeightedGatedActivationOp, RouterScoresOp, DispatchOp,
               ExpertLoadOp>(op);
  case ActivationCheckpointing::full:
    return isPure(op) && !isa<TopKGateOp, PlanRoutingOp>(op);
  }
  llvm_unreachable("unknown policy");
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
  Recomputation(ArrayRef<Value> residuals, ActivationCheckpointing policy) : policy(policy) {
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
  /// With the policy `full` anything may become a residual that is not computed again.
  bool isKept(Value value) const {
    return isa<BlockArgument>(value) || kept.contains(value) ||
           (policy == ActivationCheckpointing::full && !mayRecompute(value.getDefiningOp(), policy));
  }

  bool isRecomputable(Value value) const {
    return !isKept(value) && mayRecompute(value.getDefiningOp(), policy) &&
           llvm::all_of(value.getDefiningOp()->getOperands(),
                        [&](Value operand) { return isKept(operand) || isRecomputable(operand); });
  }

  void request(Value value) {
    if (isKept(value) || ops.contains(value.getDefiningOp()))
      return;
    Operation *op = value.getDefiningOp();
    llvm::for_each(op->getOperands(), [&](Value operand) { request(operand); });
    ops.insert(op);
  }

  ActivationCheckpointing policy;
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

void mlir::moe::recomputeResiduals(Block &forward, Block &backward, ActivationCheckpointing policy) {
  Recomputation recomputation(collectResiduals(forward, backward), policy);
  // The last one first, so that the clones of its users have their place.
  for (Operation *op : llvm::reverse(recomputation.getOps())) {
    OpBuilder builder(findFirstUser(op, backward));
    Operation *clone = builder.clone(*op);
    op->replaceUsesWithIf(clone->getResults(), [&](OpOperand &use) { return use.getOwner()->getBlock() == &backward; });
  }
}
