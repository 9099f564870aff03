//===- Passes.td - Passes of the stage schedule ------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SCHEDULE_PASSES_TD
#define PASSES_SCHEDULE_PASSES_TD

include "mlir/Pass/PassBase.td"

def SchedulePass : Pass<"moe-schedule", "::mlir::ModuleOp"> {
  let summary = "Order launches, plan memory, write programs";
  let description = [{
    Each entry function becomes a `moe_exec.program`: its calls are inlined into one list of launches (a layer that
    occurs sixty times is sixty runs of the same kernels), every value gets memory, and the functions are erased.

    Values live in the workspace at offsets planned for their life times; what is written to a variable or returned is
    computed there directly where no one still needs the old contents, and copied at the end where someone does. A
    kernel that works in place (`moe_kernel.tied`) takes over its operand's memory if that dies with it.

    ```mlir
    %w = moe.read @w : tensor<4xf32>                 moe_exec.program @step workspace(0) ... {
    %n = moe_kernel.launch @update(%w) : ...    ──▶    moe_exec.launch @update(@w[0 : 16]) -> (@w[0 : 16])
    moe.write %n, @w : tensor<4xf32>                 }
    ```
  }];
  let dependentDialects = ["::mlir::moe_exec::MoEExecDialect"];
}

#endif // PASSES_SCHEDULE_PASSES_TD
