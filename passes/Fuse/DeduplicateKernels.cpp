//===- DeduplicateKernels.cpp - Make equal kernels one symbol ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/Passes.h"

#include "mlir/IR/OperationSupport.h"

namespace mlir::moe {
#define GEN_PASS_DEF_DEDUPLICATEKERNELSPASS
#include "passes/Fuse/Passes.h.inc"

using moe_kernel::KernelOp;

static llvm::hash_code hashKernel(KernelOp kernel) {
  llvm::hash_code hash = llvm::hash_combine(kernel.getFunctionType(), kernel.getArgAttrsAttr());
  kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    hash = llvm::hash_combine(hash, OperationEquivalence::computeHash(op, OperationEquivalence::ignoreHashValue,
                                                                      OperationEquivalence::ignoreHashValue,
                                                                      OperationEquivalence::IgnoreLocations));
  });
  return hash;
}

/// Whether the two kernels differ in nothing but their names.
static bool areEqual(KernelOp a, KernelOp b) {
  return a.getFunctionType() == b.getFunctionType() && a.getArgAttrsAttr() == b.getArgAttrsAttr() &&
         a.getResAttrsAttr() == b.getResAttrsAttr() && a.getConfigAttr() == b.getConfigAttr() &&
         OperationEquivalence::isRegionEquivalentTo(&a.getBody(), &b.getBody(), OperationEquivalence::IgnoreLocations);
}

namespace {
struct DeduplicateKernelsPass : impl::DeduplicateKernelsPassBase<DeduplicateKernelsPass> {
  void runOnOperation() override {
    llvm::DenseMap<llvm::hash_code, SmallVector<KernelOp, 1>> kernelsByHash;
    llvm::DenseMap<StringAttr, FlatSymbolRefAttr> replacements;
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<KernelOp>())) {
      SmallVector<KernelOp, 1> &candidates = kernelsByHash[hashKernel(kernel)];
      auto equal = llvm::find_if(candidates, [&](KernelOp other) { return areEqual(kernel, other); });
      if (equal == candidates.end()) {
        candidates.push_back(kernel);
        continue;
      }
      replacements[kernel.getSymNameAttr()] = FlatSymbolRefAttr::get(equal->getSymNameAttr());
      kernel.erase();
      ++numErased;
    }
    getOperation().walk([&](moe_kernel::LaunchOp launch) {
      if (FlatSymbolRefAttr kernel = replacements.lookup(launch.getKernelAttr().getAttr()))
        launch.setKernelAttr(kernel);
    });
  }
};
} // namespace
} // namespace mlir::moe
