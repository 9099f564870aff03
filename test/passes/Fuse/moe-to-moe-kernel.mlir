// RUN: %moe-opt %s -moe-to-moe-kernel | FileCheck %s

// CHECK-LABEL: func.func @matmuls(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<6x4xf32>, %[[Y:.*]]: tensor<8x6xf32>)
func.func @matmuls(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %y: tensor<8x6xf32>) -> (tensor<8x6xf32>, tensor<4x6xf32>) {
  // CHECK: moe_kernel.matmul dense(%[[X]], %[[W]]) {result_extents = [#moe_kernel.extent<full>], transpose_rhs}
  // CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32):
  // CHECK-NEXT: moe_kernel.yield %[[ACC]] : f32
  %0 = moe.linear %x, %w : (tensor<8x4xf32>, tensor<6x4xf32>) -> tensor<8x6xf32>
  // CHECK: moe_kernel.matmul dense(%[[X]], %[[Y]]) {result_extents = [#moe_kernel.extent<full>], transpose_lhs}
  %1 = moe.matmul %x, %y {transpose_lhs} : (tensor<8x4xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
  return %0, %1 : tensor<8x6xf32>, tensor<4x6xf32>
}

// CHECK-LABEL: func.func @grouped(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<3x6x4xf32>, %[[Y:.*]]: tensor<8x6xf32>, %[[O:.*]]: tensor<4xi32>)
func.func @grouped(%x: tensor<8x4xf32>, %w: tensor<3x6x4xf32>, %y: tensor<8x6xf32>, %o: tensor<4xi32>)
    -> (tensor<8x6xf32>, tensor<3x6x4xf32>) {
  // CHECK: moe_kernel.matmul ragged_rows(%[[X]], %[[W]]) offsets(%[[O]]) {{.*}}transpose_rhs}
  %0 = moe.grouped_matmul %x, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<8x4xf32>, tensor<3x6x4xf32>, tensor<4xi32>) -> tensor<8x6xf32>
  // CHECK: moe_kernel.matmul ragged_contraction(%[[Y]], %[[X]]) offsets(%[[O]])
  %1 = moe.grouped_matmul %y, %x, %o {ragged = #moe.ragged<contraction>}
      : (tensor<8x6xf32>, tensor<8x4xf32>, tensor<4xi32>) -> tensor<3x6x4xf32>
  return %0, %1 : tensor<8x6xf32>, tensor<3x6x4xf32>
}

// CHECK-LABEL: func.func @attention(
// CHECK-SAME: %[[P:[^:]*]]: tensor<2x4xi32>)
func.func @attention(%q: tensor<8x16xf32>, %k: tensor<8x8xf32>, %v: tensor<8x8xf32>, %cache: tensor<2x10x8xf32>, %p: tensor<2x4xi32>)
    -> (tensor<8x16xf32>, tensor<8x16xf32>, tensor<8x16xf32>) {
  // CHECK: %[[R:.*]], %[[LSE:.*]] = moe_kernel.attention
  %r, %lse = moe.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  // CHECK: moe_kernel.attention_backward {{.*}}, %[[R]], %[[LSE]],
  %dq, %dk, %dv = moe.attention_backward %q, %k, %v, %r, %lse, %q {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x16xf32>, tensor<8x4xf32>, tensor<8x16xf32>)
      -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
  // CHECK: %[[PACKED:.*]], %[[PACKED_LSE:.*]] = moe_kernel.attention {{.*}}, %[[P]] {
  %packed, %packed_lse = moe.attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<2x4xi32>) -> (tensor<8x16xf32>, tensor<8x4xf32>)
  // CHECK: moe_kernel.attention_backward {{.*}}, %[[PACKED]], %[[PACKED_LSE]], %{{.*}}, %[[P]] {
  %pq, %pk, %pv = moe.attention_backward %q, %k, %v, %packed, %packed_lse, %q, %p
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 4 : i64}
      : (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x16xf32>, tensor<8x4xf32>, tensor<8x16xf32>,
         tensor<2x4xi32>) -> (tensor<8x16xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
  // CHECK: %[[CACHE:.*]] = moe_kernel.cache_append
  %c = moe.cache_append %cache, %k, %p : (tensor<2x10x8xf32>, tensor<8x8xf32>, tensor<2x4xi32>) -> tensor<2x10x8xf32>
  // CHECK: moe_kernel.cached_attention %{{.*}}, %[[CACHE]], %[[CACHE]]
  %s = moe.cached_attention %q, %c, %c, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<8x16xf32>, tensor<2x10x8xf32>, tensor<2x10x8xf32>, tensor<2x4xi32>) -> tensor<8x16xf32>
  return %dq, %s, %pq : tensor<8x16xf32>, tensor<8x16xf32>, tensor<8x16xf32>
}

// A choice whose scores are computed elsewhere takes them as they are.
// CHECK-LABEL: func.func @routing(
func.func @routing(%scores: tensor<8x4xf32>, %dw: tensor<8x2xf32>) -> (tensor<5xi32>, tensor<8x4xf32>) {
  // CHECK: %{{.*}}, %[[W:.*]], %[[I:.*]] = moe_kernel.route %{{.*}} {{.*}}scoring = #moe_kernel.scoring<identity>
  %w, %i = moe.topk_gate %scores {top_k = 2 : i64, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xf32>) -> (tensor<8x2xf32>, tensor<8x2xi32>)
  // CHECK: moe_kernel.plan %[[I]]
  %o, %p, %inverse = moe.plan_routing %i : (tensor<8x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<8x2xi32>)
  // CHECK: moe_kernel.route_backward {{.*}}scoring = #moe_kernel.scoring<identity>
  %ds = moe.topk_gate_backward %scores, %i, %dw {norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (tensor<8x4xf32>, tensor<8x2xi32>, tensor<8x2xf32>) -> tensor<8x4xf32>
  return %o, %ds : tensor<5xi32>, tensor<8x4xf32>
}

// CHECK-LABEL: func.func @embedding_backward(
func.func @embedding_backward(%i: tensor<2x4xi32>, %d: tensor<8x16xf32>) -> tensor<32x16xf32> {
  // CHECK: moe_kernel.scatter_add
  %0 = moe.embedding_backward %i, %d : (tensor<2x4xi32>, tensor<8x16xf32>) -> tensor<32x16xf32>
  return %0 : tensor<32x16xf32>
}
