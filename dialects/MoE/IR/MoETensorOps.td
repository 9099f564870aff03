//===- MoETensorOps.td - What passes work on -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOETENSOROPS_TD
#define DIALECTS_MOE_IR_MOETENSOROPS_TD

include "dialects/MoE/IR/MoEDialect.td"
include "dialects/MoE/IR/MoEInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

defvar MoE_Gradient = DeclareOpInterfaceMethods<MoE_GradientOpInterface, ["buildGradient"]>;

/// A pure function of tensors. `(operands) : (types) -> types` unless stated otherwise.
class MoE_TensorOp<string mnemonic, list<Trait> traits = []> : MoE_Op<mnemonic, [Pure] # traits> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
/// One that can be differentiated.
class MoE_DifferentiableOp<string mnemonic, list<Trait> traits = []>
    : MoE_TensorOp<mnemonic, [MoE_Gradient] # traits>;

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

def MoE_VariableOp : MoE_Op<"variable", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "memory that outlives a step: a parameter, an optimizer moment, a buffer or a cache";
  let description = [{
    ```mlir
    moe.variable @model.norm.weight parameter ones : tensor<128xf32>
    moe.variable @lm_head.weight parameter normal 0.02 : tensor<256x128xf32>
    moe.variable @lm_head.weight.master_weight optimizer copy @lm_head.weight : tensor<256x128xf32>
    ```
    `stddev` belongs to `normal` and only to it. `copy` starts with the value that its `source`, which is no copy
    itself, starts with: initialised or restored, converted to this variable's element type.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, MoE_VariableRoleAttr:$role, MoE_InitializerKindAttr:$initializer,
    OptionalAttr<F64Attr>:$stddev, OptionalAttr<FlatSymbolRefAttr>:$source, TypeAttrOf<AnyStaticShapeTensor>:$type);
  let assemblyFormat = [{
    $sym_name custom<Keyword>($role) custom<Keyword>($initializer) ($source^)? ($stddev^)? attr-dict `:` $type}];
  let hasVerifier = 1;
}

def MoE_ReadOp : MoE_Op<"read", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value that a variable has when the entry point starts";
  let arguments = (ins FlatSymbolRefAttr:$variable);
  let results = (outs AnyStaticShapeTensor:$value);
  let assemblyFormat = "$variable attr-dict `:` type($value)";
}

def MoE_WriteOp : MoE_Op<"write", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value that a variable has after the entry point";
  let description = [{At most one per variable in an entry point. Reads see the old value wherever they stand.}];
  let arguments = (ins AnyStaticShapeTensor:$value, FlatSymbolRefAttr:$variable);
  let assemblyFormat = "$value `,` $variable attr-dict `:` type($value)";
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

class MoE_ElementwiseBinaryOp<string mnemonic, list<Trait> traits = []>
    : MoE_Op<mnemonic, [Pure, MoE_Gradient, SameOperandsAndResultType] # traits> {
  let arguments = (ins MoE_FloatTensor:$lhs, MoE_FloatTensor:$rhs);
  let results = (outs MoE_FloatTensor:$result);
  let assemblyFormat = "operands attr-dict `:` type($result)";
}
def MoE_AddOp : MoE_ElementwiseBinaryOp<"add", [Commutative]> { let summary = "lhs + rhs"; }
def MoE_MultiplyOp : MoE_ElementwiseBinaryOp<"multiply", [Commutative]> { let summary = "lhs · rhs"; }
def MoE_DivideOp : MoE_ElementwiseBinaryOp<"divide"> { let summary = "lhs / rhs"; }
def MoE_NegateOp : MoE_Op<"negate", [Pure, MoE_Gradient, SameOperandsAndResultType]> {
  let summary = "−input";
  let arguments = (ins MoE_FloatTensor:$input);
  let results = (outs MoE_FloatTensor:$result);
  let assemblyFormat = "operands attr-dict `:` type($result)";
}

