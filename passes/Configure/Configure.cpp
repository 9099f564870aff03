//===- Configure.cpp - Ask the target for the configuration of every kernel -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Configure/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONFIGUREPASS
#include "passes/Configure/Passes.h.inc"

namespace {
struct ConfigurePass : impl::ConfigurePassBase<ConfigurePass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
