//===- ApplyFusions.cpp - How passes of this stage apply patterns *- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/ApplyFusions.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

LogicalResult moe::applyFusions(Operation *op, RewritePatternSet &&patterns) {
  GreedyRewriteConfig config;
  config.enableConstantCSE(false);
  return applyPatternsGreedily(op, std::move(patterns), config);
}
