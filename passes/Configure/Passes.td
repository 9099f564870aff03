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
    The target is the module's (`moe.target = "cpu"`). It may replace kernels by several that it runs faster. Then it
    sets `config` on every kernel that has none, or says why a kernel cannot run on it; all kernels are asked before the
    pass fails. A kernel that comes with a configuration keeps it.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"]; // Of the kernels of rows that replace others.
}

def FuseProloguesPass : Pass<"moe-fuse-prologues", "::mlir::ModuleOp"> {
  let summary = "Compute few rows where they are read, where the target runs that faster";
  let description = [{
    A kernel that reads what a small kernel of rows computes has that computed by each of its blocks for itself: no
    launch, and no memory, lies between the two. The target is asked (`Target::configurePrologue`). If other launches
    read the rows too, but have to wait for the first of these anyway, the rows are one more result of it.
    ```mlir
    %n = moe_kernel.launch @norm(%x, %w) : ...
    %q = moe_kernel.launch @query(%n, %wq) : ...
    ```
    becomes
    ```mlir
    %q = moe_kernel.launch @norm_to_query(%x, %w, %wq) : ...
    ```
    with a kernel that launches `@norm`, and `@query` on its result.
  }];
}

def FuseHorizontallyPass : Pass<"moe-fuse-horizontally", "::mlir::ModuleOp"> {
  let summary = "Make launches that do not depend on each other one, where the target runs that faster";
  let description = [{
    The target is asked about configured kernels (`Target::fusesHorizontally`). Candidates are launches of a function
    before which equally many launches have to run one after the other; what one of them works on in place is no operand
    of another.
    ```mlir
    %q = moe_kernel.launch @query(%x, %wq) : ...
    %n = moe_kernel.launch @norm(%q) : ...
    %k = moe_kernel.launch @key(%x, %wk) : ...
    ```
    becomes
    ```mlir
    %q, %k = moe_kernel.launch @query_and_key(%x, %wq, %wk) : ...
    %n = moe_kernel.launch @norm(%q) : ...
    ```
    with a kernel that launches both. The buffers of all of them live at the same time from here on, which the stage
    `schedule` then plans for.
  }];
}

#endif // PASSES_CONFIGURE_PASSES_TD
