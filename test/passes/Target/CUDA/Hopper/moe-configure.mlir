// Which matmuls of bf16 go to warpgroups on sm_90a, and with which tiles.
//
// RUN: moe-opt %s --moe-configure | FileCheck %s

module attributes {moe.target = "cuda:sm_90a"} {

// Many tiles: the large ones, which read shared memory less often for a product.
// CHECK-LABEL: @many_tiles
// CHECK-SAME: #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 4, unit = wgmma>
moe_kernel.kernel @many_tiles(%a: tensor<8192x2048xbf16>, %b: tensor<2048x2048xbf16>) -> tensor<8192x2048xbf16> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<8192x2048xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8192x2048xbf16>
}

// 64 large tiles are less than half a machine; 128 small ones fill it.
// CHECK-LABEL: @one_wave
// CHECK-SAME: tile_n = 128, tile_k = 64, stages = 4, unit = wgmma>
moe_kernel.kernel @one_wave(%a: tensor<1024x2048xbf16>, %b: tensor<2048x2048xbf16>) -> tensor<1024x2048xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1024x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<1024x2048xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1024x2048xf32>
}

// Tiles of 128 rows for a token or two of each expert would stream weights through few multiprocessors.
// CHECK-LABEL: @few_rows
// CHECK-NOT: wgmma
// CHECK: return
moe_kernel.kernel @few_rows(%a: tensor<64x2048xbf16>, %b: tensor<128x1536x2048xbf16>, %o: tensor<129xi32>)
    -> tensor<64x1536xbf16> {
  %r = moe_kernel.matmul ragged_rows (%a, %b) offsets(%o) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<64x2048xbf16>, tensor<128x1536x2048xbf16>, tensor<129xi32>) -> tensor<64x1536xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<64x1536xbf16>
}

// Strides of tensor maps are multiples of 16 bytes.
// CHECK-LABEL: @odd_rows
// CHECK-NOT: wgmma
// CHECK: return
moe_kernel.kernel @odd_rows(%a: tensor<8192x2044xbf16>, %b: tensor<2048x2044xbf16>) -> tensor<8192x2048xbf16> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x2044xbf16>, tensor<2048x2044xbf16>) -> tensor<8192x2048xbf16> {
    ^bb0(%x: f32):
      %rounded = arith.truncf %x : f32 to bf16
      moe_kernel.yield %rounded : bf16
  }
  moe_kernel.return %r : tensor<8192x2048xbf16>
}

// Float32 is exact.
// CHECK-LABEL: @exact
// CHECK-NOT: wgmma
// CHECK: return
moe_kernel.kernel @exact(%a: tensor<8192x2048xf32>, %b: tensor<2048x2048xf32>) -> tensor<8192x2048xf32> {
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<8192x2048xf32>, tensor<2048x2048xf32>) -> tensor<8192x2048xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<8192x2048xf32>
}

}
