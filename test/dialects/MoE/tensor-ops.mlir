// RUN: %moe-opt %s | FileCheck %s
// RUN: %moe-opt %s -o %t
// RUN: %moe-opt %t | diff - %t
// RUN: %moe-opt %t -mlir-print-op-generic | %moe-opt | diff - %t

// Every tensor op once, at the shapes T = 6 tokens in B = 2 sequences of S = 3, d = 8, H = 4 heads of D = 2 on Hkv = 2,
// E = 5 experts of which K = 2, V = 10. It is printed as it was read, in the custom form and from the generic one.

// CHECK: moe.variable @weight parameter normal 2.000000e-02 : tensor<10x8xf32>
moe.variable @weight parameter normal 0.02 : tensor<10x8xf32>
// CHECK: moe.variable @weight.exp_avg optimizer zeros : tensor<10x8xf32>
moe.variable @weight.exp_avg optimizer zeros : tensor<10x8xf32>
// CHECK: moe.variable @norm.weight parameter ones : tensor<8xbf16>
moe.variable @norm.weight parameter ones : tensor<8xbf16>
// CHECK: moe.variable @norm.weight.master_weight optimizer copy @norm.weight : tensor<8xf32>
moe.variable @norm.weight.master_weight optimizer copy @norm.weight : tensor<8xf32>
// CHECK: moe.variable @bias buffer zeros : tensor<5xf32>
moe.variable @bias buffer zeros : tensor<5xf32>
// CHECK: moe.variable @cache.layers.0.key cache zeros : tensor<2x7x4xf32>
moe.variable @cache.layers.0.key cache zeros : tensor<2x7x4xf32>

// CHECK-LABEL: func.func @variables
// CHECK-SAME:    moe.entry = #moe.entry<train_step>
func.func @variables(%x: tensor<10x8xf32> {moe.name = "x"}) attributes {moe.entry = #moe.entry<train_step>} {
  // CHECK: moe.read @weight : tensor<10x8xf32>
  %0 = moe.read @weight : tensor<10x8xf32>
  // CHECK: moe.write %{{.*}}, @weight.exp_avg : tensor<10x8xf32>
  moe.write %x, @weight.exp_avg : tensor<10x8xf32>
  return
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<6x8xbf16>, %s: tensor<f32>) {
  // CHECK: moe.add %{{.*}}, %{{.*}} : tensor<6x8xbf16>
  %0 = moe.add %x, %x : tensor<6x8xbf16>
  // CHECK: moe.multiply
  %1 = moe.multiply %x, %x : tensor<6x8xbf16>
  // CHECK: moe.divide
  %2 = moe.divide %x, %x : tensor<6x8xbf16>
  // CHECK: moe.negate %{{.*}} : tensor<6x8xbf16>
  %3 = moe.negate %x : tensor<6x8xbf16>
  // CHECK: moe.sum %{{.*}} : (tensor<6x8xbf16>) -> tensor<f32>
  %4 = moe.sum %x : (tensor<6x8xbf16>) -> tensor<f32>
  // CHECK: moe.broadcast %{{.*}} : (tensor<f32>) -> tensor<6x8xbf16>
  %5 = moe.broadcast %s : (tensor<f32>) -> tensor<6x8xbf16>
  return
}

