//===- ApplyOptimizer.cpp - Turn gradients into parameter updates -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_APPLYOPTIMIZERPASS
#include "passes/Objective/Passes.h.inc"

namespace {
struct ApplyOptimizerPass : impl::ApplyOptimizerPassBase<ApplyOptimizerPass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
