//===- HoistLoads.cpp - Reading before waiting ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/HoistLoads.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::moe::cuda {

/// Bytes of registers that loads may hold until they are needed.
static constexpr int64_t kMostBytes = 192;

static Value getMemory(Operation *op) {
  if (auto load = dyn_cast<vector::LoadOp>(op))
    return load.getBase();
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return load.getMemRef();
  return {};
}

static int64_t getBytes(Operation *load) {
  Type type = load->getResult(0).getType();
  auto vector = dyn_cast<VectorType>(type);
  int64_t bits = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  return (vector ? vector.getNumElements() : 1) * bits / 8;
}

void hoistLoads(Block &block, const DenseSet<Value> &memories) {
  Operation *anchor = nullptr;
  llvm::SmallPtrSet<Operation *, 32> movable; // At or behind the anchor.
  SmallVector<Operation *> loads;
  int64_t bytes = 0;
  for (Operation &op : block) {
    bool isLoad = memories.contains(getMemory(&op)), isPure = isMemoryEffectFree(&op) && op.getNumRegions() == 0;
    if (!anchor && !isPure)
      anchor = &op;
    if (!anchor || (!isLoad && !isPure) || op.hasTrait<OpTrait::IsTerminator>())
      continue;
    bool canMove = llvm::all_of(op.getOperands(), [&](Value operand) {
      Operation *producer = operand.getDefiningOp();
      return !producer || producer->getBlock() != &block || producer->isBeforeInBlock(anchor) ||
             movable.contains(producer);
    });
    if (!canMove)
      continue;
    movable.insert(&op);
    if (isLoad) {
      loads.push_back(&op);
      bytes += getBytes(&op);
    }
  }
  if (bytes > kMostBytes)
    return;

  // In the order of the block, so that what a load needs goes with it.
  llvm::SetVector<Operation *> moved;
  auto add = [&](Operation *op, auto &add) -> void {
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp(); producer && movable.contains(producer))
        add(producer, add);
    moved.insert(op);
  };
  for (Operation *load : loads)
    add(load, add);
  Operation *last = nullptr;
  for (Operation *op : moved) {
    if (last)
      op->moveAfter(last);
    else if (op != anchor)
      op->moveBefore(anchor);
    last = op;
  }
}

} // namespace mlir::moe::cuda
