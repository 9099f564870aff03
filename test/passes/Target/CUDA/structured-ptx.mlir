// Every structured op compiles to PTX as configured, keeps its values in registers (no local memory), and reads tiles as
// vectors.
//
// RUN: rm -rf %t && moe-opt %s --moe-configure --moe-cuda-codegen="dump-to=%t" -o /dev/null
// RUN: FileCheck %s --check-prefix=DENSE --input-file=%t/dense.ptx
// RUN: cat %t/*.ptx | FileCheck %s --check-prefix=LOCAL
// RUN: FileCheck %s --check-prefix=ATOMIC --input-file=%t/scatter.ptx
// RUN: FileCheck %s --check-prefix=DISPATCH --input-file=%t/dispatch.ptx

// DENSE: bar.sync
// DENSE: ld.shared.v4
// DENSE-COUNT-64: fma.rn.f32
// LOCAL-NOT: .local
// ATOMIC-NOT: {{atom|red}}.{{.*}}f32
//
// Four vectors are read before the first is stored, six times each.
// DISPATCH-COUNT-4: ld.global{{.*}}.v4
// DISPATCH-COUNT-24: st.global.v4
// DISPATCH-NOT: st.global

module attributes {moe.target = "cuda:sm_80"} {

moe_kernel.kernel @dense(%a: tensor<1024x512xf32>, %b: tensor<2048x512xf32>, %x: tensor<1024x1024xf32>)
    -> tensor<1024x1024xf32> {
  %r = moe_kernel.matmul dense (%a, %b) extras(%x) {transpose_rhs, paired,
      extra_extents = [#moe_kernel.extent<full>], result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x512xf32>, tensor<2048x512xf32>, tensor<1024x1024xf32>) -> tensor<1024x1024xf32> {
    ^bb0(%gate: f32, %up: f32, %old: f32):
      %negative = arith.negf %gate : f32
      %power = math.exp %negative : f32
      %one = arith.constant 1.0 : f32
      %sum = arith.addf %one, %power : f32
      %silu = arith.divf %gate, %sum : f32
      %product = arith.mulf %silu, %up : f32
      %new = arith.addf %old, %product : f32
      moe_kernel.yield %new : f32
  }
  moe_kernel.return %r : tensor<1024x1024xf32>
}

moe_kernel.kernel @ragged(%a: tensor<512x128xf32>, %b: tensor<8x128x96xf32>, %o: tensor<9xi32>, %i: tensor<1024xi32>)
    -> tensor<1024x96xf32> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) rows(%i)
      {row_divisor = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<512x128xf32>, tensor<8x128x96xf32>, tensor<9xi32>, tensor<1024xi32>) -> tensor<1024x96xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1024x96xf32>
}

moe_kernel.kernel @contraction(%a: tensor<1024x128xf32>, %b: tensor<1024x96xf32>, %o: tensor<9xi32>)
    -> tensor<8x128x96xf32> {
  %r = moe_kernel.matmul ragged_contraction (%a, %b) offsets(%o) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x128xf32>, tensor<1024x96xf32>, tensor<9xi32>) -> tensor<8x128x96xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<8x128x96xf32>
}

moe_kernel.kernel @attention(%q: tensor<512x512xf32>, %k: tensor<512x256xf32>, %v: tensor<512x256xf32>)
    -> (tensor<512x512xf32>, tensor<512x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>) -> (tensor<512x512xf32>, tensor<512x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x512xf32>, tensor<512x4xf32>
}

moe_kernel.kernel @attention_backward(%q: tensor<512x512xf32>, %k: tensor<512x256xf32>, %v: tensor<512x256xf32>,
    %o: tensor<512x512xf32>, %l: tensor<512x4xf32>, %g: tensor<512x512xf32>)
    -> (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>, tensor<512x512xf32>, tensor<512x4xf32>,
         tensor<512x512xf32>) -> (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>
}

moe_kernel.kernel @packed_attention(%q: tensor<512x512xf32>, %k: tensor<512x256xf32>, %v: tensor<512x256xf32>,
    %p: tensor<2x256xi32>) -> (tensor<512x512xf32>, tensor<512x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>, tensor<2x256xi32>)
      -> (tensor<512x512xf32>, tensor<512x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x512xf32>, tensor<512x4xf32>
}

