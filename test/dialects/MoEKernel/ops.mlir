// RUN: %moe-opt %s | %moe-opt | FileCheck %s
// RUN: %moe-opt %s --mlir-print-op-generic | %moe-opt | FileCheck %s

// Every kind of epilogue operand, a gather, a configuration.
// CHECK-LABEL: moe_kernel.kernel @matmul(
// CHECK-SAME: attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 48, block_n = 64>}
moe_kernel.kernel @matmul(%x: tensor<8x4xf32>, %w: tensor<3x6x4xf32>, %offsets: tensor<4xi32>, %rows: tensor<16xi32>,
                          %scale: tensor<f32>, %row: tensor<16xf32>, %column: tensor<6xf32>, %full: tensor<16x3xf32>)
    -> (tensor<16x3xf32>, tensor<16x6xf32>)
    attributes {config = #moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 48, block_n = 64>} {
  // CHECK: moe_kernel.matmul ragged_rows(%{{.*}}, %{{.*}}) offsets(%{{.*}}) rows(%{{.*}}) extras(
  // CHECK-SAME: paired
  // CHECK-SAME: row_divisor = 2
  // CHECK-SAME: transpose_rhs
  // CHECK-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32, %{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32):
  %y, %h = moe_kernel.matmul ragged_rows(%x, %w) offsets(%offsets) rows(%rows) extras(%scale, %row, %column, %full)
      {transpose_rhs, paired, row_divisor = 2 : i64,
       extra_extents = [#moe_kernel.extent<scalar>, #moe_kernel.extent<row>, #moe_kernel.extent<column>, #moe_kernel.extent<full>],
       result_extents = [#moe_kernel.extent<full>, #moe_kernel.extent<pair>]}
      : (tensor<8x4xf32>, tensor<3x6x4xf32>, tensor<4xi32>, tensor<16xi32>, tensor<f32>, tensor<16xf32>, tensor<6xf32>,
         tensor<16x3xf32>) -> (tensor<16x3xf32>, tensor<16x6xf32>) {
  ^bb0(%gate: f32, %up: f32, %s: f32, %r: f32, %c: f32, %f: f32):
    // CHECK: moe_kernel.yield %{{.*}}, %[[GATE]], %[[UP]] : f32, f32, f32
    %0 = arith.mulf %gate, %s : f32
    moe_kernel.yield %0, %gate, %up : f32, f32, f32
  }
  moe_kernel.return %y, %h : tensor<16x3xf32>, tensor<16x6xf32>
}

// A weight gradient that gathers its right operand.
// CHECK-LABEL: moe_kernel.kernel @contraction(
moe_kernel.kernel @contraction(%a: tensor<16x6xf32>, %b: tensor<8x4xf32>, %offsets: tensor<4xi32>, %rows: tensor<16xi32>)
    -> tensor<3x6x4xf32> {
  // CHECK: moe_kernel.matmul ragged_contraction({{.*}}) offsets({{.*}}) rows({{.*}}) {gather_rhs
  %0 = moe_kernel.matmul ragged_contraction(%a, %b) offsets(%offsets) rows(%rows)
      {gather_rhs, row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<16x6xf32>, tensor<8x4xf32>, tensor<4xi32>, tensor<16xi32>) -> tensor<3x6x4xf32> {
  ^bb0(%acc: f32):
    moe_kernel.yield %acc : f32
  }
  moe_kernel.return %0 : tensor<3x6x4xf32>
}

// CHECK-LABEL: moe_kernel.kernel @attention(
moe_kernel.kernel @attention(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>) {
  // CHECK: moe_kernel.attention {{.*}} {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
  %r, %lse = moe_kernel.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  moe_kernel.return %r, %lse : tensor<8x16xf32>, tensor<8x4xf32>
}

// CHECK-LABEL: moe_kernel.kernel @attention_backward(
moe_kernel.kernel @attention_backward(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %r: tensor<8x16xf32>,
    %lse: tensor<8x4xf32>, %d: tensor<8x16xf32>) -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  // CHECK: moe_kernel.attention_backward
  %dq, %dk, %dv = moe_kernel.attention_backward %q, %k, %v, %r, %lse, %d
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x16xf32>, tensor<8x4xf32>, tensor<8x16xf32>)
      -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
  moe_kernel.return %dq, %dk, %dv : tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}

// CHECK-LABEL: moe_kernel.kernel @attention_gradients(
moe_kernel.kernel @attention_gradients(%q: tensor<8x16xbf16>, %k: tensor<8x8xbf16>, %v: tensor<8x8xbf16>,
    %lse: tensor<8x4xf32>, %delta: tensor<8x4xf32>, %d: tensor<8x16xbf16>)
    -> (tensor<8x16xbf16>, tensor<8x8xbf16>, tensor<8x8xbf16>) {
  // CHECK: moe_kernel.attention_gradients
  %dq, %dk, %dv = moe_kernel.attention_gradients %q, %k, %v, %lse, %delta, %d
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xbf16>, tensor<8x8xbf16>, tensor<8x8xbf16>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x16xbf16>)
      -> (tensor<8x16xbf16>, tensor<8x8xbf16>, tensor<8x8xbf16>)
  moe_kernel.return %dq, %dk, %dv : tensor<8x16xbf16>, tensor<8x8xbf16>, tensor<8x8xbf16>
}

