//===- Activity.h - Which values need a gradient ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A value is active if it depends on a source (a parameter) and a target (the loss) depends on it, both through float
/// tensors only: token ids, routing plans and counts carry no gradient.
///
///   %w = moe.read @w : ...                          // source, active
///   %x = moe.embedding %table, %tokens : ...        // active if @table is a parameter
///   %c, %s = moe.rope_table %positions {...} : ...  // not active: depends on no parameter
///   %q = moe.rope %x, %c, %s : ...                  // active
///
/// A function has one answer for all its calls: an argument is active if it is for one of them.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_ACTIVITY_H
#define PASSES_OBJECTIVE_ACTIVITY_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::moe {

/// `root` and all functions that it calls, directly or not, each after those that it calls. Emits an error and fails if
/// they call each other in a circle or one has no body.
FailureOr<SmallVector<func::FuncOp>> collectCalledFunctions(func::FuncOp root);

/// The function that `call` calls.
func::FuncOp getCallee(func::CallOp call);

class Activity {
public:
  /// Analyses `functions` as collected from a root in which `sources` and `targets` live.
  Activity(ArrayRef<func::FuncOp> functions, ValueRange sources, ValueRange targets);

  bool isActive(Value value) const { return active.contains(value); }
  /// Extends the answers to a clone.
  void extend(const IRMapping &clone);

private:
  llvm::DenseSet<Value> active;
};

} // namespace mlir::moe

#endif // PASSES_OBJECTIVE_ACTIVITY_H
