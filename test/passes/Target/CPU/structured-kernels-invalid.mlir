// RUN: moe-opt %s --moe-cpu-emit-kernels --split-input-file --verify-diagnostics

#config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 64, block_m = 16, block_n = 64>

moe_kernel.kernel @doubles(%x: tensor<64xf64>) -> tensor<1xf32> attributes {config = #config} {
  // expected-error @below {{has a tensor of 'f64'; the CPU target computes in f32 and indexes with i32}}
  %r = moe_kernel.sum_of_squares %x {chunk = 64 : i64} : (tensor<64xf64>) -> tensor<1xf32>
  moe_kernel.return %r : tensor<1xf32>
}
