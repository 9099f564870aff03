//===- MoELayerOps.td - What a person writes -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOELAYEROPS_TD
#define DIALECTS_MOE_IR_MOELAYEROPS_TD

include "dialects/MoE/IR/MoEDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"

/// An op of a model description: `moe.name (key = value, ...)`, with keys in any order on input, in the order below
/// on output, and values equal to their default left out. Gone after the stage `layers`.
class MoE_LayerOp<string mnemonic, list<Trait> traits = []> : MoE_Op<mnemonic, traits> {
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The names of the arguments as declared (getAttributeNames() sorts them).
    static ::llvm::ArrayRef<::llvm::StringRef> getKeys() {
      static const ::llvm::StringRef keys[] = {}]
    # !interleave(!foreach(i, !range(!size(arguments)), "\"" # !getdagname(arguments, i) # "\""), ", ") # [{};
      return keys;
    }
  }];
}

def MoE_ModelOp : MoE_LayerOp<"model", [Symbol, SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "a decoder-only transformer";
  let description = [{
    Token embedding, the layers of its body in order, a final RMS norm and the output projection. Gone after `layers`.

    ```mlir
    moe.model @tiny (vocab_size = 256, hidden_size = 128, rms_norm_eps = 1.0e-5) {
      moe.layers (count = 1) { ... }
    }
    ```

    `dtype` is what parameters, activations and caches are stored in. With `bf16` every sum is still float32 and so are
    the router's logits and scores, softmax statistics, the loss and the output logits; training keeps a float32
    master of each parameter beside AdamW's moments, and rounds it to the parameter after each update.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$vocab_size, I64Attr:$hidden_size,
    DefaultValuedAttr<F64Attr, "1.0e-5">:$rms_norm_eps,
    /// Standard deviation of the initial weights.
    DefaultValuedAttr<F64Attr, "0.02">:$initializer_range,
    DefaultValuedAttr<BoolAttr, "false">:$tie_word_embeddings,
    DefaultValuedAttr<MoE_DTypeAttr, "::mlir::moe::DType::f32">:$dtype);
  let regions = (region SizedRegion<1>:$body);
}

def MoE_LayersOp : MoE_LayerOp<"layers", [SingleBlock, NoTerminator, NoRegionArguments, HasParent<"ModelOp">]> {
  let summary = "a run of equal transformer layers, written once and compiled once";
  let description = [{
    `count` layers, each an attention op followed by a feed-forward op, pre-norm with residuals:
    `x += attention(norm(x)); x += mlp(norm(x))`. Gone after `layers`.
  }];
  let arguments = (ins I64Attr:$count);
  let regions = (region SizedRegion<1>:$body);
}

def MoE_SelfAttentionOp : MoE_LayerOp<"self_attention", [HasParent<"LayersOp">]> {
  let summary = "causal grouped-query attention with rotary embedding";
  let description = [{
    Projections `q_proj`, `k_proj`, `v_proj`, `o_proj` without bias; rotary embedding in the half-split layout of
    Llama and Hugging Face; `qk_norm` adds a per-head RMS norm on queries and keys (Qwen3). Gone after `layers`.
  }];
  let arguments = (ins I64Attr:$num_heads, I64Attr:$num_kv_heads, I64Attr:$head_dim,
    DefaultValuedAttr<F64Attr, "10000.0">:$rope_theta, DefaultValuedAttr<BoolAttr, "false">:$qk_norm);
}

def MoE_MLPOp : MoE_LayerOp<"mlp", [HasParent<"LayersOp">]> {
  let summary = "dense SwiGLU feed-forward";
  let description = [{`down_proj(silu(gate_proj(x)) · up_proj(x))`. Gone after `layers`.}];
  let arguments = (ins I64Attr:$intermediate_size);
}

def MoE_SparseMLPOp : MoE_LayerOp<"sparse_mlp", [HasParent<"LayersOp">]> {
  let summary = "Mixture-of-Experts feed-forward with shared experts";
  let description = [{
    Each token goes to `top_k` of `num_experts` SwiGLU experts and to all `num_shared_experts` shared ones (one dense
    SwiGLU of size `num_shared_experts · moe_intermediate_size`). DeepSeekMoE (arXiv:2401.06066); with
    `scoring_func = sigmoid` and `bias_update_rate > 0` the routing of DeepSeek-V3 (arXiv:2412.19437, section 2.1.2):
    a selection bias, moved by `bias_update_rate` towards equal load after each step, chooses the experts and does not
    weigh them. `aux_loss_alpha` scales the plain auxiliary loss α·E·Σ f_e·P_e (arXiv:2101.03961, equation 4).

    | router | here |
    |---|---|
    | Mixtral: softmax over the logits of the chosen | `scoring_func = softmax`, `norm_topk_prob = true` |
    | Qwen3-MoE: softmax over all, divided by the sum of the chosen | the same |
    | Switch, OLMoE: softmax over all, as they are | `scoring_func = softmax`, `norm_topk_prob = false` |
    | DeepSeek-V3 | `scoring_func = sigmoid`, `norm_topk_prob = true`, `routed_scaling_factor = 2.5`, `bias_update_rate > 0` |

    Mixtral and Qwen3-MoE agree: with the scores s of a softmax over all, e^x_i / Σ_chosen e^x_j is s_i / Σ_chosen s_j.
    No token is dropped, whatever the load of its experts. Sizes need not be multiples of anything.
    Gone after `layers`.
  }];
  let arguments = (ins I64Attr:$num_experts, I64Attr:$top_k, I64Attr:$moe_intermediate_size,
    DefaultValuedAttr<I64Attr, "0">:$num_shared_experts,
    DefaultValuedAttr<MoE_ScoringFuncAttr, "::mlir::moe::ScoringFunc::softmax">:$scoring_func,
    DefaultValuedAttr<BoolAttr, "true">:$norm_topk_prob,
    DefaultValuedAttr<F64Attr, "1.0">:$routed_scaling_factor,
    DefaultValuedAttr<F64Attr, "0.0">:$aux_loss_alpha,
    DefaultValuedAttr<F64Attr, "0.0">:$bias_update_rate);
}

def MoE_TrainingOp : MoE_LayerOp<"training"> {
  let summary = "asks for the entry points train_step and evaluate, and says how the step trains";
  let description = [{
    AdamW (arXiv:1711.05101) with decoupled weight decay on tensors of rank 2 and more, gradients clipped by global
    norm. Learning rate and bias corrections are inputs of the step. At most one; gone after `objective`.

    With `packed_documents` a row of tokens holds several documents one after the other, and a token sees nothing of
    the documents before its own: both entry points take the input `positions`, int32 [batch_size, sequence_length],
    the number of each token in its document. A document cut by the end of a row starts anew, at 0, in the next.

    `activation_checkpointing` says what a layer keeps from its forward pass for its backward pass; what is not kept is
    computed again, with the same result:
    * `none`: every value that a gradient is computed from.
    * `selective`: the results of matrix products, attention and routing, but not what costs a pass over memory at most
      (norms, rotary embedding, activations, dispatch, casts) to compute from what is kept.
    * `full`: the inputs of the layer, and the routing of its tokens. The backward pass computes the layer's forward
      pass a second time.
  }];
  let arguments = (ins I64Attr:$batch_size, I64Attr:$sequence_length,
    DefaultValuedAttr<F64Attr, "0.9">:$beta1, DefaultValuedAttr<F64Attr, "0.95">:$beta2,
    DefaultValuedAttr<F64Attr, "1.0e-8">:$epsilon, DefaultValuedAttr<F64Attr, "0.1">:$weight_decay,
    DefaultValuedAttr<F64Attr, "1.0">:$max_grad_norm, DefaultValuedAttr<BoolAttr, "false">:$packed_documents,
    DefaultValuedAttr<MoE_ActivationCheckpointingAttr,
                      "::mlir::moe::ActivationCheckpointing::selective">:$activation_checkpointing);
}

def MoE_ServingOp : MoE_LayerOp<"serving"> {
  let summary = "asks for the entry points prefill and decode_step";
  let description = [{
    `batch_size` sequences at a time, prompts in chunks of `prompt_length` tokens, caches for `context_length` tokens.
    Beyond the `sequence_length` of its training a model has never seen the positions, and writes badly there: a longer
    `context_length` gets a warning.
    At most one; gone after `layers`.
  }];
  let arguments = (ins DefaultValuedAttr<I64Attr, "1">:$batch_size, I64Attr:$prompt_length, I64Attr:$context_length);
}

#endif // DIALECTS_MOE_IR_MOELAYEROPS_TD