def MoE_CastOp : MoE_DifferentiableOp<"cast"> {
  let summary = "the same values in another float type, rounded to nearest even where it is narrower";
  let arguments = (ins MoE_FloatTensor:$input);
  let results = (outs MoE_FloatTensor:$result);
}
def MoE_SumOp : MoE_DifferentiableOp<"sum"> {
  let summary = "the sum of all elements, in a fixed order";
  let arguments = (ins MoE_FloatTensor:$input);
  let results = (outs MoE_Scalar:$result);
}
def MoE_BroadcastOp : MoE_DifferentiableOp<"broadcast"> {
  let summary = "a scalar as every element";
  let arguments = (ins MoE_Scalar:$input);
  let results = (outs MoE_FloatTensor:$result);
}

//===----------------------------------------------------------------------===//
// Dense layers
//===----------------------------------------------------------------------===//

def MoE_EmbeddingOp : MoE_DifferentiableOp<"embedding"> {
  let summary = "rows of a table by index";
  let description = [{
    `result[t, :] = table[indices[t], :]` with `table` [V, d], `indices` int32 of any shape with T elements, `result`
    [T, d]. An index outside [0, V) is undefined; the engine checks token ids before they reach the device.
  }];
  let arguments = (ins MoE_Matrix:$table, MoE_IndexTensor:$indices);
  let results = (outs MoE_Matrix:$result);
}
def MoE_EmbeddingBackwardOp : MoE_TensorOp<"embedding_backward"> {
  let summary = "gradient of embedding for its table: rows added up by index, in token order";
  let arguments = (ins MoE_IndexTensor:$indices, MoE_Matrix:$result_gradient);
  let results = (outs MoE_Matrix:$table_gradient);
}

def MoE_LinearOp : MoE_DifferentiableOp<"linear"> {
  let summary = "input · weightᵀ, with the weight as Hugging Face stores it";
  let description = [{
    `input` [T, in], `weight` [out, in], `result` [T, out]. Accumulates in float32; the result has the operands' type
    or, of bf16 operands, may be float32 (router logits, output logits). A float32 result's gradient is rounded to the
    operands' type first. The same holds for `matmul` and `grouped_matmul`.
  }];
  let arguments = (ins MoE_Matrix:$input, MoE_Matrix:$weight);
  let results = (outs MoE_Matrix:$result);
}
def MoE_MatmulOp : MoE_DifferentiableOp<"matmul"> {
  let summary = "op(lhs) · op(rhs), where op transposes if asked";
  let arguments = (ins MoE_Matrix:$lhs, MoE_Matrix:$rhs, UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs);
  let results = (outs MoE_Matrix:$result);
}

def MoE_RMSNormOp : MoE_DifferentiableOp<"rms_norm"> {
  let summary = "x / √(mean(x²) + eps) · weight";
  let description = [{
    arXiv:1910.07467. `input` [T, G·n], `weight` [n]: each group of n columns is normalised by itself (G = 1 for a
    layer norm, G = heads for a per-head norm on queries and keys).
  }];
  let arguments = (ins MoE_Matrix:$input, MoE_Vector:$weight, F64Attr:$eps);
  let results = (outs MoE_Matrix:$result);
}
def MoE_RMSNormBackwardOp : MoE_TensorOp<"rms_norm_backward"> {
  let summary = "gradients of rms_norm for its input and weight";
  let arguments = (ins MoE_Matrix:$input, MoE_Vector:$weight, MoE_Matrix:$result_gradient, F64Attr:$eps);
  let results = (outs MoE_Matrix:$input_gradient, MoE_Vector:$weight_gradient);
}

