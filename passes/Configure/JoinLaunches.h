//===- JoinLaunches.h - Several launches as one -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_CONFIGURE_JOINLAUNCHES_H
#define PASSES_CONFIGURE_JOINLAUNCHES_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::moe {

/// What the passes that make one launch of several share. Kernels made of the same launches are one.
class LaunchJoiner {
public:
  explicit LaunchJoiner(ModuleOp module) : module(module), symbols(module) {}

  moe_kernel::KernelOp lookup(moe_kernel::LaunchOp launch) {
    return symbols.lookup<moe_kernel::KernelOp>(launch.getKernel());
  }
  SymbolTable &getSymbols() { return symbols; }
  /// The operands that `launch` works on in place.
  SmallVector<Value> getWorkedOnInPlace(moe_kernel::LaunchOp launch);

  /// A launch, in front of the last of `launches`, of a kernel that launches what they launch; of kernels that launch
  /// others, these. It has a result for each of theirs that `isReturned`, in order, and `replacements` says which. The
  /// launches stay, to be erased by the caller; their block may have to be sorted.
  moe_kernel::LaunchOp join(ArrayRef<moe_kernel::LaunchOp> launches, function_ref<bool(Value)> isReturned,
                            DenseMap<Value, Value> &replacements);

private:
  ModuleOp module;
  SymbolTable symbols;
  llvm::StringMap<moe_kernel::KernelOp> kernels; ///< Made here, by what they launch on which values.
};

/// The number of launches, at most, that run one after the other before each op of `block`; functions count as one.
DenseMap<Operation *, unsigned> findLaunchDepths(Block &block);

} // namespace mlir::moe

#endif // PASSES_CONFIGURE_JOINLAUNCHES_H
