// Bodies and epilogues compute in float32 on tensors of bf16, and round once, when they store.
//
// RUN: %moe-opt %s -moe-to-moe-kernel -moe-fuse-epilogue -moe-to-linalg -moe-fuse-elementwise | FileCheck %s

!x = tensor<8x4xbf16>

// CHECK-LABEL: func.func @linear(
func.func @linear(%x: !x, %w: tensor<6x4xbf16>) -> tensor<8x6xbf16> {
  // CHECK: moe_kernel.matmul dense
  // CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32):
  // CHECK-NEXT: %[[ROUNDED:.*]] = arith.truncf %[[ACC]] : f32 to bf16
  // CHECK-NEXT: moe_kernel.yield %[[ROUNDED]] : bf16
  %0 = moe.linear %x, %w : (!x, tensor<6x4xbf16>) -> tensor<8x6xbf16>
  return %0 : tensor<8x6xbf16>
}

// What is fused reads the accumulator before it was rounded.
// CHECK-LABEL: func.func @residual(
func.func @residual(%x: !x, %w: tensor<4x4xbf16>) -> !x {
  // CHECK: ^bb0(%[[ACC:.*]]: f32, %[[OLD:.*]]: bf16):
  // CHECK-NEXT: %[[WIDE:.*]] = arith.extf %[[OLD]] : bf16 to f32
  // CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[ACC]], %[[WIDE]] : f32
  // CHECK-NEXT: %[[ROUNDED:.*]] = arith.truncf %[[SUM]] : f32 to bf16
  // CHECK-NEXT: moe_kernel.yield %[[ROUNDED]] : bf16
  %0 = moe.linear %x, %w : (!x, tensor<4x4xbf16>) -> !x
  %1 = moe.add %0, %x : !x
  return %1 : !x
}

// The same where the rounded accumulators are stored beside it.
// CHECK-LABEL: func.func @gate(
func.func @gate(%x: !x, %w: tensor<8x4xbf16>) -> (!x, tensor<8x8xbf16>) {
  // CHECK: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
  // CHECK: arith.negf %[[GATE]] : f32
  // CHECK: %[[PRODUCT:.*]] = arith.mulf %{{.*}}, %[[UP]] : f32
  // CHECK-DAG: %[[R0:.*]] = arith.truncf %[[PRODUCT]]
  // CHECK-DAG: %[[R1:.*]] = arith.truncf %[[GATE]]
  // CHECK-DAG: %[[R2:.*]] = arith.truncf %[[UP]]
  // CHECK: moe_kernel.yield %[[R0]], %[[R1]], %[[R2]] : bf16, bf16, bf16
  %0 = moe.linear %x, %w : (!x, tensor<8x4xbf16>) -> tensor<8x8xbf16>
  %1 = moe.gated_activation %0 : (tensor<8x8xbf16>) -> !x
  return %1, %0 : !x, tensor<8x8xbf16>
}

// A chain in one body is rounded at its end only.
// CHECK-LABEL: func.func @chain(
func.func @chain(%a: !x, %b: !x) -> !x {
  // CHECK: ^bb0(%[[A:.*]]: bf16, %[[B:.*]]: bf16, %[[C:.*]]: bf16, %{{.*}}: bf16):
  // CHECK: %[[SUM:.*]] = arith.addf
  // CHECK-NOT: arith.truncf
  // CHECK: %[[PRODUCT:.*]] = arith.mulf %[[SUM]], %{{.*}} : f32
  // CHECK: %[[ROUNDED:.*]] = arith.truncf %[[PRODUCT]]
  // CHECK: linalg.yield %[[ROUNDED]] : bf16
  %0 = moe.add %a, %b : !x
  %1 = moe.multiply %0, %b : !x
  return %1 : !x
}

// Statistics are float32 tensors.
// CHECK-LABEL: func.func @norm(
func.func @norm(%x: !x, %w: tensor<4xbf16>) -> !x {
  // CHECK: linalg.generic {{.*}}"reduction"]} ins(%{{.*}} : tensor<8x4xbf16>) outs(%{{.*}} : tensor<8xf32>)
  // CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<8xf32>) outs(%{{.*}} : tensor<8xf32>)
  // CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<8x4xbf16>, tensor<8xf32>, tensor<4xbf16>) outs(%{{.*}} : tensor<8x4xbf16>)
  %0 = moe.rms_norm %x, %w {eps = 1.0e-5 : f64} : (!x, tensor<4xbf16>) -> !x
  return %0 : !x
}

// A reduction to bf16 is a float32 one, and another op that rounds it.
// CHECK-LABEL: func.func @combine(
func.func @combine(%rows: tensor<16x4xbf16>, %permutation: tensor<16xi32>, %inverse: tensor<8x2xi32>,
                   %weights: tensor<8x2xf32>) -> !x {
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8x4xf32>)
  // CHECK: %[[ROW:.*]] = tensor.extract
  // CHECK: arith.extf %[[ROW]] : bf16 to f32
  // CHECK: linalg.generic {{.*}} ins(%[[SUM]] : tensor<8x4xf32>) outs(%{{.*}} : tensor<8x4xbf16>)
  %0 = moe.combine %rows plan(%permutation, %inverse) weights(%weights)
      : (tensor<16x4xbf16>, tensor<16xi32>, tensor<8x2xi32>, tensor<8x2xf32>) -> !x
  return %0 : !x
}

// What is only moved is not converted.
// CHECK-LABEL: func.func @embedding(
func.func @embedding(%table: tensor<32x4xbf16>, %i: tensor<8xi32>) -> !x {
  // CHECK: %[[ELEMENT:.*]] = tensor.extract
  // CHECK-NEXT: linalg.yield %[[ELEMENT]] : bf16
  %0 = moe.embedding %table, %i : (tensor<32x4xbf16>, tensor<8xi32>) -> !x
  return %0 : !x
}

// Squares are added in float32.
// CHECK-LABEL: func.func @norm_of_all(
func.func @norm_of_all(%a: !x, %b: tensor<4xf32>, %c: tensor<4xbf16>) -> tensor<f32> {
  // CHECK-DAG: moe_kernel.sum_of_squares %{{.*}}, %{{.*}} {chunk = 4096 : i64} : (tensor<8x4xbf16>, tensor<4xbf16>) -> tensor<2xf32>
  // CHECK-DAG: moe_kernel.sum_of_squares %{{.*}} {chunk = 4096 : i64} : (tensor<4xf32>) -> tensor<1xf32>
  // CHECK: math.sqrt
  %0 = moe.global_norm %a, %b, %c : (!x, tensor<4xf32>, tensor<4xbf16>) -> tensor<f32>
  return %0 : tensor<f32>
}