def MoE_GatedActivationOp : MoE_DifferentiableOp<"gated_activation"> {
  let summary = "SwiGLU: silu(gate) · up";
  let description = [{`input` [R, 2·n], gate columns first, then up; `result` [R, n]. arXiv:2002.05202.}];
  let arguments = (ins MoE_Matrix:$input);
  let results = (outs MoE_Matrix:$result);
}
def MoE_GatedActivationBackwardOp : MoE_TensorOp<"gated_activation_backward"> {
  let summary = "gradient of gated_activation for its input";
  let arguments = (ins MoE_Matrix:$input, MoE_Matrix:$result_gradient);
  let results = (outs MoE_Matrix:$input_gradient);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def MoE_SequencePositionsOp : MoE_TensorOp<"sequence_positions"> {
  let summary = "0, 1, …, sequence_length−1, again for every sequence";
  let arguments = (ins I64Attr:$sequence_length);
  let results = (outs MoE_IndexTensor:$positions);
  let assemblyFormat = "attr-dict `:` functional-type(operands, results)";
}

def MoE_RopeTableOp : MoE_TensorOp<"rope_table"> {
  let summary = "cosine and sine of the rotary angles";
  let description = [{
    `positions` int32 with T elements; `cos`, `sin` [T, D/2]: angle = position · theta^(−2j/D), computed in float64
    and rounded. arXiv:2104.09864.
  }];
  let arguments = (ins MoE_IndexTensor:$positions, F64Attr:$theta);
  let results = (outs MoE_StatTensor:$cos, MoE_StatTensor:$sin);
}

def MoE_RopeOp : MoE_DifferentiableOp<"rope"> {
  let summary = "rotary embedding, half-split layout";
  let description = [{
    `input` [T, H·D], `cos` and `sin` [T, D/2]. Per head, with x = (x1, x2) its halves:
    (x1·cos − x2·sin, x2·cos + x1·sin). `inverse` rotates back (sin negated): the transpose, hence the gradient.
    cos and sin get no gradient: they depend on positions only.
  }];
  let arguments = (ins MoE_Matrix:$input, MoE_StatTensor:$cos, MoE_StatTensor:$sin, UnitAttr:$inverse);
  let results = (outs MoE_Matrix:$result);
}

def MoE_AttentionOp : MoE_DifferentiableOp<"attention"> {
  let summary = "causal grouped-query attention over whole sequences";
  let description = [{
    `query` [T, H·D], `key` and `value` [T, Hkv·D], T = B·S with S = sequence_length. Query head h uses key head
    h / (H/Hkv). Scores are scaled by 1/√D and a token sees itself and what precedes it in its sequence. `result`
    [T, H·D]; `lse` [T, H] is log Σ exp(scores), kept for the backward pass. lse has no gradient of its own.

    With `positions`, int32 with T elements, a sequence is several documents packed into a row: token t is number
    positions[t] of its document, which so began at token t − positions[t], and sees nothing before that. Positions
    count up from 0 at the first token of each document; a kernel may skip what no token of a block sees. A position
    that reaches back beyond the sequence sees all of it up to t. positions has no gradient.
  }];
  let arguments = (ins MoE_Matrix:$query, MoE_Matrix:$key, MoE_Matrix:$value, Optional<MoE_IndexTensor>:$positions,
    I64Attr:$num_heads, I64Attr:$num_kv_heads, I64Attr:$sequence_length);
  let results = (outs MoE_Matrix:$result, MoE_StatTensor:$lse);
}
def MoE_AttentionBackwardOp : MoE_TensorOp<"attention_backward"> {
  let summary = "gradients of attention, recomputing the probabilities from lse";
  let description = [{
    Standard FlashAttention backward (arXiv:2205.14135, algorithm 4), with the `positions` of the forward pass if it had
    some.
  }];
  let arguments = (ins MoE_Matrix:$query, MoE_Matrix:$key, MoE_Matrix:$value, MoE_Matrix:$result, MoE_StatTensor:$lse,
    MoE_Matrix:$result_gradient, Optional<MoE_IndexTensor>:$positions, I64Attr:$num_heads, I64Attr:$num_kv_heads,
    I64Attr:$sequence_length);
  let results = (outs MoE_Matrix:$query_gradient, MoE_Matrix:$key_gradient, MoE_Matrix:$value_gradient);
}

def MoE_CacheAppendOp : MoE_TensorOp<"cache_append"> {
  let summary = "a cache with rows written at their positions";
  let description = [{
    `cache` [B, C, n], `rows` [B·S, n], `positions` int32 [B, S], all in [0, C):
    `result[b, positions[b, s], :] = rows[b·S + s, :]`, the rest of the cache unchanged. Serving only: no gradient.
  }];
  let arguments = (ins MoE_Stack:$cache, MoE_Matrix:$rows, MoE_IndexTensor:$positions);
  let results = (outs MoE_Stack:$result);
}
def MoE_CachedAttentionOp : MoE_TensorOp<"cached_attention"> {
  let summary = "attention of new tokens over a key and a value cache";
  let description = [{
    `query` [B·S, H·D], caches [B, C, Hkv·D], `positions` [B, S]: the token at position p sees cache entries 0 … p.
    `result` [B·S, H·D]. Serving only: no gradient.
  }];
  let arguments = (ins MoE_Matrix:$query, MoE_Stack:$key_cache, MoE_Stack:$value_cache, MoE_IndexTensor:$positions,
    I64Attr:$num_heads, I64Attr:$num_kv_heads);
  let results = (outs MoE_Matrix:$result);
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

def MoE_RouterScoresOp : MoE_DifferentiableOp<"router_scores"> {
  let summary = "softmax or sigmoid of the router logits, in float32";
  let arguments = (ins MoE_StatTensor:$logits, MoE_ScoringFuncAttr:$scoring_func);
  let results = (outs MoE_StatTensor:$scores);
}
def MoE_RouterScoresBackwardOp : MoE_TensorOp<"router_scores_backward"> {
  let summary = "gradient of router_scores for the logits, from the scores";
  let arguments = (ins MoE_StatTensor:$scores, MoE_StatTensor:$scores_gradient, MoE_ScoringFuncAttr:$scoring_func);
  let results = (outs MoE_StatTensor:$logits_gradient);
}

def MoE_TopKGateOp : MoE_DifferentiableOp<"topk_gate"> {
  let summary = "the experts of each token and their weights";
  let description = [{
    `scores` [T, E]. Chooses the `top_k` largest of `scores + selection_bias` per token (ties to the lower index), in
    descending order. `weights` [T, K] are the *scores* of the chosen, without bias; with `norm_topk_prob` divided by
    (their sum + 1e-20); then times `routed_scaling_factor`. `indices` [T, K].
    The choice has no gradient, and neither has the bias.
  }];
  let arguments = (ins MoE_StatTensor:$scores, Optional<MoE_StatTensor>:$selection_bias, I64Attr:$top_k,
    BoolAttr:$norm_topk_prob, F64Attr:$routed_scaling_factor);
  let results = (outs MoE_StatTensor:$weights, MoE_IndexTensor:$indices);
}
def MoE_TopKGateBackwardOp : MoE_TensorOp<"topk_gate_backward"> {
  let summary = "gradient of topk_gate for the scores; exact zeros where not chosen";
  let arguments = (ins MoE_StatTensor:$scores, MoE_IndexTensor:$indices, MoE_StatTensor:$weights_gradient,
    BoolAttr:$norm_topk_prob, F64Attr:$routed_scaling_factor);
  let results = (outs MoE_StatTensor:$scores_gradient);
}

def MoE_PlanRoutingOp : MoE_TensorOp<"plan_routing"> {
  let summary = "groups the routed rows by expert";
  let description = [{
    A stable counting sort of the T·K entries of `indices` (flat entry f = t·K + k) by expert:
    `offsets` [E+1], expert e owns rows offsets[e] … offsets[e+1]−1; `permutation` [T·K], permutation[row] = f;
    `inverse` [T, K], inverse[f] = row.
  }];
  let arguments = (ins MoE_IndexTensor:$indices);
  let results = (outs MoE_IndexTensor:$offsets, MoE_IndexTensor:$permutation, MoE_IndexTensor:$inverse);
}

def MoE_DispatchOp : MoE_DifferentiableOp<"dispatch"> {
  let summary = "tokens to rows grouped by expert";
  let description = [{
    `result[row, :] = weights[f] · input[f / K, :]` with f = permutation[row]; without `weights` the factor is 1.
    `input` [T, d], `result` [T·K, d]. The transpose of `combine`.
  }];
  let arguments = (ins MoE_Matrix:$input, MoE_IndexTensor:$permutation, MoE_IndexTensor:$inverse,
    Optional<MoE_StatTensor>:$weights);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $input `plan` `(` $permutation `,` $inverse `)` (`weights` `(` $weights^ `)`)? attr-dict
    `:` functional-type(operands, results)}];
}
def MoE_CombineOp : MoE_DifferentiableOp<"combine"> {
  let summary = "rows grouped by expert back to tokens, in the original order";
  let description = [{
    `result[t, :] = Σ_k weights[t, k] · rows[inverse[t, k], :]`, k ascending; without `weights` the factor is 1.
    `rows` [T·K, d], `result` [T, d]. The transpose of `dispatch`.
  }];
  let arguments = (ins MoE_Matrix:$rows, MoE_IndexTensor:$permutation, MoE_IndexTensor:$inverse,
    Optional<MoE_StatTensor>:$weights);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $rows `plan` `(` $permutation `,` $inverse `)` (`weights` `(` $weights^ `)`)? attr-dict
    `:` functional-type(operands, results)}];
}
def MoE_RoutedDotOp : MoE_TensorOp<"routed_dot"> {
  let summary = "⟨tokens[t], rows[inverse[t, k]]⟩: the gradient of dispatch and combine for their weights";
  let arguments = (ins MoE_Matrix:$tokens, MoE_Matrix:$rows, MoE_IndexTensor:$inverse);
  let results = (outs MoE_StatTensor:$result);
}

