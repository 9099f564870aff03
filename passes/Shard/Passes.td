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
  let description = [{
    Sets `moe.grid`, the extents of the grid of ranks, on the module: `moe.grid = array<i64: 1>`. So far the only grid
    is one rank, whose program is the module as it is; any other number is refused.
  }];
  let options = [Option<"ranks", "ranks", "int64_t", /*default=*/"1", "How many ranks share the work">];
}

#endif // PASSES_SHARD_PASSES_TD
