//===- AttachLoss.cpp - Give train_step and evaluate their loss -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ATTACHLOSSPASS
#include "passes/Objective/Passes.h.inc"

namespace {
struct AttachLossPass : impl::AttachLossPassBase<AttachLossPass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
