// Tensor cores for bf16, whatever GPU since sm_80; CUDA cores for float32, for caches and for heads that tensor cores do
// not take. Tiles get smaller until there is a block for each multiprocessor.
//
// RUN: moe-opt %s --moe-configure | FileCheck %s

module attributes {moe.target = "cuda:sm_80"} {

// CHECK-LABEL: @large
// CHECK-SAME: <threads = 128, tile_m = 128, tile_n = 128, tile_k = 32, stages = 4, unit = mma>
moe_kernel.kernel @large(%a: tensor<4096x512xbf16>, %b: tensor<2048x512xbf16>) -> tensor<4096x2048xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<4096x512xbf16>, tensor<2048x512xbf16>) -> tensor<4096x2048xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<4096x2048xf32>
}

// CHECK-LABEL: @exact
// CHECK-SAME: cuda_config<
// CHECK-NOT: mma>
// CHECK-SAME: {
moe_kernel.kernel @exact(%a: tensor<1024x512xf32>, %b: tensor<512x512xf32>) -> tensor<1024x512xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x512xf32>, tensor<512x512xf32>) -> tensor<1024x512xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1024x512xf32>
}

// CHECK-LABEL: @attention
// CHECK-SAME: unit = mma>
moe_kernel.kernel @attention(%q: tensor<512x512xbf16>, %k: tensor<512x256xbf16>, %v: tensor<512x256xbf16>)
    -> (tensor<512x512xbf16>, tensor<512x4xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 4 : i64, num_kv_heads = 2 : i64, sequence_length = 256 : i64}
      : (tensor<512x512xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>) -> (tensor<512x512xbf16>, tensor<512x4xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<512x512xbf16>, tensor<512x4xf32>
}

// Heads of 20 elements are not made of fragments.
// CHECK-LABEL: @odd_heads
// CHECK-NOT: mma>
// CHECK: moe_kernel.attention
moe_kernel.kernel @odd_heads(%q: tensor<64x40xbf16>, %k: tensor<64x40xbf16>, %v: tensor<64x40xbf16>)
    -> (tensor<64x40xbf16>, tensor<64x2xf32>) {
  %r:2 = moe_kernel.attention %q, %k, %v {num_heads = 2 : i64, num_kv_heads = 2 : i64, sequence_length = 64 : i64}
      : (tensor<64x40xbf16>, tensor<64x40xbf16>, tensor<64x40xbf16>) -> (tensor<64x40xbf16>, tensor<64x2xf32>)
  moe_kernel.return %r#0, %r#1 : tensor<64x40xbf16>, tensor<64x2xf32>
}

// The cache of a prompt's tokens.
// CHECK-LABEL: @prompt
// CHECK-NOT: mma>
// CHECK: moe_kernel.cached_attention
moe_kernel.kernel @prompt(%q: tensor<128x512xbf16>, %k: tensor<4x300x256xbf16>, %v: tensor<4x300x256xbf16>,
    %p: tensor<4x32xi32>) -> tensor<128x512xbf16> {
  %r = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 4 : i64, num_kv_heads = 2 : i64}
      : (tensor<128x512xbf16>, tensor<4x300x256xbf16>, tensor<4x300x256xbf16>, tensor<4x32xi32>)
      -> tensor<128x512xbf16>
  moe_kernel.return %r : tensor<128x512xbf16>
}
}
