// RUN: moe-opt %s --moe-cuda-emit-kernels --split-input-file --verify-diagnostics

module attributes {moe.target = "cuda:sm_80"} {
moe_kernel.kernel @threads(%x: tensor<64xf32>) -> tensor<1xf32>
    attributes {config = #moe_kernel.cuda_config<threads = 96, tile_m = 1, tile_n = 1, tile_k = 1, stages = 1>} {
  // expected-error @below {{is configured for 96 threads per block; it takes a power of two from 32 to 1024}}
  %r = moe_kernel.sum_of_squares %x {chunk = 64 : i64} : (tensor<64xf32>) -> tensor<1xf32>
  moe_kernel.return %r : tensor<1xf32>
}
}
