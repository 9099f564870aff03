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

// -----

// The contraction of the weights is not contiguous.
module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @not_streamed(%a: tensor<1x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<1x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 64, tile_m = 8, tile_n = 16, tile_k = 64, stages = 2, unit = stream>} {
  // expected-error @below {{the contraction is not contiguous in both operands}}
  %r = moe_kernel.matmul dense (%a, %b) {result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x64xbf16>, tensor<64x64xbf16>) -> tensor<1x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1x64xf32>
}
}

// -----

// Two warps share a stage in pieces of 32 elements.
module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @no_stream_tile(%a: tensor<1x64xbf16>, %b: tensor<64x64xbf16>) -> tensor<1x64xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 64, tile_m = 8, tile_n = 16, tile_k = 32, stages = 2, unit = stream>} {
  // expected-error @below {{a tile is a multiple of 8 rows, of 16 columns, and of 64 elements of the contraction}}
  %r = moe_kernel.matmul dense (%a, %b) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
      : (tensor<1x64xbf16>, tensor<64x64xbf16>) -> tensor<1x64xf32> {
    ^bb0(%x: f32):
      moe_kernel.yield %x : f32
  }
  moe_kernel.return %r : tensor<1x64xf32>
}
}

// -----

// Heads of 20 elements are not made of 16 bytes.
module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @odd_cache(%q: tensor<4x40xbf16>, %k: tensor<4x300x40xbf16>, %v: tensor<4x300x40xbf16>,
    %p: tensor<4x1xi32>) -> tensor<4x40xbf16>
    attributes {config = #moe_kernel.cuda_config<threads = 128, tile_m = 1, tile_n = 128, tile_k = 1, stages = 1, unit = stream>} {
  // expected-error @below {{heads of 20 elements are not multiples of 8 up to 256}}
  %r = moe_kernel.cached_attention %q, %k, %v, %p {num_heads = 2 : i64, num_kv_heads = 2 : i64}
      : (tensor<4x40xbf16>, tensor<4x300x40xbf16>, tensor<4x300x40xbf16>, tensor<4x1xi32>) -> tensor<4x40xbf16>
  moe_kernel.return %r : tensor<4x40xbf16>
}
}
