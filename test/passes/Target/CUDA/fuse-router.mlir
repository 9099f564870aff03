// A router of bf16 becomes one launch, which has counted for the plan, or has made it where there are few entries.
//
// RUN: moe-opt %s --split-input-file --moe-configure | FileCheck %s

!x = tensor<8192x2048xbf16>
!w = tensor<128x2048xbf16>
!l = tensor<8192x128xf32>
!k = tensor<8192x8xf32>
!i = tensor<8192x8xi32>

module attributes {moe.target = "cuda:sm_90a"} {
// The scores are not computed if nothing reads them.
// CHECK-LABEL: func.func @many(
// CHECK-SAME: %[[X:.*]]: tensor<8192x2048xbf16>, %[[W:.*]]: tensor<128x2048xbf16>, %[[BIAS:.*]]: tensor<128xf32>)
// CHECK-NEXT: %[[R:.*]]:3 = moe_kernel.launch @linear_route_counts(%[[X]], %[[W]], %[[BIAS]]) {label = "mlp.gate"}
// CHECK-NEXT: %[[P:.*]]:3 = moe_kernel.launch @plan_counts(%[[R]]#1, %[[R]]#2)
// CHECK-NEXT: return %[[R]]#0, %[[P]]#0, %[[P]]#1
func.func @many(%x: !x, %w: !w, %bias: tensor<128xf32>) -> (!k, tensor<129xi32>, tensor<65536xi32>) {
  %l = moe_kernel.launch @linear(%x, %w) : (!x, !w) -> !l
  %s, %k, %i = moe_kernel.launch @route(%l, %bias) {label = "mlp.gate"} : (!l, tensor<128xf32>) -> (!l, !k, !i)
  %o, %p, %q = moe_kernel.launch @plan(%i) : (!i) -> (tensor<129xi32>, tensor<65536xi32>, !i)
  return %k, %o, %p : !k, tensor<129xi32>, tensor<65536xi32>
}

// Here they are read.
// CHECK-LABEL: func.func @scores(
// CHECK: %[[R:.*]]:3 = moe_kernel.launch @linear_route
// CHECK-NEXT: return %[[R]]#0, %[[R]]#1
func.func @scores(%x: !x, %w: !w, %bias: tensor<128xf32>) -> (!l, !k) {
  %l = moe_kernel.launch @linear(%x, %w) : (!x, !w) -> !l
  %s, %k, %i = moe_kernel.launch @route(%l, %bias) : (!l, tensor<128xf32>) -> (!l, !k, !i)
  return %s, %k : !l, !k
}

// What somebody else reads has to be stored.
// CHECK-LABEL: func.func @logits(
// CHECK: moe_kernel.launch @linear(
// CHECK: moe_kernel.launch @route(
func.func @logits(%x: !x, %w: !w, %bias: tensor<128xf32>) -> (!l, !k) {
  %l = moe_kernel.launch @linear(%x, %w) : (!x, !w) -> !l
  %s, %k, %i = moe_kernel.launch @route(%l, %bias) : (!l, tensor<128xf32>) -> (!l, !k, !i)
  return %l, %k : !l, !k
}

moe_kernel.kernel @linear(%x: !x, %w: !w) -> !l {
  %l = moe_kernel.matmul dense (%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]} : (!x, !w) -> !l {
    ^bb0(%y: f32):
      moe_kernel.yield %y : f32
  }
  moe_kernel.return %l : !l
}
moe_kernel.kernel @route(%l: !l, %bias: tensor<128xf32>) -> (!l, !k, !i) {
  %s, %k, %i = moe_kernel.route %l, %bias {top_k = 8 : i64, scoring = #moe_kernel.scoring<sigmoid>,
      norm_topk_prob = true, routed_scaling_factor = 2.5 : f64} : (!l, tensor<128xf32>) -> (!l, !k, !i)
  moe_kernel.return %s, %k, %i : !l, !k, !i
}
// The plan's blocks have slices of 64 tokens, as many as the router counts together.
// CHECK-NOT: moe_kernel.kernel @plan(
// CHECK: moe_kernel.kernel @plan_counts(
// CHECK-SAME: <threads = 512, tile_m = 512,
// CHECK-NEXT: moe_kernel.plan %{{.*}}, %{{.*}} {chunk = 64 : i64}
moe_kernel.kernel @plan(%i: !i) -> (tensor<129xi32>, tensor<65536xi32>, !i) {
  %o, %p, %q = moe_kernel.plan %i : (!i) -> (tensor<129xi32>, tensor<65536xi32>, !i)
  moe_kernel.return %o, %p, %q : tensor<129xi32>, tensor<65536xi32>, !i
}
}