def MoE_GroupedMatmulOp : MoE_DifferentiableOp<"grouped_matmul"> {
  let summary = "one matmul per expert";
  let description = [{
    `offsets` [E+1] divides R rows among E experts; R_e are the rows of expert e.

    * `ragged = rows`: lhs [R, k], rhs [E, k, n] ([E, n, k] with `transpose_rhs`), result [R, n]:
      each row times its expert's matrix.
    * `ragged = contraction`: lhs [R, m], rhs [R, n], result [E, m, n]: result_e = lhs[R_e]ᵀ · rhs[R_e]; exact zeros for
      an expert without rows. `transpose_rhs` does not apply.

    Closed under differentiation: the gradients of either form are of these forms.
  }];
  let arguments = (ins MoE_FloatTensor:$lhs, MoE_FloatTensor:$rhs, MoE_IndexTensor:$offsets,
    MoE_RaggedDimAttr:$ragged, UnitAttr:$transpose_rhs);
  let results = (outs MoE_FloatTensor:$result);
}

def MoE_WeightedGatedActivationOp : MoE_DifferentiableOp<"weighted_gated_activation"> {
  let summary = "gated_activation of routed rows, times the weight of each row";
  let description = [{
    `result[row, :] = weights[f] · gated_activation(input)[row, :]` with f = permutation[row]; see `plan_routing`.
    `input` [T·K, 2·n], `weights` [T, K], `result` [T·K, n]. What is linear in the rows of an expert may be weighted
    before as well as after: `combine` with weights of a `grouped_matmul` of `gated_activation` is `combine` without
    weights of a `grouped_matmul` of this.
  }];
  let arguments = (ins MoE_Matrix:$input, MoE_IndexTensor:$permutation, MoE_IndexTensor:$inverse,
    MoE_StatTensor:$weights);
  let results = (outs MoE_Matrix:$result);
  let assemblyFormat = [{
    $input `plan` `(` $permutation `,` $inverse `)` `weights` `(` $weights `)` attr-dict
    `:` functional-type(operands, results)}];
}
def MoE_WeightedGatedActivationBackwardOp : MoE_TensorOp<"weighted_gated_activation_backward"> {
  let summary = "gradients of weighted_gated_activation for its input and weights, and its result on the way";
  let description = [{
    With a = gated_activation(input) and f = permutation[row]: `input_gradient` is that of `gated_activation` for
    weights[f] · result_gradient[row, :], `weights_gradient[f]` = ⟨result_gradient[row, :], a[row, :]⟩, and `result` =
    weights[f] · a[row, :], which the gradient of the matrix that it is multiplied with needs. One pass over the rows
    gives all three.
  }];
  let arguments = (ins MoE_Matrix:$input, MoE_Matrix:$result_gradient, MoE_IndexTensor:$permutation,
    MoE_IndexTensor:$inverse, MoE_StatTensor:$weights);
  let results = (outs MoE_Matrix:$result, MoE_Matrix:$input_gradient, MoE_StatTensor:$weights_gradient);
  let assemblyFormat = [{
    $input `,` $result_gradient `plan` `(` $permutation `,` $inverse `)` `weights` `(` $weights `)` attr-dict
    `:` functional-type(operands, results)}];
}