// CHECK-LABEL: func.func @dense
func.func @dense(%x: tensor<6x8xf32>, %table: tensor<10x8xf32>, %tokens: tensor<2x3xi32>, %head: tensor<2xf32>,
                 %y: tensor<10x6xf32>) {
  // CHECK: moe.embedding
  %0 = moe.embedding %table, %tokens : (tensor<10x8xf32>, tensor<2x3xi32>) -> tensor<6x8xf32>
  // CHECK: moe.embedding_backward
  %1 = moe.embedding_backward %tokens, %x : (tensor<2x3xi32>, tensor<6x8xf32>) -> tensor<10x8xf32>
  // CHECK: moe.linear
  %2 = moe.linear %x, %table : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  // CHECK: moe.matmul %{{.*}}, %{{.*}} : (tensor<6x10xf32>, tensor<10x8xf32>) -> tensor<6x8xf32>
  %3 = moe.matmul %2, %table : (tensor<6x10xf32>, tensor<10x8xf32>) -> tensor<6x8xf32>
  // CHECK: moe.matmul %{{.*}}, %{{.*}} {transpose_lhs} :
  %4 = moe.matmul %2, %x {transpose_lhs} : (tensor<6x10xf32>, tensor<6x8xf32>) -> tensor<10x8xf32>
  // CHECK: moe.matmul %{{.*}}, %{{.*}} {transpose_rhs} :
  %5 = moe.matmul %x, %table {transpose_rhs} : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  // CHECK: moe.matmul %{{.*}}, %{{.*}} {transpose_lhs, transpose_rhs} :
  %6 = moe.matmul %x, %y {transpose_lhs, transpose_rhs} : (tensor<6x8xf32>, tensor<10x6xf32>) -> tensor<8x10xf32>
  // CHECK: moe.rms_norm {{.*}} {eps = 1.000000e-05 : f64}
  %7 = moe.rms_norm %x, %head {eps = 1.0e-5} : (tensor<6x8xf32>, tensor<2xf32>) -> tensor<6x8xf32>
  // CHECK: moe.rms_norm_backward
  %8:2 = moe.rms_norm_backward %x, %head, %7 {eps = 1.0e-5}
    : (tensor<6x8xf32>, tensor<2xf32>, tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<2xf32>)
  // CHECK: moe.gated_activation
  %9 = moe.gated_activation %x : (tensor<6x8xf32>) -> tensor<6x4xf32>
  // CHECK: moe.gated_activation_backward
  %10 = moe.gated_activation_backward %x, %9 : (tensor<6x8xf32>, tensor<6x4xf32>) -> tensor<6x8xf32>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<6x8xf32>, %k: tensor<6x4xf32>, %v: tensor<6x4xf32>, %cache: tensor<2x7x4xf32>,
                     %positions: tensor<2x3xi32>) {
  // CHECK: moe.sequence_positions {sequence_length = 3 : i64} : () -> tensor<6xi32>
  %0 = moe.sequence_positions {sequence_length = 3 : i64} : () -> tensor<6xi32>
  // CHECK: moe.rope_table {{.*}} {theta = 1.000000e+04 : f64}
  %cos, %sin = moe.rope_table %0 {theta = 10000.0} : (tensor<6xi32>) -> (tensor<6x1xf32>, tensor<6x1xf32>)
  // CHECK: moe.rope %{{.*}}, %{{.*}}, %{{.*}} :
  %1 = moe.rope %q, %cos, %sin : (tensor<6x8xf32>, tensor<6x1xf32>, tensor<6x1xf32>) -> tensor<6x8xf32>
  // CHECK: moe.rope %{{.*}}, %{{.*}}, %{{.*}} {inverse} :
  %2 = moe.rope %k, %cos, %sin {inverse} : (tensor<6x4xf32>, tensor<6x1xf32>, tensor<6x1xf32>) -> tensor<6x4xf32>
  // CHECK: moe.attention %{{.*}} {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
  %result, %lse = moe.attention %1, %2, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  // CHECK: moe.attention_backward
  %3:3 = moe.attention_backward %1, %2, %v, %result, %lse, %q
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>, tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x8xf32>)
    -> (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>)
  // Documents packed into a row:
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64} : ({{.*}}, tensor<2x3xi32>)
  %packed, %packed_lse = moe.attention %1, %2, %v, %positions
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>, tensor<2x3xi32>) -> (tensor<6x8xf32>, tensor<6x4xf32>)
  // CHECK: moe.attention_backward {{.*}} : ({{.*}}, tensor<6x8xf32>, tensor<2x3xi32>)
  %packed_gradients:3 = moe.attention_backward %1, %2, %v, %packed, %packed_lse, %q, %positions
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 3 : i64}
    : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>, tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x8xf32>,
       tensor<2x3xi32>) -> (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>)
  // CHECK: moe.cache_append
  %4 = moe.cache_append %cache, %k, %positions
    : (tensor<2x7x4xf32>, tensor<6x4xf32>, tensor<2x3xi32>) -> tensor<2x7x4xf32>
  // CHECK: moe.cached_attention
  %5 = moe.cached_attention %q, %4, %cache, %positions {num_heads = 4 : i64, num_kv_heads = 2 : i64}
    : (tensor<6x8xf32>, tensor<2x7x4xf32>, tensor<2x7x4xf32>, tensor<2x3xi32>) -> tensor<6x8xf32>
  return
}

