//===- Passes.td - Passes of the stage fuse ----------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_PASSES_TD
#define PASSES_FUSE_PASSES_TD

include "mlir/Pass/PassBase.td"

// In the order in which the stage runs them.

def FuseRoutingPass : Pass<"moe-fuse-routing", "::mlir::func::FuncOp"> {
  let summary = "Fuse router scores, top-k choice and weights into route, and their gradients into route_backward";
  let description = [{
    ```mlir
    %scores = moe.router_scores %logits {scoring_func = ...} : ...
    %weights, %indices = moe.topk_gate %scores, %bias {top_k = 2, ...} : ...
    ```
    becomes
    ```mlir
    %scores, %weights, %indices = moe_kernel.route %logits, %bias {top_k = 2, scoring = ..., ...} : ...
    ```
    and `router_scores_backward(topk_gate_backward(...) + %balance_gradient)` becomes `moe_kernel.route_backward`.
  }];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect"];
}

def MoEToMoEKernelPass : Pass<"moe-to-moe-kernel", "::mlir::func::FuncOp"> {
  let summary = "Convert what is a structured kernel by itself: matmuls, attention, routing, caches";
  let description = [{
    One op for one op; a matmul starts with an epilogue that stores the accumulator. Elementwise and row ops stay, for
    the fusions that follow and then for `moe-to-linalg`.
  }];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect"];
}

def FuseDispatchPass : Pass<"moe-fuse-dispatch", "::mlir::func::FuncOp"> {
  let summary = "Read dispatched rows where the tokens are";
  let description = [{
    A `moe.dispatch` without weights, all of whose uses are tokens' operands of ragged matmuls, disappears: the matmuls
    read row `permutation[r] / top_k` of its input instead of row r.
    ```mlir
    %rows = moe.dispatch %x plan(%permutation, %inverse) : ...
    %h = moe_kernel.matmul ragged_rows(%rows, %w) offsets(%offsets) {...}
    ```
    becomes
    ```mlir
    %h = moe_kernel.matmul ragged_rows(%x, %w) offsets(%offsets) rows(%permutation) {row_divisor = 2, ...}
    ```
    Weight gradients (`ragged_contraction`) gather either operand.
  }];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect"];
}

def FuseCombinePass : Pass<"moe-fuse-combine", "::mlir::func::FuncOp"> {
  let summary = "Sum up a token's rows where they are computed";
  let description = [{
    A weighted `moe.combine` of rows that a matmul of experts computes for it alone becomes one kernel with that matmul,
    and with a sum that follows it, where the target is faster so (`Target::combinesRows`): with few tokens, whose
    experts differ.
    ```mlir
    %rows = moe_kernel.matmul ragged_rows(%h, %down) offsets(%offsets) {transpose_rhs, ...}
    %sum = moe.combine %rows plan(%permutation, %inverse) weights(%weights) : ...
    %y = moe.add %residual, %sum : ...
    ```
    becomes
    ```mlir
    %y = moe_kernel.combined_matmul %h, %down, %offsets, %inverse, %weights, %residual : ...
    ```
  }];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect"];
}