def MoE_ExpertLoadOp : MoE_TensorOp<"expert_load"> {
  let summary = "rows per expert, from offsets";
  let arguments = (ins MoE_IndexTensor:$offsets);
  let results = (outs MoE_IndexTensor:$load);
}

def MoE_BalanceLossOp : MoE_DifferentiableOp<"balance_loss"> {
  let summary = "the auxiliary loss α·E·Σ_e f_e·P_e";
  let description = [{
    `scores` [T, E], `load` [E] with Σ load = T·K. f_e = load_e/(T·K), P_e = mean over tokens of the normalised score
    s_te/Σ_e' s_te' (arXiv:2101.03961, equations 4–6; for sigmoid scores DeepSeek-V3, equations 18–20, over the batch).
    load has no gradient.
  }];
  let arguments = (ins MoE_StatTensor:$scores, MoE_IndexTensor:$load, F64Attr:$alpha);
  let results = (outs MoE_Scalar:$loss);
}
def MoE_BalanceLossBackwardOp : MoE_TensorOp<"balance_loss_backward"> {
  let summary = "gradient of balance_loss for the scores";
  let arguments = (ins MoE_StatTensor:$scores, MoE_IndexTensor:$load, MoE_Scalar:$loss_gradient, F64Attr:$alpha);
  let results = (outs MoE_StatTensor:$scores_gradient);
}
def MoE_UpdateSelectionBiasOp : MoE_TensorOp<"update_selection_bias"> {
  let summary = "bias_e + rate · sign(mean load − load_e)";
  let description = [{
    Auxiliary-loss-free balancing, arXiv:2412.19437 section 2.1.2. sign(0) = 0. With `grad_norm`, the norm of all
    gradients, the result is `bias` if that is not finite: see `adamw`.
  }];
  let arguments = (ins MoE_StatTensor:$bias, MoE_IndexTensor:$load, Optional<MoE_StatTensor>:$grad_norm, F64Attr:$rate);
  let results = (outs MoE_StatTensor:$result);
}

