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
}

#endif // PASSES_CONFIGURE_PASSES_TD
