//===- Activity.cpp - Which values need a gradient --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Activity.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::moe;

func::FuncOp mlir::moe::getCallee(func::CallOp call) {
  return SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
}

namespace {
/// Depth first, so that callees come before their callers.
class CallGraphWalk {
public:
  LogicalResult visit(func::FuncOp func) {
    if (llvm::is_contained(order, func))
      return success();
    if (func.isExternal())
      return func.emitError("cannot be differentiated: it has no body");
    if (!open.insert(func).second)
      return func.emitError("cannot be differentiated: it calls itself");
    for (auto call : func.front().getOps<func::CallOp>())
      if (failed(visit(getCallee(call))))
        return failure();
    order.push_back(func);
    return success();
  }

  SmallVector<func::FuncOp> order;

private:
  llvm::DenseSet<func::FuncOp> open;
};

/// Grows a set of values until nothing changes.
class ValueSet {
public:
  bool contains(Value value) const { return values.contains(value); }
  void insert(Value value) {
    if (isa<FloatType>(getElementTypeOrSelf(value.getType())))
      changed |= values.insert(value).second;
  }
  void insertIf(bool condition, Value value) {
    if (condition)
      insert(value);
  }
  bool takeChanged() { return std::exchange(changed, false); }
  llvm::DenseSet<Value> take() { return std::move(values); }

private:
  llvm::DenseSet<Value> values;
  bool changed = false;
};
} // namespace

FailureOr<SmallVector<func::FuncOp>> mlir::moe::collectCalledFunctions(func::FuncOp root) {
  CallGraphWalk walk;
  if (failed(walk.visit(root)))
    return failure();
  return walk.order;
}

/// Adds what depends on members of `varied`.
static void propagateForward(Operation &op, ValueSet &varied) {
  if (auto call = dyn_cast<func::CallOp>(op)) {
    Block &body = getCallee(call).front();
    for (auto [operand, argument] : llvm::zip_equal(call.getOperands(), body.getArguments()))
      varied.insertIf(varied.contains(operand), argument);
    for (auto [result, returned] : llvm::zip_equal(call.getResults(), body.getTerminator()->getOperands()))
      varied.insertIf(varied.contains(returned), result);
  } else if (llvm::any_of(op.getOperands(), [&](Value operand) { return varied.contains(operand); })) {
    llvm::for_each(op.getResults(), [&](Value result) { varied.insert(result); });
  }
}

/// Adds those members of `varied` on which members of `active` depend.
static void propagateBackward(Operation &op, const ValueSet &varied, ValueSet &active) {
  if (auto call = dyn_cast<func::CallOp>(op)) {
    Block &body = getCallee(call).front();
    for (auto [result, returned] : llvm::zip_equal(call.getResults(), body.getTerminator()->getOperands()))
      active.insertIf(active.contains(result) && varied.contains(returned), returned);
    for (auto [operand, argument] : llvm::zip_equal(call.getOperands(), body.getArguments()))
      active.insertIf(active.contains(argument) && varied.contains(operand), operand);
  } else if (llvm::any_of(op.getResults(), [&](Value result) { return active.contains(result); })) {
    for (Value operand : op.getOperands())
      active.insertIf(varied.contains(operand), operand);
  }
}

Activity::Activity(ArrayRef<func::FuncOp> functions, ValueRange sources, ValueRange targets) {
  ValueSet varied, reached;
  llvm::for_each(sources, [&](Value source) { varied.insert(source); });
  while (varied.takeChanged())
    for (func::FuncOp func : functions)
      for (Operation &op : func.front())
        propagateForward(op, varied);

  for (Value target : targets)
    reached.insertIf(varied.contains(target), target);
  while (reached.takeChanged())
    for (func::FuncOp func : llvm::reverse(functions))
      for (Operation &op : llvm::reverse(func.front()))
        propagateBackward(op, varied, reached);
  active = reached.take();
}

void Activity::extend(const IRMapping &clone) {
  for (auto [original, copy] : clone.getValueMap())
    if (isActive(original))
      active.insert(copy);
}