// -----

// A token has all experts in as many blocks as there are 16 of them, which pass the logits on in the memory of the scores.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: func.func @few(
// CHECK-NEXT: %[[R:.*]]:6 = moe_kernel.launch @linear_route_plan
// CHECK-NEXT: return %[[R]]#1, %[[R]]#3, %[[R]]#4
func.func @few(%x: tensor<1x2048xbf16>, %w: tensor<128x2048xbf16>)
    -> (tensor<1x8xf32>, tensor<129xi32>, tensor<8xi32>) {
  %l = moe_kernel.launch @linear(%x, %w) : (tensor<1x2048xbf16>, tensor<128x2048xbf16>) -> tensor<1x128xf32>
  %s, %k, %i = moe_kernel.launch @route(%l)
      : (tensor<1x128xf32>) -> (tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>)
  %o, %p, %q = moe_kernel.launch @plan(%i) : (tensor<1x8xi32>) -> (tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>)
  return %k, %o, %p : tensor<1x8xf32>, tensor<129xi32>, tensor<8xi32>
}
// CHECK-NOT: moe_kernel.kernel @linear(
moe_kernel.kernel @linear(%x: tensor<1x2048xbf16>, %w: tensor<128x2048xbf16>) -> tensor<1x128xf32> {
  %l = moe_kernel.matmul dense (%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x2048xbf16>, tensor<128x2048xbf16>) -> tensor<1x128xf32> {
    ^bb0(%y: f32):
      moe_kernel.yield %y : f32
  }
  moe_kernel.return %l : tensor<1x128xf32>
}
// CHECK: moe_kernel.kernel @linear_route_plan(
// CHECK-SAME: #moe_kernel.cuda_config<threads = 256, tile_m = 1, tile_n = 16, tile_k = 2048, stages = 1>
moe_kernel.kernel @route(%l: tensor<1x128xf32>) -> (tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>) {
  %s, %k, %i = moe_kernel.route %l {top_k = 8 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true,
      routed_scaling_factor = 1.0 : f64} : (tensor<1x128xf32>) -> (tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>)
  moe_kernel.return %s, %k, %i : tensor<1x128xf32>, tensor<1x8xf32>, tensor<1x8xi32>
}
moe_kernel.kernel @plan(%i: tensor<1x8xi32>) -> (tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>) {
  %o, %p, %q = moe_kernel.plan %i : (tensor<1x8xi32>) -> (tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>)
  moe_kernel.return %o, %p, %q : tensor<129xi32>, tensor<8xi32>, tensor<1x8xi32>
}
}

// -----

// Float32 is exact, and stays on CUDA cores.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: func.func @exact(
// CHECK: moe_kernel.launch @linear(
// CHECK: moe_kernel.launch @route(
func.func @exact(%x: tensor<64x256xf32>, %w: tensor<16x256xf32>) -> tensor<64x2xf32> {
  %l = moe_kernel.launch @linear(%x, %w) : (tensor<64x256xf32>, tensor<16x256xf32>) -> tensor<64x16xf32>
  %s, %k, %i = moe_kernel.launch @route(%l)
      : (tensor<64x16xf32>) -> (tensor<64x16xf32>, tensor<64x2xf32>, tensor<64x2xi32>)
  return %k : tensor<64x2xf32>
}
moe_kernel.kernel @linear(%x: tensor<64x256xf32>, %w: tensor<16x256xf32>) -> tensor<64x16xf32> {
  %l = moe_kernel.matmul dense (%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<64x256xf32>, tensor<16x256xf32>) -> tensor<64x16xf32> {
    ^bb0(%y: f32):
      moe_kernel.yield %y : f32
  }
  moe_kernel.return %l : tensor<64x16xf32>
}
moe_kernel.kernel @route(%l: tensor<64x16xf32>) -> (tensor<64x16xf32>, tensor<64x2xf32>, tensor<64x2xi32>) {
  %s, %k, %i = moe_kernel.route %l {top_k = 2 : i64, scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true,
      routed_scaling_factor = 1.0 : f64} : (tensor<64x16xf32>) -> (tensor<64x16xf32>, tensor<64x2xf32>, tensor<64x2xi32>)
  moe_kernel.return %s, %k, %i : tensor<64x16xf32>, tensor<64x2xf32>, tensor<64x2xi32>
}
}