// CHECK-LABEL: func.func @routing
func.func @routing(%x: tensor<6x8xf32>, %logits: tensor<6x5xf32>, %bias: tensor<5xf32>, %stack: tensor<5x8x4xf32>,
                   %g: tensor<f32>) {
  // CHECK: moe.router_scores {{.*}} {scoring_func = #moe.scoring_func<sigmoid>}
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<6x5xf32>) -> tensor<6x5xf32>
  // CHECK: moe.router_scores_backward {{.*}} {scoring_func = #moe.scoring_func<softmax>}
  %0 = moe.router_scores_backward %scores, %scores {scoring_func = #moe.scoring_func<softmax>}
    : (tensor<6x5xf32>, tensor<6x5xf32>) -> tensor<6x5xf32>
  // CHECK: moe.topk_gate %{{.*}}, %{{.*}} {norm_topk_prob = true, routed_scaling_factor = 2.500000e+00 : f64, top_k = 2 : i64}
  %weights, %indices = moe.topk_gate %scores, %bias
    {norm_topk_prob = true, routed_scaling_factor = 2.5, top_k = 2 : i64}
    : (tensor<6x5xf32>, tensor<5xf32>) -> (tensor<6x2xf32>, tensor<6x2xi32>)
  // CHECK: moe.topk_gate %{{[^,]*}} {norm_topk_prob = false
  %1:2 = moe.topk_gate %scores {norm_topk_prob = false, routed_scaling_factor = 1.0, top_k = 5 : i64}
    : (tensor<6x5xf32>) -> (tensor<6x5xf32>, tensor<6x5xi32>)
  // CHECK: moe.topk_gate_backward
  %2 = moe.topk_gate_backward %scores, %indices, %weights {norm_topk_prob = true, routed_scaling_factor = 2.5}
    : (tensor<6x5xf32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<6x5xf32>
  // CHECK: moe.plan_routing
  %offsets, %permutation, %inverse = moe.plan_routing %indices
    : (tensor<6x2xi32>) -> (tensor<6xi32>, tensor<12xi32>, tensor<6x2xi32>)
  // CHECK: moe.dispatch %{{.*}} plan(%{{.*}}, %{{.*}}) :
  %rows = moe.dispatch %x plan(%permutation, %inverse)
    : (tensor<6x8xf32>, tensor<12xi32>, tensor<6x2xi32>) -> tensor<12x8xf32>
  // CHECK: moe.dispatch %{{.*}} plan(%{{.*}}, %{{.*}}) weights(%{{.*}}) :
  %3 = moe.dispatch %x plan(%permutation, %inverse) weights(%weights)
    : (tensor<6x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<12x8xf32>
  // CHECK: moe.combine %{{.*}} plan(%{{.*}}, %{{.*}}) :
  %4 = moe.combine %rows plan(%permutation, %inverse)
    : (tensor<12x8xf32>, tensor<12xi32>, tensor<6x2xi32>) -> tensor<6x8xf32>
  // CHECK: moe.combine %{{.*}} plan(%{{.*}}, %{{.*}}) weights(%{{.*}}) :
  %5 = moe.combine %rows plan(%permutation, %inverse) weights(%weights)
    : (tensor<12x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<6x8xf32>
  // CHECK: moe.weighted_gated_activation %{{.*}} plan(%{{.*}}, %{{.*}}) weights(%{{.*}}) :
  %wa = moe.weighted_gated_activation %rows plan(%permutation, %inverse) weights(%weights)
    : (tensor<12x8xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<12x4xf32>
  // CHECK: moe.weighted_gated_activation_backward %{{.*}}, %{{.*}} plan(%{{.*}}, %{{.*}}) weights(%{{.*}}) :
  %wb:3 = moe.weighted_gated_activation_backward %rows, %wa plan(%permutation, %inverse) weights(%weights)
    : (tensor<12x8xf32>, tensor<12x4xf32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6x2xf32>)
    -> (tensor<12x4xf32>, tensor<12x8xf32>, tensor<6x2xf32>)
  // CHECK: moe.routed_dot
  %6 = moe.routed_dot %x, %rows, %inverse : (tensor<6x8xf32>, tensor<12x8xf32>, tensor<6x2xi32>) -> tensor<6x2xf32>
  // CHECK: moe.grouped_matmul %{{.*}} {ragged = #moe.ragged<rows>} :
  %7 = moe.grouped_matmul %rows, %stack, %offsets {ragged = #moe.ragged<rows>}
    : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
  // CHECK: moe.grouped_matmul %{{.*}} {ragged = #moe.ragged<rows>, transpose_rhs} :
  %8 = moe.grouped_matmul %7, %stack, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
    : (tensor<12x4xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x8xf32>
  // CHECK: moe.grouped_matmul %{{.*}} {ragged = #moe.ragged<contraction>} :
  %9 = moe.grouped_matmul %rows, %7, %offsets {ragged = #moe.ragged<contraction>}
    : (tensor<12x8xf32>, tensor<12x4xf32>, tensor<6xi32>) -> tensor<5x8x4xf32>
  // CHECK: moe.expert_load
  %load = moe.expert_load %offsets : (tensor<6xi32>) -> tensor<5xi32>
  // CHECK: moe.balance_loss {{.*}} {alpha = 1.000000e-03 : f64}
  %10 = moe.balance_loss %scores, %load {alpha = 1.0e-3} : (tensor<6x5xf32>, tensor<5xi32>) -> tensor<f32>
  // CHECK: moe.balance_loss_backward
  %11 = moe.balance_loss_backward %scores, %load, %g {alpha = 1.0e-3}
    : (tensor<6x5xf32>, tensor<5xi32>, tensor<f32>) -> tensor<6x5xf32>
  // CHECK: moe.update_selection_bias {{.*}} {rate = 1.000000e-03 : f64}
  %12 = moe.update_selection_bias %bias, %load {rate = 1.0e-3} : (tensor<5xf32>, tensor<5xi32>) -> tensor<5xf32>
  return
}

// CHECK-LABEL: func.func @loss_and_optimizer
func.func @loss_and_optimizer(%logits: tensor<6x10xf32>, %targets: tensor<2x3xi32>, %weights: tensor<2x3xf32>,
                              %hidden: tensor<6x8xf32>, %p: tensor<10x8xf32>, %s: tensor<f32>) {
  // CHECK: moe.cross_entropy
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
    : (tensor<6x10xf32>, tensor<2x3xi32>, tensor<2x3xf32>) -> (tensor<f32>, tensor<6xf32>)
  // CHECK: moe.cross_entropy_backward
  %0 = moe.cross_entropy_backward %logits, %targets, %weights, %lse, %s
    : (tensor<6x10xf32>, tensor<2x3xi32>, tensor<2x3xf32>, tensor<6xf32>, tensor<f32>) -> tensor<6x10xf32>
  // CHECK: moe.linear_cross_entropy %
  %fused = moe.linear_cross_entropy %hidden, %p, %targets, %weights
    : (tensor<6x8xf32>, tensor<10x8xf32>, tensor<2x3xi32>, tensor<2x3xf32>) -> tensor<f32>
  // CHECK: moe.linear_cross_entropy_backward
  %fused_loss, %dh, %dw = moe.linear_cross_entropy_backward %hidden, %p, %targets, %weights, %s
    : (tensor<6x8xf32>, tensor<10x8xf32>, tensor<2x3xi32>, tensor<2x3xf32>, tensor<f32>)
    -> (tensor<f32>, tensor<6x8xf32>, tensor<10x8xf32>)
  // CHECK: moe.global_norm %{{.*}}, %{{.*}} : (tensor<10x8xf32>, tensor<6x10xf32>) -> tensor<f32>
  %norm = moe.global_norm %p, %logits : (tensor<10x8xf32>, tensor<6x10xf32>) -> tensor<f32>
  // CHECK: moe.adamw
  %1:3 = moe.adamw %p, %p, %p, %p, %norm, %s, %s, %s
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
       tensor<f32>) -> (tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>)
  return
}

// A bf16 model: products of bf16 may be float32, statistics and routing weights are.
// CHECK-LABEL: func.func @bfloat16
func.func @bfloat16(%x: tensor<6x8xbf16>, %w: tensor<10x8xbf16>, %stack: tensor<5x8x3xbf16>, %offsets: tensor<6xi32>,
                    %plan: tensor<6xi32>, %inverse: tensor<6x1xi32>, %k: tensor<6x1xf32>, %s: tensor<f32>,
                    %m: tensor<10x8xf32>) {
  // CHECK: moe.linear %{{.*}} : (tensor<6x8xbf16>, tensor<10x8xbf16>) -> tensor<6x10xf32>
  %0 = moe.linear %x, %w : (tensor<6x8xbf16>, tensor<10x8xbf16>) -> tensor<6x10xf32>
  // CHECK: moe.matmul %{{.*}} {transpose_rhs} : (tensor<6x8xbf16>, tensor<10x8xbf16>) -> tensor<6x10xf32>
  %1 = moe.matmul %x, %w {transpose_rhs} : (tensor<6x8xbf16>, tensor<10x8xbf16>) -> tensor<6x10xf32>
  // CHECK: moe.grouped_matmul %{{.*}} -> tensor<6x3xf32>
  %2 = moe.grouped_matmul %x, %stack, %offsets {ragged = #moe.ragged<rows>}
    : (tensor<6x8xbf16>, tensor<5x8x3xbf16>, tensor<6xi32>) -> tensor<6x3xf32>
  // CHECK: moe.cast %{{.*}} : (tensor<6x10xf32>) -> tensor<6x10xbf16>
  %3 = moe.cast %0 : (tensor<6x10xf32>) -> tensor<6x10xbf16>
  // CHECK: moe.dispatch
  %rows = moe.dispatch %x plan(%plan, %inverse) weights(%k)
    : (tensor<6x8xbf16>, tensor<6xi32>, tensor<6x1xi32>, tensor<6x1xf32>) -> tensor<6x8xbf16>
  // CHECK: moe.combine
  %5 = moe.combine %rows plan(%plan, %inverse) weights(%k)
    : (tensor<6x8xbf16>, tensor<6xi32>, tensor<6x1xi32>, tensor<6x1xf32>) -> tensor<6x8xbf16>
  // CHECK: moe.global_norm %{{.*}} : (tensor<10x8xbf16>, tensor<6x10xf32>) -> tensor<f32>
  %norm = moe.global_norm %w, %0 : (tensor<10x8xbf16>, tensor<6x10xf32>) -> tensor<f32>
  // CHECK: moe.adamw %{{.*}} -> (tensor<10x8xbf16>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>)
  %6:4 = moe.adamw %w, %w, %m, %m, %norm, %s, %s, %s, %m
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<10x8xbf16>, tensor<10x8xbf16>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
       tensor<f32>, tensor<10x8xf32>) -> (tensor<10x8xbf16>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>)
  return
}

// Tests compute in float64 throughout.
// CHECK-LABEL: func.func @float64
func.func @float64(%x: tensor<6x8xf64>, %w: tensor<5x8xf64>) -> tensor<6x5xf64> {
  %0 = moe.linear %x, %w : (tensor<6x8xf64>, tensor<5x8xf64>) -> tensor<6x5xf64>
  %1 = moe.router_scores %0 {scoring_func = #moe.scoring_func<softmax>} : (tensor<6x5xf64>) -> tensor<6x5xf64>
  return %1 : tensor<6x5xf64>
}
