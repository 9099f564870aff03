// RUN: moe-opt %s --moe-cuda-emit-kernels --split-input-file --verify-diagnostics

module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @threads(%x: tensor<64xf32>) -> tensor<1xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 96, tile_m = 1, tile_n = 1, tile_k = 1, stages = 1>} {
  // expected-error @below {{is configured for 96 threads per block; it takes a power of two from 32 to 1024}}
  %r = moe_kernel.sum_of_squares %x {chunk = 64 : i64} : (tensor<64xf32>) -> tensor<1xf32>
  moe_kernel.return %r : tensor<1xf32>
}
}

// -----

module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @not_bf16(%a: tensor<64x64xf32>, %b: tensor<64x64xf32>) -> tensor<64x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 128, tile_m = 64, tile_n = 64, tile_k = 32, stages = 2, unit = mma>} {
  // expected-error @below {{is configured for unit = mma, which multiplies bf16 only}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<64x64xf32>
}
}

// -----

// Eight warps cannot share 16 × 16 accumulators.
module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @too_many_warps(%a: tensor<64x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<64x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 256, tile_m = 16, tile_n = 16, tile_k = 32, stages = 2, unit = mma>} {
  // expected-error @below {{cannot be emitted for #moe_kernel.cuda_config<threads = 256, tile_m = 16, tile_n = 16}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<64x64xbf16>, tensor<64x64xbf16>) -> tensor<64x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<64x64xf32>
}
}

// -----

module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @sums(%a: tensor<64x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<64x1xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 128, tile_m = 64, tile_n = 64, tile_k = 64, stages = 4, unit = mma>} {
  // expected-error @below {{sums rows in its epilogue, which only CUDA matmuls with unit = wgmma do}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<row_sum>]}
      : (tensor<64x64xbf16>, tensor<64x64xbf16>) -> tensor<64x1xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<64x1xf32>
}
}
