// RUN: %moe-opt %s -split-input-file -verify-diagnostics

// The ops are in functions, so that only their own verifiers speak.
func.func @contract(%a: tensor<8x4xf32>, %b: tensor<5x6xf32>) {
  // expected-error @+1 {{lhs contracts 4 but rhs contracts 5}}
  %0 = moe_kernel.matmul dense(%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<5x6xf32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @result(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{result 0 has shape [8, 5] but extent full and an accumulator of 8 x 6 need [8, 6]}}
  %0 = moe_kernel.matmul dense(%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x5xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @offsets(%a: tensor<8x4xf32>, %b: tensor<3x4x6xf32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{offsets has shape [3] but 3 experts need [4]}}
  %0 = moe_kernel.matmul ragged_rows(%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<3x4x6xf32>, tensor<3xi32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @no_offsets(%a: tensor<8x4xf32>, %b: tensor<3x4x6xf32>) {
  // expected-error @+1 {{of kind ragged_rows needs offsets}}
  %0 = moe_kernel.matmul ragged_rows(%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<3x4x6xf32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @divisor(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{row_divisor is 2 but must be 1 without a row index}}
  %0 = moe_kernel.matmul dense(%a, %b) {row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @gather(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{gather_rhs needs kind ragged_contraction and a row index}}
  %0 = moe_kernel.matmul dense(%a, %b) {gather_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @odd_pair(%a: tensor<8x4xf32>, %b: tensor<4x5xf32>) {
  // expected-error @+1 {{paired needs an even number of columns but there are 5}}
  %0 = moe_kernel.matmul dense(%a, %b) {paired, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x5xf32>) -> tensor<8x2xf32> {
  ^bb0(%acc: f32, %up: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @extents(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>, %c: tensor<6xf32>) {
  // expected-error @+1 {{has 1 extras but 0 extents for them}}
  %0 = moe_kernel.matmul dense(%a, %b) extras(%c) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>, tensor<6xf32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32, %e: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @epilogue_arguments(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{epilogue has 1 arguments but accumulator and extras give 2}}
  %0 = moe_kernel.matmul dense(%a, %b) {paired, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x3xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @yields(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{epilogue yields 1 values but the results take 2}}
  %0 = moe_kernel.matmul dense(%a, %b) {result_extents = [#moe_kernel.extent<pair>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8x12xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @row_result(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{result 0 has extent row but must be full, pair or row_sum}}
  %0 = moe_kernel.matmul dense(%a, %b) {result_extents = [#moe_kernel.extent<row>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>) -> tensor<8xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @row_sum_extra(%a: tensor<8x4xf32>, %b: tensor<4x6xf32>, %s: tensor<8x1xf32>) {
  // expected-error @+1 {{extra 0 has extent row_sum, which is for results}}
  %0 = moe_kernel.matmul dense(%a, %b) extras(%s)
      {extra_extents = [#moe_kernel.extent<row_sum>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf32>, tensor<4x6xf32>, tensor<8x1xf32>) -> tensor<8x6xf32> {
  ^bb0(%acc: f32, %sum: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @row_sum_columns(%a: tensor<8x4xf32>, %b: tensor<4x130xf32>) {
  // expected-error @+1 {{result 0 has shape [8, 2] but extent row_sum and an accumulator of 8 x 130 need [8, 3]}}
  %0 = moe_kernel.matmul dense(%a, %b) {result_extents = [#moe_kernel.extent<row_sum>]}
      : (tensor<8x4xf32>, tensor<4x130xf32>) -> tensor<8x2xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @row_sum_type(%a: tensor<8x4xbf16>, %b: tensor<4x6xbf16>) {
  // expected-error @+1 {{result 0 has element type 'bf16' but must be f32}}
  %0 = moe_kernel.matmul dense(%a, %b) {result_extents = [#moe_kernel.extent<row_sum>]}
      : (tensor<8x4xbf16>, tensor<4x6xbf16>) -> tensor<8x1xbf16> {
  ^bb0(%acc: f32):
    %rounded = arith.truncf %acc : f32 to bf16
    moe_kernel.yield %rounded : bf16
  }
  return
}

// -----

func.func @row_sum_of_contraction(%a: tensor<8x4xf32>, %b: tensor<8x6xf32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{result 0 has extent row_sum, which does not apply to kind ragged_contraction}}
  %0 = moe_kernel.matmul ragged_contraction(%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<row_sum>]}
      : (tensor<8x4xf32>, tensor<8x6xf32>, tensor<3xi32>) -> tensor<4x1xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  return
}

// -----

func.func @heads(%q: tensor<8x16xf32>, %k: tensor<8x12xf32>) {
  // expected-error @+1 {{num_heads = 4 is not a multiple of num_kv_heads = 3}}
  %0:2 = moe_kernel.attention %q, %k, %k {num_heads = 4 : i64, num_kv_heads = 3 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x12xf32>, tensor<8x12xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  return
}

// -----

func.func @sequences(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>) {
  // expected-error @+1 {{query has 8 rows, not a multiple of sequence_length = 3}}
  %0:2 = moe_kernel.attention %q, %k, %k {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  return
}

// -----

func.func @keys(%q: tensor<8x16xf32>, %k: tensor<8x16xf32>) {
  // expected-error @+1 {{key has shape [8, 16] but 8 tokens of 2 heads of 4 need [8, 8]}}
  %0:2 = moe_kernel.attention %q, %k, %k {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x16xf32>, tensor<8x16xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  return
}

// -----

func.func @positions(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %p: tensor<2x3xi32>) {
  // expected-error @+1 {{positions has 6 elements but 8 tokens need 8}}
  %0:2 = moe_kernel.attention %q, %k, %k, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<2x3xi32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  return
}

// -----

func.func @positions(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %p: tensor<8xf32>) {
  // expected-error @+1 {{positions has element type 'f32' but must be i32}}
  %0:2 = moe_kernel.attention %q, %k, %k, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  return
}

// -----

func.func @gradient(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %l: tensor<8x4xf32>) {
  // expected-error @+1 {{key gradient has shape [8, 4] but gradients of values of that shape need [8, 8]}}
  %0:3 = moe_kernel.attention_backward %q, %k, %k, %q, %l, %q {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x16xf32>, tensor<8x4xf32>, tensor<8x16xf32>)
      -> (tensor<8x16xf32>, tensor<8x4xf32>, tensor<8x8xf32>)
  return
}

// -----

func.func @delta_per_token(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %l: tensor<8x4xf32>, %d: tensor<8xf32>) {
  // expected-error @+1 {{delta has shape [8] but the queries and heads of lse need [8, 4]}}
  %0:3 = moe_kernel.attention_gradients %q, %k, %k, %l, %d, %q {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x4xf32>, tensor<8xf32>, tensor<8x16xf32>)
      -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
  return
}

// -----

func.func @cache(%q: tensor<6x16xf32>, %c: tensor<3x10x8xf32>, %p: tensor<2x3xi32>) {
  // expected-error @+1 {{key cache has shape [3, 10, 8] but 2 sequences of 2 heads of 4 need [2, 10, 8]}}
  %0 = moe_kernel.cached_attention %q, %c, %c, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<6x16xf32>, tensor<3x10x8xf32>, tensor<3x10x8xf32>, tensor<2x3xi32>) -> tensor<6x16xf32>
  return
}

// -----

func.func @append(%c: tensor<2x10x8xf32>, %r: tensor<5x8xf32>, %p: tensor<2x3xi32>) {
  // expected-error @+1 {{rows has shape [5, 8] but 2 x 3 positions need [6, 8]}}
  %0 = moe_kernel.cache_append %c, %r, %p : (tensor<2x10x8xf32>, tensor<5x8xf32>, tensor<2x3xi32>) -> tensor<2x10x8xf32>
  return
}

// -----

func.func @top_k(%l: tensor<8x4xf32>) {
  // expected-error @+1 {{top_k is 5 but there are 4 experts}}
  %0:3 = moe_kernel.route %l {top_k = 5 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x5xf32>, tensor<8x5xi32>)
  return
}

// -----

func.func @route_weights(%l: tensor<8x4xf32>) {
  // expected-error @+1 {{weights has shape [8, 3] but 8 tokens with 2 experts each need [8, 2]}}
  %0:3 = moe_kernel.route %l {top_k = 2 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x3xf32>, tensor<8x2xi32>)
  return
}

// -----

func.func @route_backward(%s: tensor<8x4xf32>, %i: tensor<6x2xi32>, %d: tensor<6x2xf32>) {
  // expected-error @+1 {{scores have 8 tokens but indices have 6}}
  %0 = moe_kernel.route_backward %s, %i, %d {scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xf32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @plan(%i: tensor<8x2xi32>) {
  // expected-error @+1 {{permutation has shape [8] but 8 tokens with 2 experts each need [16]}}
  %0:3 = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<8xi32>, tensor<8x2xi32>)
  return
}

// -----

func.func @plan_counts(%i: tensor<8x2xi32>, %c: tensor<3x4xi32>) {
  // expected-error @+1 {{counts has shape [3, 4] but 8 tokens in chunks of 4 and 4 experts need [2, 4]}}
  %0:3 = moe_kernel.plan %i, %c {chunk = 4 : i64}
      : (tensor<8x2xi32>, tensor<3x4xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  return
}

// -----

func.func @plan_chunk(%i: tensor<8x2xi32>, %c: tensor<2x4xi32>) {
  // expected-error @+1 {{has counts but does not say of how many tokens each: chunk is missing or below 1}}
  %0:3 = moe_kernel.plan %i, %c
      : (tensor<8x2xi32>, tensor<2x4xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  return
}

// -----

func.func @router_weight(%x: tensor<8x16xbf16>, %w: tensor<4x24xbf16>) {
  // expected-error @+1 {{weight has shape [4, 24] but input rows of that length need [4, 16]}}
  %0:2 = moe_kernel.router %x, %w {top_k = 2 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64,
      resultSegmentSizes = array<i32: 0, 1, 1, 0, 0, 0, 0>}
      : (tensor<8x16xbf16>, tensor<4x24xbf16>) -> (tensor<8x2xf32>, tensor<8x2xi32>)
  return
}

// -----

func.func @router_part_of_plan(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>) {
  // expected-error @+1 {{has a part of a plan only; offsets, permutation and inverse come together}}
  %0:3 = moe_kernel.router %x, %w {top_k = 2 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64,
      resultSegmentSizes = array<i32: 0, 1, 1, 0, 1, 0, 0>}
      : (tensor<8x16xbf16>, tensor<4x16xbf16>) -> (tensor<8x2xf32>, tensor<8x2xi32>, tensor<5xi32>)
  return
}

// -----

func.func @router_offsets(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>) {
  // expected-error @+1 {{offsets has shape [6] but 4 experts need [5]}}
  %0:5 = moe_kernel.router %x, %w {top_k = 2 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64,
      resultSegmentSizes = array<i32: 0, 1, 1, 0, 1, 1, 1>}
      : (tensor<8x16xbf16>, tensor<4x16xbf16>)
      -> (tensor<8x2xf32>, tensor<8x2xi32>, tensor<6xi32>, tensor<16xi32>, tensor<8x2xi32>)
  return
}

// -----

func.func @dispatch_tokens(%x: tensor<8x16xbf16>, %i: tensor<7x2xi32>) {
  // expected-error @+1 {{inverse has shape [7, 2] but 8 tokens need [8, 2]}}
  %0 = moe_kernel.dispatch %x, %i : (tensor<8x16xbf16>, tensor<7x2xi32>) -> tensor<14x16xbf16>
  return
}

// -----

func.func @dispatch_rows(%x: tensor<8x16xbf16>, %i: tensor<8x2xi32>) {
  // expected-error @+1 {{result has shape [8, 16] but that input and inverse need [16, 16]}}
  %0 = moe_kernel.dispatch %x, %i : (tensor<8x16xbf16>, tensor<8x2xi32>) -> tensor<8x16xbf16>
  return
}

// -----

func.func @dispatch_types(%x: tensor<8x16xbf16>, %i: tensor<8x2xi32>) {
  // expected-error @+1 {{result has element type 'f32' but input has 'bf16'}}
  %0 = moe_kernel.dispatch %x, %i : (tensor<8x16xbf16>, tensor<8x2xi32>) -> tensor<16x16xf32>
  return
}

// -----

func.func @scatter(%i: tensor<2x3xi32>, %r: tensor<8x16xf32>) {
  // expected-error @+1 {{there are 6 indices but 8 rows}}
  %0 = moe_kernel.scatter_add %i, %r : (tensor<2x3xi32>, tensor<8x16xf32>) -> tensor<32x16xf32>
  return
}

// -----

func.func @index_type(%i: tensor<8xi64>, %r: tensor<8x16xf32>) {
  // expected-error @+1 {{indices has element type 'i64' but must be i32}}
  %0 = moe_kernel.scatter_add %i, %r : (tensor<8xi64>, tensor<8x16xf32>) -> tensor<32x16xf32>
  return
}

// -----

func.func @chunks(%a: tensor<5x4xf32>) {
  // expected-error @+1 {{partial has shape [2] but operands in chunks of 8 need [3]}}
  %0 = moe_kernel.sum_of_squares %a {chunk = 8 : i64} : (tensor<5x4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @two_types(%a: tensor<8x4xbf16>, %b: tensor<4x6xf32>) {
  // expected-error @+1 {{rhs has element type 'f32' but lhs has 'bf16'}}
  %0 = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xbf16>, tensor<4x6xf32>) -> tensor<8x6xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  return
}

// -----

func.func @half(%a: tensor<8x4xf16>, %b: tensor<4x6xf16>) {
  // expected-error @+1 {{lhs has element type 'f16' but must be f32 or bf16}}
  %0 = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xf16>, tensor<4x6xf16>) -> tensor<8x6xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  return
}

// -----

func.func @not_rounded(%a: tensor<8x4xbf16>, %b: tensor<4x6xbf16>) {
  // expected-error @+1 {{epilogue value 0 has type 'f32' but the result takes 'bf16'}}
  %0 = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8x4xbf16>, tensor<4x6xbf16>) -> tensor<8x6xbf16> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  return
}

// -----

func.func @narrow_key(%q: tensor<8x16xf32>, %k: tensor<8x16xbf16>) {
  // expected-error @+1 {{key has element type 'bf16' but query has 'f32'}}
  %0:2 = moe_kernel.attention %q, %k, %k {num_heads = 2 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x16xbf16>, tensor<8x16xbf16>) -> (tensor<8x16xf32>, tensor<8x2xf32>)
  return
}

// -----

func.func @narrow_statistic(%q: tensor<8x16xbf16>) {
  // expected-error @+1 {{lse has element type 'bf16' but must be f32}}
  %0:2 = moe_kernel.attention %q, %q, %q {num_heads = 2 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xbf16>, tensor<8x16xbf16>, tensor<8x16xbf16>) -> (tensor<8x16xbf16>, tensor<8x2xbf16>)
  return
}

// -----

func.func @wide_cache(%q: tensor<2x16xbf16>, %c: tensor<2x10x16xf32>, %p: tensor<2x1xi32>) {
  // expected-error @+1 {{key cache has element type 'f32' but query has 'bf16'}}
  %0 = moe_kernel.cached_attention %q, %c, %c, %p {num_heads = 2 : i64, num_kv_heads = 2 : i64}
      : (tensor<2x16xbf16>, tensor<2x10x16xf32>, tensor<2x10x16xf32>, tensor<2x1xi32>) -> tensor<2x16xbf16>
  return
}

// -----

func.func @wide_rows(%c: tensor<2x10x16xbf16>, %x: tensor<2x16xf32>, %p: tensor<2x1xi32>) {
  // expected-error @+1 {{rows has element type 'f32' but cache has 'bf16'}}
  %0 = moe_kernel.cache_append %c, %x, %p
      : (tensor<2x10x16xbf16>, tensor<2x16xf32>, tensor<2x1xi32>) -> tensor<2x10x16xbf16>
  return
}

// -----

func.func @narrow_logits(%x: tensor<8x4xbf16>) {
  // expected-error @+1 {{logits has element type 'bf16' but must be f32}}
  %0:3 = moe_kernel.route %x {top_k = 2 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xbf16>) -> (tensor<8x4xf32>, tensor<8x2xf32>, tensor<8x2xi32>)
  return
}

// -----

func.func @narrow_scatter(%i: tensor<8xi32>, %r: tensor<8x16xf32>) {
  // expected-error @+1 {{result has element type 'bf16' but rows has 'f32'}}
  %0 = moe_kernel.scatter_add %i, %r : (tensor<8xi32>, tensor<8x16xf32>) -> tensor<32x16xbf16>
  return
}

// -----

func.func @mixed_squares(%a: tensor<4xf32>, %b: tensor<4xbf16>) {
  // expected-error @+1 {{operand 1 has element type 'bf16' but operand 0 has 'f32'}}
  %0 = moe_kernel.sum_of_squares %a, %b {chunk = 8 : i64} : (tensor<4xf32>, tensor<4xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @slice_beyond(%x: tensor<512x4xf32>) {
  // expected-error @+1 {{takes elements 1024 to 2176 but source has 2048}}
  %0 = moe_kernel.slice %x[1024] : tensor<512x4xf32> -> tensor<288x4xf32>
  return
}

// -----

func.func @slice_unaligned(%x: tensor<512x4xf32>) {
  // expected-error @+1 {{result starts at byte 400, which is not a multiple of 256}}
  %0 = moe_kernel.slice %x[100] : tensor<512x4xf32> -> tensor<64x4xf32>
  return
}

// -----

func.func @slice_type(%x: tensor<512x4xf32>) {
  // expected-error @+1 {{result holds 'i32' but the whole holds 'f32'}}
  %0 = moe_kernel.slice %x[0] : tensor<512x4xf32> -> tensor<64x4xi32>
  return
}

// -----

func.func @concat_unaligned(%x: tensor<10xf32>, %y: tensor<54xf32>) {
  // expected-error @+1 {{operand 1 starts at byte 40, which is not a multiple of 256}}
  %0 = moe_kernel.concat %x, %y : (tensor<10xf32>, tensor<54xf32>) -> tensor<64xf32>
  return
}

// -----

func.func @concat_size(%x: tensor<64xf32>, %y: tensor<64xf32>) {
  // expected-error @+1 {{operands have 128 elements but the result has 192}}
  %0 = moe_kernel.concat %x, %y : (tensor<64xf32>, tensor<64xf32>) -> tensor<192xf32>
  return
}

// -----

func.func @combined_rows(%h: tensor<5x16xf32>, %m: tensor<4x8x16xf32>, %o: tensor<5xi32>, %i: tensor<2x3xi32>, %w: tensor<2x3xf32>) {
  // expected-error @+1 {{rows has shape [5, 16] but that plan and matrix need [6, 16]}}
  %y = moe_kernel.combined_matmul %h, %m, %o, %i, %w : (tensor<5x16xf32>, tensor<4x8x16xf32>, tensor<5xi32>, tensor<2x3xi32>,
      tensor<2x3xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @combined_offsets(%h: tensor<6x16xf32>, %m: tensor<4x8x16xf32>, %o: tensor<4xi32>, %i: tensor<2x3xi32>, %w: tensor<2x3xf32>) {
  // expected-error @+1 {{offsets has shape [4] but 4 experts need [5]}}
  %y = moe_kernel.combined_matmul %h, %m, %o, %i, %w : (tensor<6x16xf32>, tensor<4x8x16xf32>, tensor<4xi32>, tensor<2x3xi32>,
      tensor<2x3xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @combined_residual(%h: tensor<6x16xf32>, %m: tensor<4x8x16xf32>, %o: tensor<5xi32>, %i: tensor<2x3xi32>, %w: tensor<2x3xf32>,
    %r: tensor<2x9xf32>) {
  // expected-error @+1 {{residual has shape [2, 9] but those tokens and columns need [2, 8]}}
  %y = moe_kernel.combined_matmul %h, %m, %o, %i, %w, %r : (tensor<6x16xf32>, tensor<4x8x16xf32>, tensor<5xi32>,
      tensor<2x3xi32>, tensor<2x3xf32>, tensor<2x9xf32>) -> tensor<2x8xf32>
  return
}
