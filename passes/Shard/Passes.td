//===- Passes.td - Passes of the stage shard ---------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SHARD_PASSES_TD
#define PASSES_SHARD_PASSES_TD

include "mlir/Pass/PassBase.td"

def ShardPass : Pass<"moe-shard", "::mlir::ModuleOp"> {
  let summary = "Give each rank its program";
}

#endif // PASSES_SHARD_PASSES_TD
