//===- Passes.td - Passes of the stage objective -----------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_PASSES_TD
#define PASSES_OBJECTIVE_PASSES_TD

include "mlir/Pass/PassBase.td"

def AttachLossPass : Pass<"moe-attach-loss", "::mlir::ModuleOp"> {
  let summary = "Give train_step and evaluate their loss";
  let description = [{
    Replaces the output `logits` of the entry points by the cross entropy with new inputs `targets` and `weights`
    (a weight of 0 masks a token). `train_step` returns `loss`, the weighted mean in nats without the auxiliary loss;
    `evaluate` returns `loss_sum` and `weight_sum`, which add up over batches, and no `aux_loss`.

    Logits that are a linear of something and that nobody else reads are never computed as a whole: the projection
    becomes part of the loss.

    ```mlir
    func.func @train_step(%tokens {moe.name = "tokens"})
        -> (... {moe.name = "logits"}, ... {moe.name = "aux_loss"}, ...) {
      ...
      %logits = moe.linear %hidden, %lm_head : ...
    // becomes
    func.func @train_step(%tokens ..., %targets {moe.name = "targets"}, %weights {moe.name = "weights"})
        -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"}, ...) {
      ...
      %loss_sum = moe.linear_cross_entropy %hidden, %lm_head, %targets, %weights : ...
      %weight_sum = moe.sum %weights : ...
      %loss = moe.divide %loss_sum, %weight_sum : tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect"];
}

def DifferentiatePass : Pass<"moe-differentiate", "::mlir::ModuleOp"> {
  let summary = "Differentiate train_step";
  let description = [{
    Adds the gradient of `loss + aux_loss` with respect to every parameter to the outputs of `train_step`, as
    `gradient.<parameter>` in the order of the variables. Each function @f that lies between becomes, once and whatever
    the number of its calls,

    ```mlir
    func.func private @f_forward(<arguments of @f>) -> (<results of @f>, <residuals>)
    func.func private @f_backward(<residuals>, <gradients of results>) -> (<gradients of arguments>)
    ```
    Residuals are the values of @f that its gradients are computed from: first those that are arguments of @f (the
    caller passes them again), then the others. What they are, and what @f_backward computes again, is the policy
    `activation_checkpointing` of `moe.training`: see Residuals.h.
    Other callers of @f keep calling @f; if there are none, it is erased.

    Before residuals are chosen, gradients of experts whose outputs are weighted are rewritten so that neither those
    outputs nor weighted rows as wide as a token are needed: see ExpertGradients.h.

    It is an error if an op between a parameter and the loss has no gradient, or if a parameter has none because the
    loss does not depend on it.
  }];
  let options = [Option<"checkpointing", "activation-checkpointing", "std::string", /*default=*/"\"\"",
    "none, selective or full; by default what moe.training says, or selective if there is none">];
  let dependentDialects = ["::mlir::moe::MoEDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def MergeLossPass : Pass<"moe-merge-loss", "::mlir::func::FuncOp"> {
  let summary = "Take the loss from where its gradient is computed";
  let description = [{
    Loss and gradient of a projection's cross entropy need the same logits, and what the gradient is scaled with (one
    over the sum of weights) is known before the loss. So the two become one op, which computes three products and not
    four.
    ```mlir
    %loss_sum = moe.linear_cross_entropy %hidden, %weight, %targets, %weights : ...
    %loss = moe.divide %loss_sum, %weight_sum : tensor<f32>
    %g = moe.divide %one, %weight_sum : tensor<f32>
    %sum, %dh, %dw = moe.linear_cross_entropy_backward %hidden, %weight, %targets, %weights, %g : ...
    ```
    becomes
    ```mlir
    %g = moe.divide %one, %weight_sum : tensor<f32>
    %loss_sum, %dh, %dw = moe.linear_cross_entropy_backward %hidden, %weight, %targets, %weights, %g : ...
    %loss = moe.divide %loss_sum, %weight_sum : tensor<f32>
    ```
    Nothing happens where the gradient of the loss depends on the loss.
  }];
}

def ApplyOptimizerPass : Pass<"moe-apply-optimizer", "::mlir::ModuleOp"> {
  let summary = "Turn gradients into parameter updates";
  let description = [{
    Replaces the outputs `gradient.<parameter>` of `train_step` by one AdamW step of each parameter with the
    hyperparameters of `moe.training`, which is gone afterwards. Weight decay applies to parameters of rank 2 and more.
    Creates the variables `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`, in float32 also for bf16, the scalar
    inputs `learning_rate`, `bias_correction1` and `bias_correction2` (1 − β^t of the two moments), and the output
    `grad_norm`, the norm of all gradients before clipping. A bf16 parameter gets a master as well,
    `<parameter>.master_weight`, which starts as its copy: that is what is updated, and the parameter becomes the master
    rounded. A step whose norm is not finite changes neither parameters nor their state, nor selection biases, whose
    updates get the norm as an operand.
  }];
  let options = [Option<"keepGradients", "keep-gradients", "bool", /*default=*/"false",
    "Leave the gradients among the outputs">];
  let dependentDialects = ["::mlir::moe::MoEDialect"];
}

#endif // PASSES_OBJECTIVE_PASSES_TD
