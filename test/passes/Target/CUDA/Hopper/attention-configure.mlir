// RUN: %moe-opt %s --split-input-file --moe-configure | FileCheck %s

// Attention of bf16 runs on warpgroup matmuls where there are any. Its gradients need Σ result · result_gradient of every
// head: a kernel of rows that runs once, instead of once in every block.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-LABEL: moe_kernel.kernel @attention(
// CHECK-SAME: config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, {{.*}}unit = wgmma>
moe_kernel.kernel @attention(%q: tensor<512x512xbf16>, %k: tensor<512x256xbf16>, %v: tensor<512x256xbf16>)
    -> (tensor<512x512xbf16>, tensor<512x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>) -> (tensor<512x512xbf16>, tensor<512x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x512xbf16>, tensor<512x4xf32>
}

// CHECK-LABEL: moe_kernel.kernel @backward_delta(
// CHECK-SAME: tensor<512x512xbf16>, %{{.*}}: tensor<512x512xbf16>) -> tensor<512x4xf32>
// CHECK-NOT: unit = wgmma
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: %[[PRODUCT:.*]] = arith.mulf %{{.*}}, %{{.*}} : f32
// CHECK: arith.addf %{{.*}}, %[[PRODUCT]] : f32

// CHECK-LABEL: moe_kernel.kernel @backward(
// CHECK-SAME: %[[LSE:[a-z0-9]+]]: tensor<512x4xf32>, %[[DELTA:[a-z0-9]+]]: tensor<512x4xf32>, %[[OUT:[a-z0-9]+]]: tensor<512x512xbf16>, %[[POSITIONS:[a-z0-9]+]]: tensor<512xi32>)
// CHECK-SAME: unit = wgmma
// CHECK: moe_kernel.attention_gradients %{{.*}}, %{{.*}}, %{{.*}}, %[[LSE]], %[[DELTA]], %[[OUT]], %[[POSITIONS]] {num_heads = 4
moe_kernel.kernel @backward(%q: tensor<512x512xbf16>, %k: tensor<512x256xbf16>, %v: tensor<512x256xbf16>,
    %o: tensor<512x512xbf16>, %l: tensor<512x4xf32>, %g: tensor<512x512xbf16>, %p: tensor<512xi32>)
    -> (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g, %p
      {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>, tensor<512x512xbf16>, tensor<512x4xf32>,
         tensor<512x512xbf16>, tensor<512xi32>) -> (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>
}

// CHECK-LABEL: func.func @layer(
// CHECK: %[[SUMS:.*]] = moe_kernel.launch @backward_delta(%[[O:.*]], %[[G:.*]]) {label = "layer"}
// CHECK: moe_kernel.launch @backward(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[SUMS]], %[[G]], %{{.*}}) {label = "layer"}
func.func @layer(%q: tensor<512x512xbf16>, %k: tensor<512x256xbf16>, %v: tensor<512x256xbf16>,
    %o: tensor<512x512xbf16>, %l: tensor<512x4xf32>, %g: tensor<512x512xbf16>, %p: tensor<512xi32>)
    -> (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>) {
  %r:3 = moe_kernel.launch @backward(%q, %k, %v, %o, %l, %g, %p) {label = "layer"}
      : (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>, tensor<512x512xbf16>, tensor<512x4xf32>,
         tensor<512x512xbf16>, tensor<512xi32>) -> (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>)
  return %r#0, %r#1, %r#2 : tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>
}
}

// -----

// Sums of longer heads do not fit a consumer's registers, and float32 has no matmuls that are exact.
module attributes {moe.target = "cuda:sm_90a"} {
// CHECK-NOT: unit = wgmma
// CHECK: moe_kernel.kernel @long
moe_kernel.kernel @long(%q: tensor<512x512xbf16>, %k: tensor<512x512xbf16>, %v: tensor<512x512xbf16>)
    -> (tensor<512x512xbf16>, tensor<512x2xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 2 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xbf16>, tensor<512x512xbf16>, tensor<512x512xbf16>) -> (tensor<512x512xbf16>, tensor<512x2xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x512xbf16>, tensor<512x2xf32>
}
// CHECK-NOT: unit = wgmma
// CHECK: moe_kernel.attention_backward
// CHECK-NOT: unit = wgmma
moe_kernel.kernel @exact(%q: tensor<512x512xf32>, %k: tensor<512x512xf32>, %v: tensor<512x512xf32>,
    %o: tensor<512x512xf32>, %l: tensor<512x4xf32>, %g: tensor<512x512xf32>)
    -> (tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>) {
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g
      {num_heads = 4 : i64, num_kv_heads = 4 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x4xf32>,
         tensor<512x512xf32>) -> (tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>
}
}
