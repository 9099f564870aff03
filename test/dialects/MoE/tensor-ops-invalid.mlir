// RUN: %moe-opt %s -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

// expected-error @+1 {{is initialised from a normal distribution but has no standard deviation; write 'normal 0.02'}}
moe.variable @w parameter normal : tensor<4xf32>

// -----

// expected-error @+1 {{has a standard deviation, which belongs to 'normal', not to 'ones'}}
moe.variable @w parameter ones 0.02 : tensor<4xf32>

// -----

// expected-error @+1 {{has the standard deviation -1.0 but must have one of at least 0}}
moe.variable @w parameter normal -1.0 : tensor<4xf32>

// -----

// expected-error @+1 {{is initialised as a copy but names no source; write 'copy @variable'}}
moe.variable @w parameter copy : tensor<4xf32>

// -----

moe.variable @v parameter ones : tensor<4xf32>
// expected-error @+1 {{has a source, which belongs to 'copy', not to 'zeros'}}
moe.variable @w parameter zeros @v : tensor<4xf32>

// -----

// expected-error @+1 {{there is no moe.variable @v to copy}}
moe.variable @w parameter copy @v : tensor<4xf32>

// -----

moe.variable @u parameter ones : tensor<4xbf16>
moe.variable @v optimizer copy @u : tensor<4xf32>
// expected-error @+1 {{copies @v, which is a copy itself; name what that copies}}
moe.variable @w optimizer copy @v : tensor<4xf32>

// -----

moe.variable @v parameter ones : tensor<5xbf16>
// expected-error @+1 {{of type 'tensor<4xf32>' copies @v of type 'tensor<5xbf16>', which has another shape}}
moe.variable @w optimizer copy @v : tensor<4xf32>

// -----

moe.variable @v parameter ones : tensor<4xbf16>
// expected-error @+1 {{of type 'tensor<4xi32>' copies @v of type 'tensor<4xbf16>', but only numbers of a float type are converted}}
moe.variable @w optimizer copy @v : tensor<4xi32>

// -----

func.func @unknown() {
  // expected-error @+1 {{there is no moe.variable @w}}
  %0 = moe.read @w : tensor<4xf32>
  return
}

// -----

// expected-note @+1 {{@f is a func.func}}
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{there is no moe.variable @f}}
  moe.write %x, @f : tensor<4xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
