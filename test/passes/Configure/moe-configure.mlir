// RUN: %moe-opt %s -moe-configure | FileCheck %s

// Every kernel gets a configuration from the target that the module names.
module attributes {moe.target = "cpu:x86-64-v3"} {
  // CHECK: moe_kernel.kernel @scatter_add(
  // CHECK-SAME: attributes {config = #moe_kernel.cpu_config<vector_width = 8,
  moe_kernel.kernel @scatter_add(%i: tensor<4xi32>, %x: tensor<4x8xf32>) -> tensor<16x8xf32> {
    %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<16x8xf32>
    moe_kernel.return %0 : tensor<16x8xf32>
  }
  // CHECK: moe_kernel.kernel @linear(
  // CHECK-SAME: attributes {config = #moe_kernel.cpu_config<vector_width = 8,
  moe_kernel.kernel @linear(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) -> tensor<8x6xf32> {
    %0 = moe_kernel.matmul dense(%x, %w) {transpose_rhs, result_extents = [#moe_kernel.extent<full>]}
        : (tensor<8x4xf32>, tensor<6x4xf32>) -> tensor<8x6xf32> {
    ^bb0(%acc: f32):
      moe_kernel.yield %acc : f32
    }
    moe_kernel.return %0 : tensor<8x6xf32>
  }
}
