//===- MoEToLinalg.cpp - Convert elementwise and row ops to linalg.generic --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/MoEToLinalg/Lowerings.h"
#include "passes/Fuse/Passes.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOETOLINALGPASS
#include "passes/Fuse/Passes.h.inc"

namespace {
struct MoEToLinalgPass : impl::MoEToLinalgPassBase<MoEToLinalgPass> {
  using MoEToLinalgPassBase::MoEToLinalgPassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateElementwiseLowerings(patterns);
    populateEmbeddingLowerings(patterns);
    populateNormLowerings(patterns);
    populateRoutingLowerings(patterns);
    populateLossLowerings(patterns);
    populateLinearCrossEntropyLowerings(patterns, logitsBytes);
    populateOptimizerLowerings(patterns);

    ConversionTarget target(getContext());
    target.addIllegalDialect<MoEDialect>();
    target.addLegalOp<VariableOp, ReadOp, WriteOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    if (failed(applyFullConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
