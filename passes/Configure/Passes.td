//===- Passes.td - Passes of the stage configure -----------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_CONFIGURE_PASSES_TD
#define PASSES_CONFIGURE_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConfigurePass : Pass<"moe-configure", "::mlir::ModuleOp"> {
  let summary = "Ask the target for the configuration of every kernel";
  let description = [{
    The target is the module's (`moe.target = "cpu"`). It may replace kernels by several that it runs faster. Then it sets
    `config` on every kernel that has none, or says why a kernel cannot run on it; all kernels are asked before the pass
    fails. A kernel that comes with a configuration keeps it.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"]; // Of the kernels of rows that replace others.
}

#endif // PASSES_CONFIGURE_PASSES_TD
