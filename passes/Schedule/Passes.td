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
}

#endif // PASSES_SCHEDULE_PASSES_TD
