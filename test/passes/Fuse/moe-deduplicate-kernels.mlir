// RUN: %moe-opt %s -moe-deduplicate-kernels | FileCheck %s

// CHECK-LABEL: func.func @launches(
func.func @launches(%i: tensor<4xi32>, %x: tensor<4x8xf32>) {
  // CHECK-NEXT: moe_kernel.launch @first(
  // CHECK-NEXT: moe_kernel.launch @first(
  // CHECK-NEXT: moe_kernel.launch @tied(
  // CHECK-NEXT: moe_kernel.launch @other(
  %0 = moe_kernel.launch @first(%i, %x) : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = moe_kernel.launch @equal(%i, %x) : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = moe_kernel.launch @tied(%i, %x) : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = moe_kernel.launch @other(%i, %x) : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<16x8xf32>
  return
}

// CHECK: moe_kernel.kernel @first
moe_kernel.kernel @first(%i: tensor<4xi32>, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  moe_kernel.return %0 : tensor<4x8xf32>
}
// CHECK-NOT: moe_kernel.kernel @equal
moe_kernel.kernel @equal(%indices: tensor<4xi32>, %rows: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %result = moe_kernel.scatter_add %indices, %rows : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  moe_kernel.return %result : tensor<4x8xf32>
}
// What shares memory is a difference.
// CHECK: moe_kernel.kernel @tied
moe_kernel.kernel @tied(%i: tensor<4xi32>, %x: tensor<4x8xf32> {moe_kernel.tied = 0 : i64}) -> tensor<4x8xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  moe_kernel.return %0 : tensor<4x8xf32>
}
// CHECK: moe_kernel.kernel @other
moe_kernel.kernel @other(%i: tensor<4xi32>, %x: tensor<4x8xf32>) -> tensor<16x8xf32> {
  %0 = moe_kernel.scatter_add %i, %x : (tensor<4xi32>, tensor<4x8xf32>) -> tensor<16x8xf32>
  moe_kernel.return %0 : tensor<16x8xf32>
}