def FuseEpiloguePass : Pass<"moe-fuse-epilogue", "::mlir::func::FuncOp"> {
  let summary = "Apply to a matmul's accumulator what happens to its result";
  let description = [{
    * `gated_activation` of a matmul: a paired epilogue. If the matmul's result is needed as well (by the gradient), the
      kernel stores both.
    * `gated_activation_backward` for the gradient that a matmul computes: the epilogue reads the columns of the
      activation's input in pairs and stores its gradient in pairs.
    * `weighted_gated_activation_backward` for the gradient that a matmul computes, where the target sums rows of an
      epilogue (`Target::sumsRows`): the epilogue also reads the weights of rows, and stores the weighted activation and,
      for the gradients of the weights, sums of 64 columns of each row, which another kernel adds up for each token.
    * `add`, `multiply`, `divide`, `negate`, `cast` with a matmul's result that is used nowhere else; the other operand
      becomes an extra. Sums of several matmuls become a chain, each adding to the one before.

    An epilogue computes in float32 to its end: what is fused reads the value before it was rounded to bf16, also where
    the rounded one is stored beside it.
  }];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def MoEToLinalgPass : Pass<"moe-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Convert elementwise and row ops to linalg.generic";
  let description = [{
    In the form that `passes/Fuse/RowsBuilder.h` describes. An op that needs several kernels (a sum over tokens after a
    computation per token) becomes several ops; which of them share a kernel is decided by `moe-outline-kernels`.

    `linear_cross_entropy` and its gradient are computed for one chunk of tokens after the other, with `slice` and
    `concat` of `moe_kernel` around them, so that the logits of all tokens never exist at once:
    ```mlir
    %loss, %dh, %dw = moe.linear_cross_entropy_backward %hidden, %weight, %targets, %weights, %g : ...
    ```
    becomes for each chunk c (`%dw` in place, in float32)
    ```mlir
    %hidden_c = moe_kernel.slice %hidden[...] : tensor<4096x128xf32> -> tensor<1024x128xf32>
    %logits_c = moe_kernel.matmul dense(%hidden_c, %weight) {transpose_rhs, ...} : ... -> tensor<1024x50000xf32>
    %losses_c, %gradient_c = linalg.generic ...   // log-sum-exp, losses, gradient in the memory of the logits
    %dh_c = moe_kernel.matmul dense(%gradient_c, %weight) : ...
    %dw_c = moe_kernel.matmul dense(%gradient_c, %hidden_c) extras(%dw_before_c) {transpose_lhs, ...} : ...
    ```
    and at the end `%dh = moe_kernel.concat %dh_0, %dh_1, ...`. A chunk has as many tokens as `logits-bytes` hold the
    logits of, and no fewer than twice the width of the model: its logits then take twice the memory of the weight's
    gradient, and what a chunk moves to add to that gradient stays small beside its products. All chunks have the same
    size if the number of tokens allows.
  }];
  let options = [Option<"logitsBytes", "logits-bytes", "int64_t", /*default=*/"64 << 20",
    "Memory that the logits of a chunk of tokens may take">];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def FuseElementwisePass : Pass<"moe-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Fuse chains of elementwise linalg.generic ops into one";
  let description = [{
    A parallel linalg.generic whose only use is another one over the same loops is computed inside it, so nothing is
    computed twice. What no longer goes through a bf16 tensor is no longer rounded.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def FoldReshapesPass : Pass<"moe-fold-reshapes", "::mlir::func::FuncOp"> {
  let summary = "Compute what is gathered from in the shape that it is gathered from";
  let description = [{
    A parallel linalg.generic that is only read through a `tensor.expand_shape`, by an op that gathers from that,
    computes the expanded tensor instead: its loops are divided. So no reshape stands between the two, and
    `moe-outline-kernels` sees that they agree on rows. Rows themselves are never divided. Every element is computed and
    rounded as before.
    ```mlir
    %normed = linalg.generic ... -> tensor<64x16x128xbf16>                 // RMS norm of 16 heads
    %rows = tensor.collapse_shape %normed : ... into tensor<64x2048xbf16>
    %halves = tensor.expand_shape %rows : ... into tensor<64x16x2x64xbf16>
    %rotated = linalg.generic ... ins(%halves, ...)                        // reads the other half as well
    ```
    becomes
    ```mlir
    %halves = linalg.generic ... -> tensor<64x16x2x64xbf16>
    %rotated = linalg.generic ... ins(%halves, ...)
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def OutlineKernelsPass : Pass<"moe-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Outline structured ops and groups of linalg.generic ops into kernels";
  let description = [{
    Every structured op becomes a kernel. A linalg.generic joins the kernel of another one whose result it reads, if it
    reads it only in its own row and if no other op lies between them. Updates of equal parameters share kernels, eight
    at a time. Reshapes go into the kernels, constants too.
    ```mlir
    %0 = linalg.generic {...} ins(...) ...
    ```
    becomes
    ```mlir
    %0 = moe_kernel.launch @rms_norm_1024x128(%x, %w) : ...
    ```
    and `moe_kernel.kernel @rms_norm_1024x128` at the end of the module. Names say what a kernel does and its shape.
  }];
  let dependentDialects = ["::mlir::moe_kernel::MoEKernelDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def DeduplicateKernelsPass : Pass<"moe-deduplicate-kernels", "::mlir::ModuleOp"> {
  let summary = "Make equal kernels one symbol";
  let description = [{
    Kernels that differ in nothing but their names become the first of them; launches follow.

    ```mlir
    %0 = moe_kernel.launch @linear(%x, %w)          %0 = moe_kernel.launch @linear(%x, %w)
    %1 = moe_kernel.launch @linear_1(%y, %v)   ──▶   %1 = moe_kernel.launch @linear(%y, %v)
    ```
  }];
  let statistics = [Statistic<"numErased", "kernels-erased", "Kernels equal to another one">];
}

#endif // PASSES_FUSE_PASSES_TD
