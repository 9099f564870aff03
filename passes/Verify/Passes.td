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
  let description = [{
    Lists all leftovers at once, by op and reason, with the place of the first:

    ```
    tiny.mlir:1:1: error: after the stage 'fuse', 2 kinds of ops are left over
    tiny.mlir:4:7: note: moe.linear and 11 more: moe-outline-kernels has no kernel for it
    tiny.mlir:9:3: note: moe.training: moe-apply-optimizer builds the step that it asks for
    ```

    Which op may remain until when is one table in passes/Verify/VerifyStage.cpp. Ops that come earlier than a stage
    would make them are accepted, so that a program may enter the pipeline further down; so is anything inside a
    kernel. It also refuses a function that writes a variable twice.
  }];
  let options = [Option<"stage", "stage", "std::string", "\"\"", "The stage that has just run">];
}

#endif // PASSES_VERIFY_PASSES_TD
