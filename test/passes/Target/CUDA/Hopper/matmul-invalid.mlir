// RUN: %moe-opt %s -split-input-file -verify-diagnostics --moe-cuda-emit-kernels

module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @no_warpgroups(%a: tensor<128x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<128x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 4, unit = wgmma>} {
  // expected-error @+1 {{is configured for wgmma, but sm_80 has no warpgroup matmuls}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<128x64xbf16>, tensor<64x64xbf16>) -> tensor<128x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<128x64xf32>
}
}

// -----

module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @odd(%a: tensor<128x60xbf16>, %b: tensor<60x64xbf16>) -> tensor<128x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 256, tile_k = 64, stages = 4, unit = wgmma>} {
  // expected-error @+1 {{is configured for wgmma, but rows of its operands are not multiples of 16 bytes}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<128x60xbf16>, tensor<60x64xbf16>) -> tensor<128x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<128x64xf32>
}
}

// -----

module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @tile(%a: tensor<128x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<128x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 256, tile_m = 128, tile_n = 64, tile_k = 64, stages = 4, unit = wgmma>} {
  // expected-error @+1 {{it takes 384 threads, tile_m = 128 and tile_n = 128 or 256, or tile_m = 192 and tile_n = 256, tile_k = 64 and two stages or more}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<128x64xbf16>, tensor<64x64xbf16>) -> tensor<128x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<128x64xf32>
}
}

// -----

// Half of 128 columns, two halves of a pair each, is too narrow to store.
module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @tall_and_narrow(%a: tensor<192x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<192x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 192, tile_n = 128, tile_k = 64, stages = 4, unit = wgmma>} {
  // expected-error @+1 {{tile_m = 192 and tile_n = 256, tile_k = 64 and two stages or more}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<192x64xbf16>, tensor<64x64xbf16>) -> tensor<192x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<192x64xf32>
}
}

// -----

// Parts are whole stages.
module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @parts(%a: tensor<128x192xbf16>, %b: tensor<192x64xbf16>) -> tensor<2x128x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, tile_k = 64, stages = 4, unit = wgmma>} {
  // expected-error @+1 {{is configured for wgmma, but a part of its contraction is not a multiple of 64}}
  %r = moe_kernel.matmul dense (%a, %b) {parts = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<128x192xbf16>, tensor<192x64xbf16>) -> tensor<2x128x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<2x128x64xf32>
}
}

// -----

module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @parts_by_mma(%a: tensor<128x128xbf16>, %b: tensor<128x64xbf16>) -> tensor<2x128x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 128, tile_m = 128, tile_n = 64, tile_k = 32, stages = 4, unit = mma>} {
  // expected-error @+1 {{sums its contraction in 2 parts, which this kind of kernel does not}}
  %r = moe_kernel.matmul dense (%a, %b) {parts = 2 : i64, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<128x128xbf16>, tensor<128x64xbf16>) -> tensor<2x128x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<2x128x64xf32>
}
}

// -----

module attributes {moe.target = "cuda:sm_90a"} {
moe_kernel.kernel @sums(%a: tensor<128x64xbf16>, %b: tensor<64x72xbf16>) -> tensor<128x2xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, tile_k = 64, stages = 4, unit = wgmma>} {
  // expected-error @+1 {{is configured for wgmma, but its 72 columns are not a multiple of the 64 that sums of rows take}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<row_sum>]}
      : (tensor<128x64xbf16>, tensor<64x72xbf16>) -> tensor<128x2xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<128x2xf32>
}
}
