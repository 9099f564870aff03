//===- Passes.td - Passes of the stage layers --------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_LAYERS_PASSES_TD
#define PASSES_LAYERS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExpandLayersPass : Pass<"moe-expand-layers", "::mlir::ModuleOp"> {
  let summary = "Expand layer ops into tensor ops, one function per distinct layer";
}

#endif // PASSES_LAYERS_PASSES_TD
