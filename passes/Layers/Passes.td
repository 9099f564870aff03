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
  let description = [{
    Replaces moe.model and moe.serving by variables, entry points and one private function for each distinct layer
    and mode (whole sequences, prefill, decode). A layer that occurs sixty times is one function, called sixty times
    with the variables of each layer, so that compile time does not grow with depth.

    ```mlir
    moe.model @tiny (vocab_size = 256, hidden_size = 128) {
      moe.layers (count = 3) {
        moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 32)
        moe.mlp (intermediate_size = 384)
      }
    }
    moe.training (batch_size = 8, sequence_length = 128)
    ```
    becomes
    ```mlir
    moe.variable @model.embed_tokens.weight parameter normal 2.000000e-02 : tensor<256x128xf32>
    moe.variable @model.layers.0.input_layernorm.weight parameter ones : tensor<128xf32>
    ...
    func.func private @dense_layer(%x: tensor<1024x128xf32>, %cos: tensor<1024x16xf32>, ...) -> tensor<1024x128xf32>
    func.func @train_step(%tokens: tensor<8x128xi32> {moe.name = "tokens"})
        -> (tensor<1024x256xf32> {moe.name = "logits"}, tensor<f32> {moe.name = "aux_loss"})
        attributes {moe.entry = #moe.entry<train_step>} {
      ...
      %y = call @dense_layer(%x, %cos, %sin, ...) {moe.layer = 0 : i64} : ...
    ```
    moe.training asks for `train_step` and `evaluate` and stays: the stage `objective` reads it. With
    `packed_documents` both have a second input, `positions`, which goes to the tables of angles and to the layers; else
    positions count up from the beginning of each sequence. moe.serving asks for
    `prefill` and `decode_step`. What the IR no longer says about the model stands in `moe.model_info` on the module
    (passes/Layers/ModelInfo.h). A module without moe.model is left as it is.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

#endif // PASSES_LAYERS_PASSES_TD