//===----------------------------------------------------------------------===//
// Loss and optimizer
//===----------------------------------------------------------------------===//

def MoE_CrossEntropyOp : MoE_DifferentiableOp<"cross_entropy"> {
  let summary = "Σ_t weights[t] · −log softmax(logits[t])[targets[t]]";
  let description = [{
    `logits` [T, V], `targets` int32 and `weights` with T elements, any shape. `loss_sum` in nats; `lse` [T] is kept for
    the backward pass. A token with weight 0 counts nothing, whatever its target in [0, V). lse, targets and weights
    have no gradient.
  }];
  let arguments = (ins MoE_Matrix:$logits, MoE_IndexTensor:$targets, MoE_StatTensor:$weights);
  let results = (outs MoE_Scalar:$loss_sum, MoE_StatTensor:$lse);
}
def MoE_CrossEntropyBackwardOp : MoE_TensorOp<"cross_entropy_backward"> {
  let summary = "gradient of cross_entropy for the logits";
  let arguments = (ins MoE_Matrix:$logits, MoE_IndexTensor:$targets, MoE_StatTensor:$weights, MoE_StatTensor:$lse,
    MoE_Scalar:$loss_gradient);
  let results = (outs MoE_Matrix:$logits_gradient);
}

def MoE_LinearCrossEntropyOp : MoE_DifferentiableOp<"linear_cross_entropy"> {
  let summary = "cross_entropy of linear, whose logits need never exist all at once";
  let description = [{
    `loss_sum` = Σ_t weights[t] · −log softmax(hidden[t] · weightᵀ)[targets[t]] with `hidden` [T, d] and `weight` [V,
    d], `targets` int32 and `weights` with T elements, any shape; see `cross_entropy` and `linear`. The logits are
    float32 whatever the operands hold. They are computed for some tokens at a time (see `moe-to-linalg`): [T, V] would
    be the largest tensor of the step. targets and weights have no gradient.
  }];
  let arguments = (ins MoE_Matrix:$hidden, MoE_Matrix:$weight, MoE_IndexTensor:$targets, MoE_StatTensor:$weights);
  let results = (outs MoE_Scalar:$loss_sum);
}
def MoE_LinearCrossEntropyBackwardOp : MoE_TensorOp<"linear_cross_entropy_backward"> {
  let summary = "gradients of linear_cross_entropy, and the loss on the way";
  let description = [{
    With p = softmax(hidden · weightᵀ) and D[t, v] = loss_gradient · weights[t] · (p[t, v] − [v = targets[t]]):
    `hidden_gradient` = D · weight, `weight_gradient` = Dᵀ · hidden, summed in float32 over the tokens in order. Needs
    the logits and so gives `loss_sum` too: `moe-merge-loss` takes it from here, and no product is computed twice.
  }];
  let arguments = (ins MoE_Matrix:$hidden, MoE_Matrix:$weight, MoE_IndexTensor:$targets, MoE_StatTensor:$weights,
    MoE_Scalar:$loss_gradient);
  let results = (outs MoE_Scalar:$loss_sum, MoE_Matrix:$hidden_gradient, MoE_Matrix:$weight_gradient);
}

