//===- Differentiate.cpp - Differentiate train_step -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "passes/Objective/Passes.h.inc"

namespace {
struct DifferentiatePass : impl::DifferentiatePassBase<DifferentiatePass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
