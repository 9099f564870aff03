// RUN: moe-opt %s --moe-cpu-emit-kernels --split-input-file --verify-diagnostics

#config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 64, block_m = 16, block_n = 64>

// Emitters work in the buffers of all results.
moe_kernel.kernel @unused(%indices: tensor<4x2xi32>) -> tensor<6xi32> attributes {config = #config} {
  // expected-error @below {{result 1 has 0 uses; the kernel has to return it once}}
  %r:3 = moe_kernel.plan %indices : (tensor<4x2xi32>) -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>)
  moe_kernel.return %r#0 : tensor<6xi32>
}

// -----

#config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 64, block_m = 16, block_n = 64>

moe_kernel.kernel @constant() -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>) attributes {config = #config} {
  %indices = arith.constant dense<0> : tensor<4x2xi32>
  // expected-error @below {{operand 0 is not an argument of the kernel}}
  %r:3 = moe_kernel.plan %indices : (tensor<4x2xi32>) -> (tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>)
  moe_kernel.return %r#0, %r#1, %r#2 : tensor<6xi32>, tensor<8xi32>, tensor<4x2xi32>
}

// -----

#config = #moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 64, block_m = 16, block_n = 64>

moe_kernel.kernel @doubles(%x: tensor<64xf64>) -> tensor<1xf32> attributes {config = #config} {
  // expected-error @below {{has a tensor of 'f64'; the CPU target computes in f32 and indexes with i32}}
  %r = moe_kernel.sum_of_squares %x {chunk = 64 : i64} : (tensor<64xf64>) -> tensor<1xf32>
  moe_kernel.return %r : tensor<1xf32>
}