moe_kernel.kernel @packed_attention_backward(%q: tensor<512x512xf32>, %k: tensor<512x256xf32>, %v: tensor<512x256xf32>,
    %o: tensor<512x512xf32>, %l: tensor<512x4xf32>, %g: tensor<512x512xf32>, %p: tensor<2x256xi32>)
    -> (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g, %p
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>, tensor<512x512xf32>, tensor<512x4xf32>,
         tensor<512x512xf32>, tensor<2x256xi32>) -> (tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<512x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>
}

moe_kernel.kernel @decode(%q: tensor<4x512xf32>, %k: tensor<4x300x256xf32>, %v: tensor<4x300x256xf32>,
    %p: tensor<4x1xi32>) -> tensor<4x512xf32> {
  %r = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<4x512xf32>, tensor<4x300x256xf32>, tensor<4x300x256xf32>, tensor<4x1xi32>) -> tensor<4x512xf32>
  moe_kernel.return %r : tensor<4x512xf32>
}

moe_kernel.kernel @route(%x: tensor<64x128xf32>, %b: tensor<128xf32>)
    -> (tensor<64x128xf32>, tensor<64x8xf32>, tensor<64x8xi32>) {
  %r:3 = moe_kernel.route %x, %b {top_k = 8 : i64, scoring = #moe_kernel.scoring<sigmoid>, norm_topk_prob = true,
      routed_scaling_factor = 2.5 : f64}
      : (tensor<64x128xf32>, tensor<128xf32>) -> (tensor<64x128xf32>, tensor<64x8xf32>, tensor<64x8xi32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<64x128xf32>, tensor<64x8xf32>, tensor<64x8xi32>
}

moe_kernel.kernel @route_backward(%s: tensor<64x128xf32>, %i: tensor<64x8xi32>, %g: tensor<64x8xf32>)
    -> tensor<64x128xf32> {
  %r = moe_kernel.route_backward %s, %i, %g {scoring = #moe_kernel.scoring<softmax>, norm_topk_prob = true,
      routed_scaling_factor = 1.0 : f64} : (tensor<64x128xf32>, tensor<64x8xi32>, tensor<64x8xf32>) -> tensor<64x128xf32>
  moe_kernel.return %r : tensor<64x128xf32>
}

moe_kernel.kernel @plan(%indices: tensor<64x8xi32>) -> (tensor<129xi32>, tensor<512xi32>, tensor<64x8xi32>) {
  %r:3 = moe_kernel.plan %indices : (tensor<64x8xi32>) -> (tensor<129xi32>, tensor<512xi32>, tensor<64x8xi32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<129xi32>, tensor<512xi32>, tensor<64x8xi32>
}

moe_kernel.kernel @dispatch(%x: tensor<64x100xf32>, %inverse: tensor<64x6xi32>) -> tensor<384x100xf32> {
  %r = moe_kernel.dispatch %x, %inverse : (tensor<64x100xf32>, tensor<64x6xi32>) -> tensor<384x100xf32>
  moe_kernel.return %r : tensor<384x100xf32>
}

moe_kernel.kernel @scatter(%i: tensor<64xi32>, %x: tensor<64x100xf32>) -> tensor<1000x100xf32> {
  %r = moe_kernel.scatter_add %i, %x : (tensor<64xi32>, tensor<64x100xf32>) -> tensor<1000x100xf32>
  moe_kernel.return %r : tensor<1000x100xf32>
}

moe_kernel.kernel @append(%c: tensor<2x10x64xf32> {moe_kernel.tied = 0 : i64}, %x: tensor<6x64xf32>,
    %p: tensor<2x3xi32>) -> tensor<2x10x64xf32> {
  %r = moe_kernel.cache_append %c, %x, %p
      : (tensor<2x10x64xf32>, tensor<6x64xf32>, tensor<2x3xi32>) -> tensor<2x10x64xf32>
  moe_kernel.return %r : tensor<2x10x64xf32>
}

moe_kernel.kernel @squares(%a: tensor<3x1000xf32>, %b: tensor<f32>, %c: tensor<17xf32>) -> tensor<5xf32> {
  %r = moe_kernel.sum_of_squares %a, %b, %c {chunk = 1024 : i64}
      : (tensor<3x1000xf32>, tensor<f32>, tensor<17xf32>) -> tensor<5xf32>
  moe_kernel.return %r : tensor<5xf32>
}
}