moe.variable @w parameter ones : tensor<4xf32>
func.func @type() {
  // expected-error @+1 {{has a value of type 'tensor<5xf32>' but @w holds 'tensor<4xf32>'}}
  %0 = moe.read @w : tensor<5xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

// A statistic is float32, or float64 beside float64.
func.func @sum(%0: tensor<6x8xf32>) {
  // expected-error @+1 {{result holds 'f64' but statistics of 'f32' data are 'f32'}}
  %r = moe.sum %0 : (tensor<6x8xf32>) -> tensor<f64>
  return
}

// -----

func.func @broadcast(%0: tensor<f32>) {
  // expected-error @+1 {{input holds 'f32' but statistics of 'f64' data are 'f64'}}
  %r = moe.broadcast %0 : (tensor<f32>) -> tensor<6x8xf64>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Dense layers
//===----------------------------------------------------------------------===//

func.func @embedding(%0: tensor<10x8xf32>, %1: tensor<2x3xi32>) {
  // expected-error @+1 {{result is [6, 7] but [T, d] is [6, 8]}}
  %r = moe.embedding %0, %1 : (tensor<10x8xf32>, tensor<2x3xi32>) -> tensor<6x7xf32>
  return
}

// -----

func.func @embedding(%0: tensor<10x8xf32>, %1: tensor<6xi32>) {
  // expected-error @+1 {{result holds 'bf16' but table holds 'f32'}}
  %r = moe.embedding %0, %1 : (tensor<10x8xf32>, tensor<6xi32>) -> tensor<6x8xbf16>
  return
}

// -----

func.func @embedding_backward(%0: tensor<6xi32>, %1: tensor<5x8xf32>) {
  // expected-error @+1 {{result_gradient is [5, 8] but [T, d] is [6, 8]}}
  %r = moe.embedding_backward %0, %1 : (tensor<6xi32>, tensor<5x8xf32>) -> tensor<10x8xf32>
  return
}

// -----

func.func @linear(%0: tensor<6x8xf32>, %1: tensor<10x7xf32>) {
  // expected-error @+1 {{weight is [10, 7] but [out, in] is [10, 8]}}
  %r = moe.linear %0, %1 : (tensor<6x8xf32>, tensor<10x7xf32>) -> tensor<6x10xf32>
  return
}

// -----

func.func @linear(%0: tensor<6x8xf32>, %1: tensor<10x8xf32>) {
  // expected-error @+1 {{result is [10, 6] but [T, out] is [6, 10]}}
  %r = moe.linear %0, %1 : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<10x6xf32>
  return
}

// -----

func.func @linear(%0: tensor<6x8xf32>, %1: tensor<10x8xbf16>) {
  // expected-error @+1 {{weight holds 'bf16' but input holds 'f32'}}
  %r = moe.linear %0, %1 : (tensor<6x8xf32>, tensor<10x8xbf16>) -> tensor<6x10xf32>
  return
}

// -----

func.func @matmul(%0: tensor<6x8xf32>, %1: tensor<7x10xf32>) {
  // expected-error @+1 {{rhs is [7, 10] but [k, n] is [8, 10]}}
  %r = moe.matmul %0, %1 : (tensor<6x8xf32>, tensor<7x10xf32>) -> tensor<6x10xf32>
  return
}

// -----

func.func @matmul(%0: tensor<6x8xf32>, %1: tensor<8x10xf32>) {
  // expected-error @+1 {{rhs is [8, 10] but [n, k] is [8, 8]}}
  %r = moe.matmul %0, %1 {transpose_rhs} : (tensor<6x8xf32>, tensor<8x10xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @matmul(%0: tensor<6x8xf32>, %1: tensor<6x10xf32>) {
  // expected-error @+1 {{result is [6, 10] but [m, n] is [8, 10]}}
  %r = moe.matmul %0, %1 {transpose_lhs} : (tensor<6x8xf32>, tensor<6x10xf32>) -> tensor<6x10xf32>
  return
}

// -----

// Groups of columns are normalised by themselves.
func.func @rms_norm(%0: tensor<6x8xf32>, %1: tensor<3xf32>) {
  // expected-error @+1 {{the number of columns of input is 8 but must be a multiple of the size of weight = 3}}
  %r = moe.rms_norm %0, %1 {eps = 1.0e-5} : (tensor<6x8xf32>, tensor<3xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @rms_norm(%0: tensor<6x8xf32>, %1: tensor<8xf32>) {
  // expected-error @+1 {{eps is 0.0 but must be above 0}}
  %r = moe.rms_norm %0, %1 {eps = 0.0} : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @rms_norm(%0: tensor<6x8xf32>, %1: tensor<8xf32>) {
  // expected-error @+1 {{result is [6, 4] but input is [6, 8]}}
  %r = moe.rms_norm %0, %1 {eps = 1.0e-5} : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func @rms_norm_backward(%0: tensor<6x8xf32>, %1: tensor<8xf32>, %2: tensor<5x8xf32>) {
  // expected-error @+1 {{result_gradient is [5, 8] but input is [6, 8]}}
  %r:2 = moe.rms_norm_backward %0, %1, %2 {eps = 1.0e-5}
    : (tensor<6x8xf32>, tensor<8xf32>, tensor<5x8xf32>) -> (tensor<6x8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @rms_norm_backward(%0: tensor<6x8xf32>, %1: tensor<8xf32>, %2: tensor<6x8xf32>) {
  // expected-error @+1 {{weight_gradient is [4] but weight is [8]}}
  %r:2 = moe.rms_norm_backward %0, %1, %2 {eps = 1.0e-5}
    : (tensor<6x8xf32>, tensor<8xf32>, tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<4xf32>)
  return
}

// -----

func.func @gated_activation(%0: tensor<6x7xf32>) {
  // expected-error @+1 {{the number of columns of input is 7 but must be a multiple of 2}}
  %r = moe.gated_activation %0 : (tensor<6x7xf32>) -> tensor<6x3xf32>
  return
}

// -----

func.func @gated_activation(%0: tensor<6x8xf32>) {
  // expected-error @+1 {{result is [6, 8] but [R, n] is [6, 4]}}
  %r = moe.gated_activation %0 : (tensor<6x8xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @gated_activation_backward(%0: tensor<6x8xf32>, %1: tensor<6x8xf32>) {
  // expected-error @+1 {{result_gradient is [6, 8] but [R, n] is [6, 4]}}
  %r = moe.gated_activation_backward %0, %1 : (tensor<6x8xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @gated_activation_backward(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>) {
  // expected-error @+1 {{input_gradient is [6, 4] but input is [6, 8]}}
  %r = moe.gated_activation_backward %0, %1 : (tensor<6x8xf32>, tensor<6x4xf32>) -> tensor<6x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

func.func @sequence_positions() {
  // expected-error @+1 {{the number of positions is 7 but must be a multiple of sequence_length = 3}}
  %r = moe.sequence_positions {sequence_length = 3 : i64} : () -> tensor<7xi32>
  return
}

// -----

func.func @sequence_positions() {
  // expected-error @+1 {{sequence_length is 0 but must be at least 1}}
  %r = moe.sequence_positions {sequence_length = 0 : i64} : () -> tensor<6xi32>
  return
}

// -----

func.func @rope_table(%0: tensor<6xi32>) {
  // expected-error @+1 {{cos has rank 1 but [T, D/2] has rank 2}}
  %r:2 = moe.rope_table %0 {theta = 10000.0} : (tensor<6xi32>) -> (tensor<6xf32>, tensor<6xf32>)
  return
}

// -----

func.func @rope_table(%0: tensor<2x3xi32>) {
  // expected-error @+1 {{cos is [5, 1] but [T, D/2] is [6, 1]}}
  %r:2 = moe.rope_table %0 {theta = 10000.0} : (tensor<2x3xi32>) -> (tensor<5x1xf32>, tensor<5x1xf32>)
  return
}

// -----

func.func @rope_table(%0: tensor<6xi32>) {
  // expected-error @+1 {{sin is [6, 2] but cos is [6, 1]}}
  %r:2 = moe.rope_table %0 {theta = 10000.0} : (tensor<6xi32>) -> (tensor<6x1xf32>, tensor<6x2xf32>)
  return
}

// -----

func.func @rope_table(%0: tensor<6xi32>) {
  // expected-error @+1 {{theta is -1.0 but must be above 0}}
  %r:2 = moe.rope_table %0 {theta = -1.0} : (tensor<6xi32>) -> (tensor<6x1xf32>, tensor<6x1xf32>)
  return
}

// -----

func.func @rope(%0: tensor<6x8xf32>, %1: tensor<6x3xf32>, %2: tensor<6x3xf32>) {
  // expected-error @+1 {{the number of columns of input is 8 but must be a multiple of D = 6}}
  %r = moe.rope %0, %1, %2 : (tensor<6x8xf32>, tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @rope(%0: tensor<6x8xf32>, %1: tensor<5x1xf32>, %2: tensor<5x1xf32>) {
  // expected-error @+1 {{cos is [5, 1] but [T, D/2] is [6, 1]}}
  %r = moe.rope %0, %1, %2 : (tensor<6x8xf32>, tensor<5x1xf32>, tensor<5x1xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @rope(%0: tensor<6x8xf32>, %1: tensor<6x0xf32>, %2: tensor<6x0xf32>) {
  // expected-error @+1 {{D is 0 but must be at least 1}}
  %r = moe.rope %0, %1, %2 : (tensor<6x8xf32>, tensor<6x0xf32>, tensor<6x0xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>) {
  // expected-error @+1 {{the number of columns of query is 8 but must be a multiple of num_heads = 3}}
  %r:2 = moe.attention %0, %1, %2 {num_heads = 3 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>) {
  // expected-error @+1 {{num_heads is 4 but must be a multiple of num_kv_heads = 3}}
  %r:2 = moe.attention %0, %1, %2 {num_heads = 4 : i64, num_kv_heads = 3 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>) {
  // expected-error @+1 {{num_kv_heads is 0 but must be at least 1}}
  %r:2 = moe.attention %0, %1, %2 {num_heads = 4 : i64, num_kv_heads = 0 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>) {
  // expected-error @+1 {{the number of rows of query is 6 but must be a multiple of sequence_length = 4}}
  %r:2 = moe.attention %0, %1, %2 {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x8xf32>, %2: tensor<6x4xf32>) {
  // expected-error @+1 {{key is [6, 8] but [T, Hkv·D] is [6, 4]}}
  %r:2 = moe.attention %0, %1, %2 {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>) {
  // expected-error @+1 {{lse is [6, 2] but [T, H] is [6, 4]}}
  %r:2 = moe.attention %0, %1, %2 {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>)
  return
}

// -----

func.func @attention(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>, %3: tensor<2x4xi32>) {
  // expected-error @+1 {{positions has 8 elements but T is 6}}
  %r:2 = moe.attention %0, %1, %2, %3 {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>, tensor<2x4xi32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention_backward(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>, %3: tensor<6x8xf32>, %4: tensor<6x4xf32>, %5: tensor<6x8xf32>, %6: tensor<3xi32>) {
  // expected-error @+1 {{positions has 3 elements but T is 6}}
  %r:3 = moe.attention_backward %0, %1, %2, %3, %4, %5, %6
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>, tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x8xf32>, tensor<3xi32>)
    -> (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention_backward(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x4xf32>, %3: tensor<6x8xf32>, %4: tensor<6x4xf32>, %5: tensor<6x8xf32>) {
  // expected-error @+1 {{key_gradient is [6, 8] but key is [6, 4]}}
  %r:3 = moe.attention_backward %0, %1, %2, %3, %4, %5
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>, tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x8xf32>)
    -> (tensor<6x8xf32>, tensor<6x8xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @attention_backward(%0: tensor<6x8xf32>, %1: tensor<6x4xf32>, %2: tensor<6x8xf32>, %3: tensor<6x8xf32>, %4: tensor<6x4xf32>, %5: tensor<6x8xf32>) {
  // expected-error @+1 {{value is [6, 8] but [T, Hkv·D] is [6, 4]}}
  %r:3 = moe.attention_backward %0, %1, %2, %3, %4, %5
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x8xf32>, tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x8xf32>)
    -> (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>)
  return
}

// -----

func.func @cache_append(%0: tensor<2x7x4xf32>, %1: tensor<6x4xf32>, %2: tensor<3x2xi32>) {
  // expected-error @+1 {{positions is [3, 2] but [B, S] is [2, 2]}}
  %r = moe.cache_append %0, %1, %2 : (tensor<2x7x4xf32>, tensor<6x4xf32>, tensor<3x2xi32>) -> tensor<2x7x4xf32>
  return
}

// -----

func.func @cache_append(%0: tensor<2x7x4xf32>, %1: tensor<5x4xf32>, %2: tensor<2x3xi32>) {
  // expected-error @+1 {{rows is [5, 4] but [B·S, n] is [6, 4]}}
  %r = moe.cache_append %0, %1, %2 : (tensor<2x7x4xf32>, tensor<5x4xf32>, tensor<2x3xi32>) -> tensor<2x7x4xf32>
  return
}

// -----

func.func @cache_append(%0: tensor<2x7x4xf32>, %1: tensor<6x4xf32>, %2: tensor<2x3xi32>) {
  // expected-error @+1 {{result is [2, 8, 4] but cache is [2, 7, 4]}}
  %r = moe.cache_append %0, %1, %2 : (tensor<2x7x4xf32>, tensor<6x4xf32>, tensor<2x3xi32>) -> tensor<2x8x4xf32>
  return
}

// -----

func.func @cached_attention(%0: tensor<6x8xf32>, %1: tensor<2x7x8xf32>, %2: tensor<2x7x8xf32>, %3: tensor<2x3xi32>) {
  // expected-error @+1 {{key_cache is [2, 7, 8] but [B, C, Hkv·D] is [2, 7, 4]}}
  %r = moe.cached_attention %0, %1, %2, %3 {num_heads = 4 : i64, num_kv_heads = 2 : i64}
    : (tensor<6x8xf32>, tensor<2x7x8xf32>, tensor<2x7x8xf32>, tensor<2x3xi32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @cached_attention(%0: tensor<6x8xf32>, %1: tensor<2x7x4xf32>, %2: tensor<2x9x4xf32>, %3: tensor<2x3xi32>) {
  // expected-error @+1 {{value_cache is [2, 9, 4] but key_cache is [2, 7, 4]}}
  %r = moe.cached_attention %0, %1, %2, %3 {num_heads = 4 : i64, num_kv_heads = 2 : i64}
    : (tensor<6x8xf32>, tensor<2x7x4xf32>, tensor<2x9x4xf32>, tensor<2x3xi32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @cached_attention(%0: tensor<5x8xf32>, %1: tensor<2x7x4xf32>, %2: tensor<2x7x4xf32>, %3: tensor<2x3xi32>) {
  // expected-error @+1 {{query is [5, 8] but [B·S, H·D] is [6, 8]}}
  %r = moe.cached_attention %0, %1, %2, %3 {num_heads = 4 : i64, num_kv_heads = 2 : i64}
    : (tensor<5x8xf32>, tensor<2x7x4xf32>, tensor<2x7x4xf32>, tensor<2x3xi32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @cached_attention(%0: tensor<6x8xf32>, %1: tensor<2x7x4xf32>, %2: tensor<2x7x4xf32>, %3: tensor<6xi32>) {
  // expected-error @+1 {{positions has rank 1 but [B, S] has rank 2}}
  %r = moe.cached_attention %0, %1, %2, %3 {num_heads = 4 : i64, num_kv_heads = 2 : i64}
    : (tensor<6x8xf32>, tensor<2x7x4xf32>, tensor<2x7x4xf32>, tensor<6xi32>) -> tensor<6x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

func.func @router_scores(%0: tensor<5xf32>) {
  // expected-error @+1 {{logits has rank 1 but [T, E] has rank 2}}
  %r = moe.router_scores %0 {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<5xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @router_scores(%0: tensor<6x5xf32>) {
  // expected-error @+1 {{scores is [6, 4] but logits is [6, 5]}}
  %r = moe.router_scores %0 {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<6x5xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func @router_scores_backward(%0: tensor<6x5xf32>, %1: tensor<6x4xf32>) {
  // expected-error @+1 {{scores_gradient is [6, 4] but scores is [6, 5]}}
  %r = moe.router_scores_backward %0, %1 {scoring_func = #moe.scoring_func<sigmoid>}
    : (tensor<6x5xf32>, tensor<6x4xf32>) -> tensor<6x5xf32>
  return
}

// -----

func.func @topk_gate(%0: tensor<6x5xf32>, %1: tensor<4xf32>) {
  // expected-error @+1 {{selection_bias is [4] but [E] is [5]}}
  %r:2 = moe.topk_gate %0, %1 {norm_topk_prob = true, routed_scaling_factor = 1.0, top_k = 2 : i64}
    : (tensor<6x5xf32>, tensor<4xf32>) -> (tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

func.func @topk_gate(%0: tensor<6x5xf32>) {
  // expected-error @+1 {{weights is [6, 3] but [T, K] is [6, 2]}}
  %r:2 = moe.topk_gate %0 {norm_topk_prob = true, routed_scaling_factor = 1.0, top_k = 2 : i64}
    : (tensor<6x5xf32>) -> (tensor<6x3xf32>, tensor<6x2xi32>)
  return
}

// -----

func.func @topk_gate(%0: tensor<6x5xf32>) {
  // expected-error @+1 {{chooses 6 of 5 experts, which must be between 1 and 5}}
  %r:2 = moe.topk_gate %0 {norm_topk_prob = true, routed_scaling_factor = 1.0, top_k = 6 : i64}
    : (tensor<6x5xf32>) -> (tensor<6x6xf32>, tensor<6x6xi32>)
  return
}

// -----

func.func @topk_gate(%0: tensor<6x5xf32>) {
  // expected-error @+1 {{routed_scaling_factor is 0.0 but must be above 0}}
  %r:2 = moe.topk_gate %0 {norm_topk_prob = true, routed_scaling_factor = 0.0, top_k = 2 : i64}
    : (tensor<6x5xf32>) -> (tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

func.func @topk_gate_backward(%0: tensor<6x5xf32>, %1: tensor<6x2xi32>, %2: tensor<6x3xf32>) {
  // expected-error @+1 {{weights_gradient is [6, 3] but indices is [6, 2]}}
  %r = moe.topk_gate_backward %0, %1, %2 {norm_topk_prob = true, routed_scaling_factor = 1.0}
    : (tensor<6x5xf32>, tensor<6x2xi32>, tensor<6x3xf32>) -> tensor<6x5xf32>
  return
}

// -----

func.func @topk_gate_backward(%0: tensor<6x5xf32>, %1: tensor<5x2xi32>, %2: tensor<5x2xf32>) {
  // expected-error @+1 {{indices is [5, 2] but [T, K] is [6, 2]}}
  %r = moe.topk_gate_backward %0, %1, %2 {norm_topk_prob = true, routed_scaling_factor = 1.0}
    : (tensor<6x5xf32>, tensor<5x2xi32>, tensor<5x2xf32>) -> tensor<6x5xf32>
  return
}

// -----

func.func @plan_routing(%0: tensor<6x2xi32>) {
  // expected-error @+1 {{permutation is [6] but [T·K] is [12]}}
  %r:3 = moe.plan_routing %0 : (tensor<6x2xi32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<6x2xi32>)
  return
}

// -----

func.func @plan_routing(%0: tensor<6x2xi32>) {
  // expected-error @+1 {{inverse is [6, 3] but indices is [6, 2]}}
  %r:3 = moe.plan_routing %0 : (tensor<6x2xi32>) -> (tensor<6xi32>, tensor<18xi32>, tensor<6x3xi32>)
  return
}

// -----

func.func @plan_routing(%0: tensor<6x2xi32>) {
  // expected-error @+1 {{chooses 2 of 1 experts, which must be between 1 and 1}}
  %r:3 = moe.plan_routing %0 : (tensor<6x2xi32>) -> (tensor<2xi32>, tensor<12xi32>, tensor<6x2xi32>)
  return
}

// -----

func.func @dispatch(%0: tensor<6x8xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>) {
  // expected-error @+1 {{result is [6, 8] but [T·K, d] is [12, 8]}}
  %r = moe.dispatch %0 plan(%1, %2) : (tensor<6x8xf32>, tensor<12xi32>, tensor<6x2xi32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @dispatch(%0: tensor<6x8xf32>, %1: tensor<10xi32>, %2: tensor<5x2xi32>) {
  // expected-error @+1 {{inverse is [5, 2] but [T, K] is [6, 2]}}
  %r = moe.dispatch %0 plan(%1, %2) : (tensor<6x8xf32>, tensor<10xi32>, tensor<5x2xi32>) -> tensor<10x8xf32>
  return
}

// -----

func.func @dispatch(%0: tensor<6x8xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>, %3: tensor<6x1xf32>) {
  // expected-error @+1 {{weights is [6, 1] but [T, K] is [6, 2]}}
  %r = moe.dispatch %0 plan(%1, %2) weights(%3)
    : (tensor<6x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x1xf32>) -> tensor<12x8xf32>
  return
}

// -----

func.func @combine(%0: tensor<10x8xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>) {
  // expected-error @+1 {{rows is [10, 8] but [T·K, d] is [12, 8]}}
  %r = moe.combine %0 plan(%1, %2) : (tensor<10x8xf32>, tensor<12xi32>, tensor<6x2xi32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @combine(%0: tensor<12x8xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>, %3: tensor<6x2xf64>) {
  // expected-error @+1 {{weights holds 'f64' but statistics of 'f32' data are 'f32'}}
  %r = moe.combine %0 plan(%1, %2) weights(%3)
    : (tensor<12x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf64>) -> tensor<6x8xf32>
  return
}

// -----

func.func @weighted_gated_activation(%0: tensor<10x8xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>, %3: tensor<6x2xf32>) {
  // expected-error @+1 {{input is [10, 8] but [T·K, 2·n] is [12, 8]}}
  %r = moe.weighted_gated_activation %0 plan(%1, %2) weights(%3)
    : (tensor<10x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<10x4xf32>
  return
}

// -----

func.func @weighted_gated_activation(%0: tensor<12x8xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>, %3: tensor<6x3xf32>) {
  // expected-error @+1 {{weights is [6, 3] but [T, K] is [6, 2]}}
  %r = moe.weighted_gated_activation %0 plan(%1, %2) weights(%3)
    : (tensor<12x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x3xf32>) -> tensor<12x4xf32>
  return
}

// -----

func.func @weighted_gated_activation(%0: tensor<12x7xf32>, %1: tensor<12xi32>, %2: tensor<6x2xi32>, %3: tensor<6x2xf32>) {
  // expected-error @+1 {{the number of columns of input is 7 but must be a multiple of 2}}
  %r = moe.weighted_gated_activation %0 plan(%1, %2) weights(%3)
    : (tensor<12x7xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<12x3xf32>
  return
}

// -----

func.func @weighted_gated_activation_backward(%0: tensor<12x8xf32>, %1: tensor<12x4xf32>, %2: tensor<12xi32>,
                                              %3: tensor<6x2xi32>, %4: tensor<6x2xf32>) {
  // expected-error @+1 {{weights_gradient is [12, 1] but weights is [6, 2]}}
  %r:3 = moe.weighted_gated_activation_backward %0, %1 plan(%2, %3) weights(%4)
    : (tensor<12x8xf32>, tensor<12x4xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>)
    -> (tensor<12x4xf32>, tensor<12x8xf32>, tensor<12x1xf32>)
  return
}

// -----

func.func @weighted_gated_activation_backward(%0: tensor<12x8xf32>, %1: tensor<12x8xf32>, %2: tensor<12xi32>,
                                              %3: tensor<6x2xi32>, %4: tensor<6x2xf32>) {
  // expected-error @+1 {{result_gradient is [12, 8] but [R, n] is [12, 4]}}
  %r:3 = moe.weighted_gated_activation_backward %0, %1 plan(%2, %3) weights(%4)
    : (tensor<12x8xf32>, tensor<12x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>)
    -> (tensor<12x4xf32>, tensor<12x8xf32>, tensor<6x2xf32>)
  return
}

// -----

func.func @routed_dot(%0: tensor<6x8xf32>, %1: tensor<12x4xf32>, %2: tensor<6x2xi32>) {
  // expected-error @+1 {{rows is [12, 4] but [T·K, d] is [12, 8]}}
  %r = moe.routed_dot %0, %1, %2 : (tensor<6x8xf32>, tensor<12x4xf32>, tensor<6x2xi32>) -> tensor<6x2xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<4x8x3xf32>, %2: tensor<4xi32>) {
  // expected-error @+1 {{offsets has 4 entries but 4 experts need 5}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<rows>}
    : (tensor<12x8xf32>, tensor<4x8x3xf32>, tensor<4xi32>) -> tensor<12x3xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<2x6x8xf32>, %1: tensor<4x8x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{lhs has rank 3 but [R, k] has rank 2}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<rows>}
    : (tensor<2x6x8xf32>, tensor<4x8x3xf32>, tensor<5xi32>) -> tensor<12x3xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<4x7x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{rhs is [4, 7, 3] but [E, k, n] is [4, 8, 3]}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<rows>}
    : (tensor<12x8xf32>, tensor<4x7x3xf32>, tensor<5xi32>) -> tensor<12x3xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<4x8x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{rhs is [4, 8, 3] but [E, n, k] is [4, 8, 8]}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<rows>, transpose_rhs}
    : (tensor<12x8xf32>, tensor<4x8x3xf32>, tensor<5xi32>) -> tensor<12x8xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<4x8x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{result is [12, 8] but [R, n] is [12, 3]}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<rows>}
    : (tensor<12x8xf32>, tensor<4x8x3xf32>, tensor<5xi32>) -> tensor<12x8xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<10x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{rhs is [10, 3] but [R, n] is [12, 3]}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<contraction>}
    : (tensor<12x8xf32>, tensor<10x3xf32>, tensor<5xi32>) -> tensor<4x8x3xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<12x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{result is [4, 3, 8] but [E, m, n] is [4, 8, 3]}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<contraction>}
    : (tensor<12x8xf32>, tensor<12x3xf32>, tensor<5xi32>) -> tensor<4x3x8xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<12x3xf32>, %2: tensor<5xi32>) {
  // expected-error @+1 {{transpose_rhs does not apply to a ragged contraction}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<contraction>, transpose_rhs}
    : (tensor<12x8xf32>, tensor<12x3xf32>, tensor<5xi32>) -> tensor<4x8x3xf32>
  return
}

// -----

func.func @grouped_matmul(%0: tensor<12x8xf32>, %1: tensor<4x8x3xbf16>, %2: tensor<5xi32>) {
  // expected-error @+1 {{rhs holds 'bf16' but lhs holds 'f32'}}
  %r = moe.grouped_matmul %0, %1, %2 {ragged = #moe.ragged<rows>}
    : (tensor<12x8xf32>, tensor<4x8x3xbf16>, tensor<5xi32>) -> tensor<12x3xf32>
  return
}

// -----

func.func @expert_load(%0: tensor<5xi32>) {
  // expected-error @+1 {{offsets has 5 entries but 5 experts need 6}}
  %r = moe.expert_load %0 : (tensor<5xi32>) -> tensor<5xi32>
  return
}

// -----

func.func @balance_loss(%0: tensor<6x5xf32>, %1: tensor<4xi32>) {
  // expected-error @+1 {{load is [4] but [E] is [5]}}
  %r = moe.balance_loss %0, %1 {alpha = 1.0} : (tensor<6x5xf32>, tensor<4xi32>) -> tensor<f32>
  return
}

// -----

func.func @balance_loss(%0: tensor<6x5xf32>, %1: tensor<5xi32>) {
  // expected-error @+1 {{loss holds 'f64' but scores holds 'f32'}}
  %r = moe.balance_loss %0, %1 {alpha = 1.0} : (tensor<6x5xf32>, tensor<5xi32>) -> tensor<f64>
  return
}

// -----

func.func @balance_loss_backward(%0: tensor<6x5xf32>, %1: tensor<5xi32>, %2: tensor<f32>) {
  // expected-error @+1 {{scores_gradient is [5] but scores is [6, 5]}}
  %r = moe.balance_loss_backward %0, %1, %2 {alpha = 1.0}
    : (tensor<6x5xf32>, tensor<5xi32>, tensor<f32>) -> tensor<5xf32>
  return
}

// -----

func.func @update_selection_bias(%0: tensor<5xf32>, %1: tensor<4xi32>) {
  // expected-error @+1 {{load is [4] but bias is [5]}}
  %r = moe.update_selection_bias %0, %1 {rate = 1.0} : (tensor<5xf32>, tensor<4xi32>) -> tensor<5xf32>
  return
}
