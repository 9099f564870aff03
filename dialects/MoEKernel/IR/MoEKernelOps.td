//===- MoEKernelOps.td - The ops of the moe_kernel dialect -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_TD
#define DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_TD

include "dialects/MoEKernel/IR/MoEKernelDialect.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def MoEKernel_KernelOp : MoEKernel_Op<"kernel", [FunctionOpInterface, IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "a function on tensors that becomes one launch";
  let description = [{
    ```mlir
    moe_kernel.kernel @combine_2048x128(%rows: tensor<4096x128xf32>, ...) -> tensor<2048x128xf32> { ... }
    ```
    An argument with the attribute `moe_kernel.tied = N` shares its memory with result N, which is computed in place:
    an element may be written only after its last read. `config` is set by the stage `configure`.

    The body has one of three forms.
    * One structured op. Its operands are arguments of the kernel and the kernel returns all of its results, in order.
    * Rows: `linalg.generic` ops whose first loop is parallel and of one extent, the *rows* of the kernel. An op reads
      what another op of the kernel computed only in the row that it is computing itself, so rows are independent. An op
      with the attribute `moe_kernel.accumulates` adds up rows, chunk by chunk: its first loop runs over chunks, its
      second one, a reduction, over the rows of a chunk, and no other op of the kernel reads its
      result. Beside them there are `tensor.empty` and `linalg.fill` (initial values), `arith.constant`, and
      `tensor.expand_shape` and `tensor.collapse_shape` of arguments, of what is returned, and between ops that agree on
      rows.
    * Launches of kernels of the other two forms, which share one launch. They run at the same time, each by itself
      (horizontal fusion), or one reads the result of another one, which then is of rows: whatever computes a part of
      the reader computes all of these rows itself first (a prologue). Other operands are arguments of the kernel. It
      returns the results of all launches, in order; those that are read in it only if it is to. What a launch works on
      in place is tied to the same result and is no operand of another. Such a kernel has no `config`: the kernels that
      it launches have theirs.
    ```mlir
    moe_kernel.kernel @key_and_value(%x: tensor<1x1024xbf16>, %k: ..., %v: ...) -> (...) {
      %0 = moe_kernel.launch @linear_1x512x1024(%x, %k) : ...
      %1 = moe_kernel.launch @linear_1x512x1024(%x, %v) : ...
      moe_kernel.return %0, %1 : ...
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
    OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs,
    OptionalAttr<AnyAttr>:$config);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// The result that argument `index` shares memory with, if any.
    std::optional<unsigned> getTiedResult(unsigned index);
    /// Whether the body has the third form.
    bool holdsLaunches();
  }];
}

def MoEKernel_ReturnOp : MoEKernel_Op<"return", [Pure, ReturnLike, Terminator, HasParent<"KernelOp">]> {
  let summary = "the results of a kernel";
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def MoEKernel_LaunchOp : MoEKernel_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a kernel";
  let description = [{
    Value semantics: operands are not changed as far as the IR is concerned. Whether a tied operand's memory can be
    reused or has to be copied is decided in the stage `schedule`. `label` names the place in the model for traces. In a
    kernel it runs another one as a part of it.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyStaticShapeTensor>:$inputs, OptionalAttr<StrAttr>:$label);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $results)";
}

//===----------------------------------------------------------------------===//
// Parts of tensors, between launches
//===----------------------------------------------------------------------===//

def MoEKernel_SliceOp : MoEKernel_Op<"slice", [Pure]> {
  let summary = "elements of a tensor that follow each other, without a copy";
  let description = [{
    The elements from number `offset` on, in row-major order, with a shape of their own: some rows of a matrix, some
    sequences of a batch.
    ```mlir
    %rows = moe_kernel.slice %x[32768] : tensor<1024x128xf32> -> tensor<256x128xf32>
    ```
    The stage `schedule` reads them where they are, so they must start at a multiple of 256 bytes, as every buffer does.
  }];
  let arguments = (ins AnyStaticShapeTensor:$source, I64Attr:$offset);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$source `[` $offset `]` attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def MoEKernel_ConcatOp : MoEKernel_Op<"concat", [Pure]> {
  let summary = "the elements of all operands, one operand after the other, without a copy";
  let description = [{
    In row-major order, with a shape of their own.
    ```mlir
    %x = moe_kernel.concat %first, %second : (tensor<256x128xf32>, tensor<128x128xf32>) -> tensor<384x128xf32>
    ```
    The stage `schedule` has each operand computed in its part of the result. So each must be the result of a launch and
    part of no other concatenation, and the parts must start at multiples of 256 bytes.
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$inputs);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Structured ops: at most one per kernel
//===----------------------------------------------------------------------===//

/// An op that a target's emitter knows how to run as a kernel of its own.
def MoEKernel_Structured : NativeOpTrait<"StructuredKernelOp"> {
  let cppNamespace = "::mlir::moe_kernel";
}

class MoEKernel_StructuredOp<string mnemonic, list<Trait> traits = []>
    : MoEKernel_Op<mnemonic, [Pure, MoEKernel_Structured] # traits> {
  let hasVerifier = 1;
}

def MoEKernel_MatmulOp : MoEKernel_StructuredOp<"matmul", [AttrSizedOperandSegments,
    SingleBlockImplicitTerminator<"YieldOp">, NoMemoryEffect]> {
  let summary = "a dense, grouped or ragged matmul with an epilogue";
  let description = [{
    Accumulates `acc[m, n] = Σ_k A[m, k] · B[k, n]` in float32 and runs the epilogue region once per element. A and B
    are both of f32 or both of bf16.

    | kind | lhs | rhs | accumulator |
    |---|---|---|---|
    | `dense` | [M, K] ([K, M] with transpose_lhs) | [K, N] ([N, K] with transpose_rhs) | [M, N] |
    | `ragged_rows` | [M, K] | [E, K, N] ([E, N, K] with transpose_rhs) | [M, N]; row m uses the matrix of its expert |
    | `ragged_contraction` | [R, M] | [R, N] | [E, M, N]; expert e contracts its own rows, none give zeros |

    `offsets` [E+1] int32 for the ragged kinds. `row_index` (int32 [rows]): row r of the tokens' operand is read from
    row `row_index[r] / row_divisor` instead (a fused dispatch). It applies to lhs or, with `gather_rhs` (only
    `ragged_contraction`), to rhs; the gathered operand has a row per token, the other one a row per entry of
    `row_index`.

    `parts`: a target may sum a long contraction of a `dense` matmul in P equal parts. Results are then [P, M, N], part
    p is the sum over k from p·K/P on, and there are no extras; another kernel adds the parts.

    `paired`: N is 2·n, columns j and j + n of the accumulator (gate and up) meet in one epilogue call.

    Epilogue block arguments: the f32 accumulator (two if paired: column j, column j + n), then for each of `extras` one
    value of its element type (two for `pair`). What is yielded has the results' element types; an epilogue computes in
    f32 and truncates last. An extra's extent says how it is indexed: `scalar` [], `row` [M], `column` [N or n],
    `full` [M, n'], `pair` [M, 2n'] (columns j and j + n'), where n' is n if paired and N if not. For
    `ragged_contraction`, `full` is [E, M, N] and the only extent beside `scalar`. The yield gives, for each result, one
    value (`full`) or two (`pair`), see `result_extents`.

    A float32 result of extent `row_sum` [M, ⌈n' / 64⌉] holds, for each row and each 64 columns, the sum of the values
    that the epilogue yields for it, in an order that the target fixes. Another kernel adds these up. Not every target
    can do that (`Target::sumsRows`), nor has it a meaning for `ragged_contraction`.
  }];
  let arguments = (ins AnyStaticShapeTensor:$lhs, AnyStaticShapeTensor:$rhs, Optional<AnyStaticShapeTensor>:$offsets,
    Optional<AnyStaticShapeTensor>:$row_index, Variadic<AnyStaticShapeTensor>:$extras,
    MoEKernel_MatmulKindAttr:$kind, UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs, UnitAttr:$paired,
    UnitAttr:$gather_rhs, DefaultValuedAttr<I64Attr, "1">:$row_divisor,
    DefaultValuedAttr<MoEKernel_TileExtentArrayAttr, "{}">:$extra_extents,
    MoEKernel_TileExtentArrayAttr:$result_extents, DefaultValuedAttr<I64Attr, "1">:$parts);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let regions = (region SizedRegion<1>:$epilogue);
  let extraClassDeclaration = [{
    /// Whether a result has the extent `row_sum`.
    bool sumsRows() {
      return ::llvm::any_of(getResultExtents().getAsRange<TileExtentAttr>(),
                            [](TileExtentAttr extent) { return extent.getValue() == TileExtent::row_sum; });
    }
  }];
  let assemblyFormat = [{
    custom<Keyword>($kind) `(` $lhs `,` $rhs `)` (`offsets` `(` $offsets^ `)`)? (`rows` `(` $row_index^ `)`)?
    (`extras` `(` $extras^ `)`)?
    attr-dict `:` functional-type(operands, $results) $epilogue}];
}
def MoEKernel_YieldOp : MoEKernel_Op<"yield", [Pure, ReturnLike, Terminator, HasParent<"MatmulOp">]> {
  let summary = "what the epilogue stores";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
  let builders = [OpBuilder<(ins), "">];
}

def MoEKernel_CombinedMatmulOp : MoEKernel_StructuredOp<"combined_matmul"> {
  let summary = "a matmul of experts' rows, and the weighted sum of a token's rows";
  let description = [{
    `result[t] = Σ_j weights[t, j] · (matrix[e] · rows[inverse[t, j]]) + residual[t]`, in float32 and in the order of j,
    and rounded once. `rows` [R, K], `matrix` [E, N, K]; e is the expert whose rows, from `offsets[e]` to `offsets[e +
    1]`, the row belongs to. R is T · top_k.

    For few tokens: a matrix is read once for each token that chose its expert. `moe-fuse-combine` makes it of a matmul
    and a combine where the target wants it (`Target::combinesRows`).
    ```mlir
    %y = moe_kernel.combined_matmul %h, %down, %offsets, %inverse, %weights
        : (tensor<8x768xbf16>, tensor<128x2048x768xbf16>, tensor<129xi32>, tensor<1x8xi32>, tensor<1x8xf32>)
        -> tensor<1x2048xbf16>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$rows, AnyStaticShapeTensor:$matrix, AnyStaticShapeTensor:$offsets,
    AnyStaticShapeTensor:$inverse, AnyStaticShapeTensor:$weights, Optional<AnyStaticShapeTensor>:$residual);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

def MoEKernel_AttentionOp : MoEKernel_StructuredOp<"attention"> {
  let summary = "causal grouped-query attention, no score matrix in memory; see moe.attention";
  let arguments = (ins AnyStaticShapeTensor:$query, AnyStaticShapeTensor:$key, AnyStaticShapeTensor:$value,
    Optional<AnyStaticShapeTensor>:$positions, I64Attr:$num_heads, I64Attr:$num_kv_heads, I64Attr:$sequence_length);
  let results = (outs AnyStaticShapeTensor:$result, AnyStaticShapeTensor:$lse);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_AttentionBackwardOp : MoEKernel_StructuredOp<"attention_backward"> {
  let summary = "its gradients; see moe.attention_backward";
  let arguments = (ins AnyStaticShapeTensor:$query, AnyStaticShapeTensor:$key, AnyStaticShapeTensor:$value,
    AnyStaticShapeTensor:$result, AnyStaticShapeTensor:$lse, AnyStaticShapeTensor:$result_gradient,
    Optional<AnyStaticShapeTensor>:$positions, I64Attr:$num_heads, I64Attr:$num_kv_heads, I64Attr:$sequence_length);
  let results = (outs AnyStaticShapeTensor:$query_gradient, AnyStaticShapeTensor:$key_gradient,
    AnyStaticShapeTensor:$value_gradient);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_AttentionGradientsOp : MoEKernel_StructuredOp<"attention_gradients"> {
  let summary = "attention_backward of which the part that needs the result was done before";
  let description = [{
    `delta` [tokens, num_heads] float32 is Σ result · result_gradient over the elements of a head: all that the
    gradients need of the result. A target that would form it again and again has `attention_backward` split into a
    kernel of rows and this op before it configures kernels.
  }];
  let arguments = (ins AnyStaticShapeTensor:$query, AnyStaticShapeTensor:$key, AnyStaticShapeTensor:$value,
    AnyStaticShapeTensor:$lse, AnyStaticShapeTensor:$delta, AnyStaticShapeTensor:$result_gradient,
    Optional<AnyStaticShapeTensor>:$positions, I64Attr:$num_heads, I64Attr:$num_kv_heads, I64Attr:$sequence_length);
  let results = (outs AnyStaticShapeTensor:$query_gradient, AnyStaticShapeTensor:$key_gradient,
    AnyStaticShapeTensor:$value_gradient);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

def MoEKernel_CachedAttentionOp : MoEKernel_StructuredOp<"cached_attention"> {
  let summary = "attention of new tokens over caches; see moe.cached_attention";
  let arguments = (ins AnyStaticShapeTensor:$query, AnyStaticShapeTensor:$key_cache, AnyStaticShapeTensor:$value_cache,
    AnyStaticShapeTensor:$positions, I64Attr:$num_heads, I64Attr:$num_kv_heads);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

def MoEKernel_RouteOp : MoEKernel_StructuredOp<"route"> {
  let summary = "router logits to scores, top-k choice and weights; see moe.router_scores and moe.topk_gate";
  let arguments = (ins AnyStaticShapeTensor:$logits, Optional<AnyStaticShapeTensor>:$selection_bias, I64Attr:$top_k,
    MoEKernel_ScoringFuncAttr:$scoring, BoolAttr:$norm_topk_prob, F64Attr:$routed_scaling_factor);
  let results = (outs AnyStaticShapeTensor:$scores, AnyStaticShapeTensor:$weights, AnyStaticShapeTensor:$indices);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_RouterOp : MoEKernel_StructuredOp<"router", [AttrSizedResultSegments]> {
  let summary = "a router from tokens to its choice: the logits, what route makes of them, and the plan";
  let description = [{
    The logits input · weightᵀ of `input` [T, d] and `weight` [E, d], accumulated in float32, and then as `route`.
    `scores` [T, E] are a result only where something reads them, or where blocks pass logits to one another through
    their memory. Two more results are optional: the plan of the indices (`offsets`, `permutation` and `inverse`), or
    what a `plan` of its own is quicker with: `counts` [⌈T / chunk⌉, E], how many of the tokens from c · chunk on chose
    expert e.
    ```mlir
    %weights, %indices, %counts = moe_kernel.router %x, %w {top_k = 8 : i64, chunk = 64 : i64, ...,
        resultSegmentSizes = array<i32: 0, 1, 1, 1, 0, 0, 0>} : (tensor<8192x2048xbf16>, tensor<128x2048xbf16>)
        -> (tensor<8192x8xf32>, tensor<8192x8xi32>, tensor<128x128xi32>)
    ```
    A target whose launches are dear makes it of the launches of a matmul, a route and a plan.
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, AnyStaticShapeTensor:$weight,
    Optional<AnyStaticShapeTensor>:$selection_bias, I64Attr:$top_k, MoEKernel_ScoringFuncAttr:$scoring,
    BoolAttr:$norm_topk_prob, F64Attr:$routed_scaling_factor, OptionalAttr<I64Attr>:$chunk);
  let results = (outs Optional<AnyStaticShapeTensor>:$scores, AnyStaticShapeTensor:$weights,
    AnyStaticShapeTensor:$indices, Optional<AnyStaticShapeTensor>:$counts, Optional<AnyStaticShapeTensor>:$offsets,
    Optional<AnyStaticShapeTensor>:$permutation, Optional<AnyStaticShapeTensor>:$inverse);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_RouteBackwardOp : MoEKernel_StructuredOp<"route_backward"> {
  let summary = "gradient of route for the logits, from those of the weights and (balance loss) of the scores";
  let description = [{Fuses topk_gate_backward, the sum with `scores_gradient` if given, and router_scores_backward.}];
  let arguments = (ins AnyStaticShapeTensor:$scores, AnyStaticShapeTensor:$indices,
    AnyStaticShapeTensor:$weights_gradient, Optional<AnyStaticShapeTensor>:$scores_gradient,
    MoEKernel_ScoringFuncAttr:$scoring, BoolAttr:$norm_topk_prob, F64Attr:$routed_scaling_factor);
  let results = (outs AnyStaticShapeTensor:$logits_gradient);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_PlanOp : MoEKernel_StructuredOp<"plan"> {
  let summary = "offsets, permutation and its inverse; see moe.plan_routing";
  let description = [{`counts` with `chunk`: what `router` says of the same indices.}];
  let arguments = (ins AnyStaticShapeTensor:$indices, Optional<AnyStaticShapeTensor>:$counts,
    OptionalAttr<I64Attr>:$chunk);
  let results = (outs AnyStaticShapeTensor:$offsets, AnyStaticShapeTensor:$permutation, AnyStaticShapeTensor:$inverse);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_DispatchOp : MoEKernel_StructuredOp<"dispatch"> {
  let summary = "copies of tokens in the order of their experts: result[inverse[t, j], :] = input[t, :]";
  let description = [{
    The rows that `permutation` of the same plan gathers, written from the tokens' side: a token is read once for all of its
    choices. `inverse` [T, K] has every number below T · K once; `result` is [T · K, d]. A target makes it of the gather of a
    `matmul` where a copy of the rows costs less than gathering them in the kernel.
    ```mlir
    %rows = moe_kernel.dispatch %x, %inverse
        : (tensor<8192x7168xbf16>, tensor<8192x8xi32>) -> tensor<65536x7168xbf16>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, AnyStaticShapeTensor:$inverse);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_ScatterAddOp : MoEKernel_StructuredOp<"scatter_add"> {
  let summary = "result[indices[t], :] += rows[t, :] in order of t, from zero; see moe.embedding_backward";
  let arguments = (ins AnyStaticShapeTensor:$indices, AnyStaticShapeTensor:$rows);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_CacheAppendOp : MoEKernel_StructuredOp<"cache_append"> {
  let summary = "rows written into a cache in place; see moe.cache_append";
  let arguments = (ins AnyStaticShapeTensor:$cache, AnyStaticShapeTensor:$rows, AnyStaticShapeTensor:$positions);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def MoEKernel_SumOfSquaresOp : MoEKernel_StructuredOp<"sum_of_squares"> {
  let summary = "Σ x² of each fixed chunk of all operands: partial sums, one per chunk, in order";
  let description = [{
    The operands are taken one after the other; each is cut into chunks of `chunk` elements (the last one shorter).
    `partial` has one float32 per chunk. A following rows kernel adds them in order and takes the root.
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$inputs, I64Attr:$chunk);
  let results = (outs AnyStaticShapeTensor:$partial);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

#endif // DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_TD