// Documents packed into a row.
// CHECK-LABEL: moe_kernel.kernel @packed_attention(
moe_kernel.kernel @packed_attention(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %p: tensor<2x4xi32>)
    -> (tensor<8x16xf32>, tensor<8x4xf32>) {
  // CHECK: moe_kernel.attention {{.*}} : ({{.*}}, tensor<2x4xi32>)
  %r, %lse = moe_kernel.attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<2x4xi32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  moe_kernel.return %r, %lse : tensor<8x16xf32>, tensor<8x4xf32>
}

// CHECK-LABEL: moe_kernel.kernel @packed_attention_backward(
moe_kernel.kernel @packed_attention_backward(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>,
    %r: tensor<8x16xf32>, %lse: tensor<8x4xf32>, %d: tensor<8x16xf32>, %p: tensor<8xi32>)
    -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  // CHECK: moe_kernel.attention_backward {{.*}} : ({{.*}}, tensor<8xi32>)
  %dq, %dk, %dv = moe_kernel.attention_backward %q, %k, %v, %r, %lse, %d, %p
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x16xf32>, tensor<8x4xf32>, tensor<8x16xf32>,
         tensor<8xi32>) -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
  moe_kernel.return %dq, %dk, %dv : tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}

// CHECK-LABEL: moe_kernel.kernel @cached_attention(
moe_kernel.kernel @cached_attention(%q: tensor<6x16xf32>, %k: tensor<2x10x8xf32>, %v: tensor<2x10x8xf32>, %p: tensor<2x3xi32>)
    -> tensor<6x16xf32> {
  // CHECK: moe_kernel.cached_attention
  %0 = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<6x16xf32>, tensor<2x10x8xf32>, tensor<2x10x8xf32>, tensor<2x3xi32>) -> tensor<6x16xf32>
  moe_kernel.return %0 : tensor<6x16xf32>
}

// CHECK-LABEL: moe_kernel.kernel @cache_append(
// CHECK-SAME: %{{.*}}: tensor<2x10x8xf32> {moe_kernel.tied = 0 : i64}
moe_kernel.kernel @cache_append(%cache: tensor<2x10x8xf32> {moe_kernel.tied = 0 : i64}, %rows: tensor<6x8xf32>, %p: tensor<2x3xi32>)
    -> tensor<2x10x8xf32> {
  // CHECK: moe_kernel.cache_append
  %0 = moe_kernel.cache_append %cache, %rows, %p
      : (tensor<2x10x8xf32>, tensor<6x8xf32>, tensor<2x3xi32>) -> tensor<2x10x8xf32>
  moe_kernel.return %0 : tensor<2x10x8xf32>
}

// CHECK-LABEL: moe_kernel.kernel @route(
moe_kernel.kernel @route(%logits: tensor<8x4xf32>, %bias: tensor<4xf32>) -> (tensor<8x4xf32>, tensor<8x2xf32>, tensor<8x2xi32>) {
  // CHECK: moe_kernel.route {{.*}} {norm_topk_prob = true, routed_scaling_factor = 2.500000e+00 : f64, scoring = #moe_kernel.scoring<sigmoid>, top_k = 2 : i64}
  %s, %w, %i = moe_kernel.route %logits, %bias
      {top_k = 2 : i64, scoring = #moe_kernel.scoring<sigmoid>, norm_topk_prob = true, routed_scaling_factor = 2.5 : f64}
      : (tensor<8x4xf32>, tensor<4xf32>) -> (tensor<8x4xf32>, tensor<8x2xf32>, tensor<8x2xi32>)
  moe_kernel.return %s, %w, %i : tensor<8x4xf32>, tensor<8x2xf32>, tensor<8x2xi32>
}

// Without scores, with what a plan wants to know.
// CHECK-LABEL: moe_kernel.kernel @router(
moe_kernel.kernel @router(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>, %bias: tensor<4xf32>)
    -> (tensor<8x2xf32>, tensor<8x2xi32>, tensor<2x4xi32>) {
  // CHECK: moe_kernel.router {{.*}} {chunk = 4 : i64, {{.*}}resultSegmentSizes = array<i32: 0, 1, 1, 1, 0, 0, 0>
  %w2, %i, %c = moe_kernel.router %x, %w, %bias
      {top_k = 2 : i64, scoring = #moe_kernel.scoring<sigmoid>, norm_topk_prob = true, routed_scaling_factor = 2.5 : f64,
       chunk = 4 : i64, resultSegmentSizes = array<i32: 0, 1, 1, 1, 0, 0, 0>}
      : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<4xf32>) -> (tensor<8x2xf32>, tensor<8x2xi32>, tensor<2x4xi32>)
  moe_kernel.return %w2, %i, %c : tensor<8x2xf32>, tensor<8x2xi32>, tensor<2x4xi32>
}

