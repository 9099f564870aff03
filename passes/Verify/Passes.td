//===- Passes.td - Passes of the stage verify --------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_VERIFY_PASSES_TD
#define PASSES_VERIFY_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyStagePass : Pass<"moe-verify-stage", "::mlir::ModuleOp"> {
  let summary = "Check that only what may remain after a stage remains";
}

#endif // PASSES_VERIFY_PASSES_TD
