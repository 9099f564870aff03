//===- Configure.cpp - Ask the target for the configuration of every kernel -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Configure/Passes.h"

#include "passes/Target/Target.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONFIGUREPASS
#include "passes/Configure/Passes.h.inc"

namespace {
struct ConfigurePass : impl::ConfigurePassBase<ConfigurePass> {
  void runOnOperation() override {
    std::unique_ptr<Target> target = getTarget(getOperation());
    if (!target)
      return signalPassFailure();
    target->fuseKernels(getOperation());
    target->splitKernels(getOperation());
    bool succeededForAll = true;
    for (auto kernel : getOperation().getOps<moe_kernel::KernelOp>())
      if (!kernel.getConfigAttr() && !kernel.holdsLaunches())
        succeededForAll &= succeeded(target->configure(kernel));
    if (!succeededForAll)
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
