//===- VerifyStage.cpp - Check that only what may remain after a stage remains -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Verify/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYSTAGEPASS
#include "passes/Verify/Passes.h.inc"

namespace {
struct VerifyStagePass : impl::VerifyStagePassBase<VerifyStagePass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
