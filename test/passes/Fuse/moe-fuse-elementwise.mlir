// RUN: %moe-opt %s -moe-to-linalg -moe-fuse-elementwise | FileCheck %s

// One loop for the whole chain.
// CHECK-LABEL: func.func @chain(
func.func @chain(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>) -> tensor<8x4xf32> {
  // CHECK: linalg.generic
  // CHECK-SAME: moe_kernel.labels = ["add", "multiply", "negate"]
  // CHECK: %[[SUM:.*]] = arith.addf
  // CHECK: %[[PRODUCT:.*]] = arith.mulf %[[SUM]]
  // CHECK: arith.negf %[[PRODUCT]]
  // CHECK-NOT: linalg.generic
  %0 = moe.add %a, %b : tensor<8x4xf32>
  %1 = moe.multiply %0, %b : tensor<8x4xf32>
  %2 = moe.negate %1 : tensor<8x4xf32>
  return %2 : tensor<8x4xf32>
}

// Nothing is computed twice.
// CHECK-LABEL: func.func @two_uses(
func.func @two_uses(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  // CHECK-COUNT-2: linalg.generic
  %0 = moe.add %a, %b : tensor<8x4xf32>
  %1 = moe.negate %0 : tensor<8x4xf32>
  return %0, %1 : tensor<8x4xf32>, tensor<8x4xf32>
}

// Nor is what is one per row computed for each element of it: sum, reciprocal root, product stay three loops.
// CHECK-LABEL: func.func @per_row(
func.func @per_row(%x: tensor<8x4xf32>, %w: tensor<4xf32>) -> tensor<8x4xf32> {
  // CHECK-COUNT-3: linalg.generic
  %0 = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<8x4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}