def MoE_GlobalNormOp : MoE_TensorOp<"global_norm"> {
  let summary = "√Σ x² over all elements of all operands, in a fixed order";
  let description = [{After differentiation only: no gradient.}];
  let arguments = (ins Variadic<MoE_FloatTensor>:$inputs);
  let results = (outs MoE_Scalar:$norm);
}

def MoE_AdamWOp : MoE_TensorOp<"adamw"> {
  let summary = "one AdamW step of one parameter";
  let description = [{
    arXiv:1711.05101, algorithm 2, with the gradient clipped to `max_grad_norm` by the global norm of all gradients:

    ```
    g  = gradient · min(1, max_grad_norm / (grad_norm + 1e-6))
    m' = β1·m + (1−β1)·g
    v' = β2·v + (1−β2)·g²
    p' = p·(1 − lr·weight_decay) − lr · (m'/bias_correction1) / (√(v'/bias_correction2) + epsilon)
    ```
    A bf16 parameter has a `master` in float32: the formula holds for the master, and p' is the master rounded. (A bf16
    weight alone would swallow updates below 2^-9 of it.) If grad_norm is not finite, parameter, moments and master
    keep their values bit for bit: a step that overflowed is not taken. Each result may take its operand's memory. After
    differentiation only: no gradient.
  }];
  let arguments = (ins MoE_FloatTensor:$parameter, MoE_FloatTensor:$gradient, MoE_StatTensor:$exp_avg,
    MoE_StatTensor:$exp_avg_sq, MoE_Scalar:$grad_norm, MoE_Scalar:$learning_rate, MoE_Scalar:$bias_correction1,
    MoE_Scalar:$bias_correction2, Optional<MoE_StatTensor>:$master, F64Attr:$beta1, F64Attr:$beta2, F64Attr:$epsilon,
    F64Attr:$weight_decay, F64Attr:$max_grad_norm);
  let results = (outs MoE_FloatTensor:$new_parameter, MoE_StatTensor:$new_exp_avg, MoE_StatTensor:$new_exp_avg_sq,
    Optional<MoE_StatTensor>:$new_master);
}

#endif // DIALECTS_MOE_IR_MOETENSOROPS_TD