// CHECK-LABEL: moe_kernel.kernel @plan_with_counts(
moe_kernel.kernel @plan_with_counts(%i: tensor<8x2xi32>, %c: tensor<2x4xi32>)
    -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  // CHECK: moe_kernel.plan %{{.*}}, %{{.*}} {chunk = 4 : i64}
  %o, %p, %inverse = moe_kernel.plan %i, %c {chunk = 4 : i64}
      : (tensor<8x2xi32>, tensor<2x4xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %inverse : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// CHECK-LABEL: moe_kernel.kernel @route_backward(
moe_kernel.kernel @route_backward(%s: tensor<8x4xf32>, %i: tensor<8x2xi32>, %dw: tensor<8x2xf32>) -> tensor<8x4xf32> {
  // CHECK: moe_kernel.route_backward
  // CHECK-SAME: scoring = #moe_kernel.scoring<identity>
  %0 = moe_kernel.route_backward %s, %i, %dw
      {scoring = #moe_kernel.scoring<identity>, norm_topk_prob = false, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xf32>, tensor<8x2xi32>, tensor<8x2xf32>) -> tensor<8x4xf32>
  moe_kernel.return %0 : tensor<8x4xf32>
}

// CHECK-LABEL: moe_kernel.kernel @plan(
moe_kernel.kernel @plan(%i: tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>) {
  // CHECK: moe_kernel.plan
  %o, %p, %inverse = moe_kernel.plan %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  moe_kernel.return %o, %p, %inverse : tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>
}

// CHECK-LABEL: moe_kernel.kernel @dispatch(
moe_kernel.kernel @dispatch(%x: tensor<8x16xbf16>, %inverse: tensor<8x2xi32>) -> tensor<16x16xbf16> {
  // CHECK: moe_kernel.dispatch
  %0 = moe_kernel.dispatch %x, %inverse : (tensor<8x16xbf16>, tensor<8x2xi32>) -> tensor<16x16xbf16>
  moe_kernel.return %0 : tensor<16x16xbf16>
}

// CHECK-LABEL: moe_kernel.kernel @scatter_add(
moe_kernel.kernel @scatter_add(%i: tensor<2x4xi32>, %rows: tensor<8x16xf32>) -> tensor<32x16xf32> {
  // CHECK: moe_kernel.scatter_add
  %0 = moe_kernel.scatter_add %i, %rows : (tensor<2x4xi32>, tensor<8x16xf32>) -> tensor<32x16xf32>
  moe_kernel.return %0 : tensor<32x16xf32>
}

// 3 chunks of the first operand, 1 of the second.
// CHECK-LABEL: moe_kernel.kernel @sum_of_squares(
moe_kernel.kernel @sum_of_squares(%a: tensor<5x4xf32>, %b: tensor<8xf32>) -> tensor<4xf32> {
  // CHECK: moe_kernel.sum_of_squares {{.*}} {chunk = 8 : i64}
  %0 = moe_kernel.sum_of_squares %a, %b {chunk = 8 : i64} : (tensor<5x4xf32>, tensor<8xf32>) -> tensor<4xf32>
  moe_kernel.return %0 : tensor<4xf32>
}

// Rows: an initial value, a reduction, reshapes of what comes in and goes out.
// CHECK-LABEL: moe_kernel.kernel @rows(
moe_kernel.kernel @rows(%x: tensor<8x12xf32>) -> tensor<2x4xf32> {
  %zero = arith.constant 0.0 : f32
  %expanded = tensor.expand_shape %x [[0], [1, 2]] output_shape [8, 3, 4] : tensor<8x12xf32> into tensor<8x3x4xf32>
  %empty = tensor.empty() : tensor<8xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<8xf32>) -> tensor<8xf32>
  // CHECK: linalg.generic
  %sum = linalg.generic {indexing_maps = [affine_map<(t, g, j) -> (t, g, j)>, affine_map<(t, g, j) -> (t)>],
                         iterator_types = ["parallel", "reduction", "reduction"]}
      ins(%expanded : tensor<8x3x4xf32>) outs(%fill : tensor<8xf32>) {
  ^bb0(%element: f32, %so_far: f32):
    %0 = arith.addf %so_far, %element : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %result = tensor.expand_shape %sum [[0, 1]] output_shape [2, 4] : tensor<8xf32> into tensor<2x4xf32>
  moe_kernel.return %result : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @launch(
func.func @launch(%x: tensor<8x12xf32>) -> tensor<2x4xf32> {
  // CHECK: moe_kernel.launch @rows(%{{.*}}) {label = "layers.0/sum"} : (tensor<8x12xf32>) -> tensor<2x4xf32>
  %0 = moe_kernel.launch @rows(%x) {label = "layers.0/sum"} : (tensor<8x12xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// Parts of tensors, with shapes of their own.
// CHECK-LABEL: func.func @parts(
func.func @parts(%x: tensor<4x64xi32>, %y: tensor<64xi32>) -> tensor<3x64xi32> {
  // CHECK: moe_kernel.slice %{{.*}}[128] : tensor<4x64xi32> -> tensor<128xi32>
  %0 = moe_kernel.slice %x[128] : tensor<4x64xi32> -> tensor<128xi32>
  // CHECK: moe_kernel.concat %{{.*}}, %{{.*}} : (tensor<128xi32>, tensor<64xi32>) -> tensor<3x64xi32>
  %1 = moe_kernel.concat %0, %y : (tensor<128xi32>, tensor<64xi32>) -> tensor<3x64xi32>
  return %1 : tensor<3x64xi32>
}

// Launches that share one; what a part works on in place, the kernel does.
// CHECK-LABEL: moe_kernel.kernel @twice(
// CHECK-SAME: %[[C:.*]]: tensor<1x8x4xf32> {moe_kernel.tied = 0 : i64}, %[[D:.*]]: tensor<1x8x4xf32> {moe_kernel.tied = 1 : i64}, %[[X:.*]]: tensor<1x4xf32>, %[[P:.*]]: tensor<1x1xi32>
moe_kernel.kernel @twice(%c: tensor<1x8x4xf32> {moe_kernel.tied = 0 : i64}, %d: tensor<1x8x4xf32> {moe_kernel.tied = 1 : i64},
                         %x: tensor<1x4xf32>, %p: tensor<1x1xi32>) -> (tensor<1x8x4xf32>, tensor<1x8x4xf32>) {
  // CHECK: %[[A:.*]] = moe_kernel.launch @append(%[[C]], %[[X]], %[[P]])
  %0 = moe_kernel.launch @append(%c, %x, %p) : (tensor<1x8x4xf32>, tensor<1x4xf32>, tensor<1x1xi32>) -> tensor<1x8x4xf32>
  // CHECK: %[[B:.*]] = moe_kernel.launch @append(%[[D]], %[[X]], %[[P]])
  %1 = moe_kernel.launch @append(%d, %x, %p) : (tensor<1x8x4xf32>, tensor<1x4xf32>, tensor<1x1xi32>) -> tensor<1x8x4xf32>
  // CHECK: moe_kernel.return %[[A]], %[[B]]
  moe_kernel.return %0, %1 : tensor<1x8x4xf32>, tensor<1x8x4xf32>
}
moe_kernel.kernel @append(%c: tensor<1x8x4xf32> {moe_kernel.tied = 0 : i64}, %x: tensor<1x4xf32>, %p: tensor<1x1xi32>) -> tensor<1x8x4xf32> {
  %0 = moe_kernel.cache_append %c, %x, %p : (tensor<1x8x4xf32>, tensor<1x4xf32>, tensor<1x1xi32>) -> tensor<1x8x4xf32>
  moe_kernel.return %0 : tensor<1x8x4xf32>
}

// CHECK-LABEL: moe_kernel.kernel @combined(
moe_kernel.kernel @combined(%h: tensor<6x16xbf16>, %m: tensor<4x8x16xbf16>, %o: tensor<5xi32>, %i: tensor<2x3xi32>,
    %w: tensor<2x3xf32>, %r: tensor<2x8xbf16>) -> tensor<2x8xbf16> {
  // CHECK: moe_kernel.combined_matmul %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : (tensor<6x16xbf16>,
  %y = moe_kernel.combined_matmul %h, %m, %o, %i, %w, %r : (tensor<6x16xbf16>, tensor<4x8x16xbf16>, tensor<5xi32>,
      tensor<2x3xi32>, tensor<2x3xf32>, tensor<2x8xbf16>) -> tensor<2x8xbf16>
  moe_kernel.return %y : tensor<2x8xbf16>
}
