//===- Passes.td - Passes of the stage objective -----------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_PASSES_TD
#define PASSES_OBJECTIVE_PASSES_TD

include "mlir/Pass/PassBase.td"

def AttachLossPass : Pass<"moe-attach-loss", "::mlir::ModuleOp"> {
  let summary = "Give train_step and evaluate their loss";
}

def DifferentiatePass : Pass<"moe-differentiate", "::mlir::ModuleOp"> {
  let summary = "Differentiate train_step";
}

def ApplyOptimizerPass : Pass<"moe-apply-optimizer", "::mlir::ModuleOp"> {
  let summary = "Turn gradients into parameter updates";
}

#endif // PASSES_OBJECTIVE_PASSES_TD
