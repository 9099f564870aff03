// RUN: %moe-opt %s -pass-pipeline='builtin.module(func.func(moe-merge-loss))' | FileCheck %s

// The loss comes from the op that computes its gradient, which moves up with what its scale is computed from.
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[H:[^:]*]]: tensor<4x2xf32>, %[[W:[^:]*]]: tensor<8x2xf32>, %[[TARGETS:[^:]*]]: tensor<4xi32>, %[[WEIGHTS:[^:]*]]: tensor<4xf32>)
// CHECK:         %[[WEIGHT_SUM:.*]] = moe.sum %[[WEIGHTS]]
// CHECK:         %[[ONE:.*]] = arith.constant dense<1.0{{.*}}> : tensor<f32>
// CHECK:         %[[SCALE:.*]] = moe.divide %[[ONE]], %[[WEIGHT_SUM]]
// CHECK-NOT:     moe.linear_cross_entropy %
// CHECK:         %[[SUM:.*]], %[[DH:.*]], %[[DW:.*]] = moe.linear_cross_entropy_backward %[[H]], %[[W]], %[[TARGETS]], %[[WEIGHTS]], %[[SCALE]]
// CHECK:         %[[LOSS:.*]] = moe.divide %[[SUM]], %[[WEIGHT_SUM]]
// CHECK-NOT:     moe.linear_cross_entropy
// CHECK:         return %[[LOSS]], %[[DH]], %[[DW]]
func.func @train_step(%h: tensor<4x2xf32>, %w: tensor<8x2xf32>, %targets: tensor<4xi32>, %weights: tensor<4xf32>)
    -> (tensor<f32>, tensor<4x2xf32>, tensor<8x2xf32>) {
  %weight_sum = moe.sum %weights : (tensor<4xf32>) -> tensor<f32>
  %sum = moe.linear_cross_entropy %h, %w, %targets, %weights
      : (tensor<4x2xf32>, tensor<8x2xf32>, tensor<4xi32>, tensor<4xf32>) -> tensor<f32>
  %loss = moe.divide %sum, %weight_sum : tensor<f32>
  %one = arith.constant dense<1.0> : tensor<f32>
  %scale = moe.divide %one, %weight_sum : tensor<f32>
  %unused, %dh, %dw = moe.linear_cross_entropy_backward %h, %w, %targets, %weights, %scale
      : (tensor<4x2xf32>, tensor<8x2xf32>, tensor<4xi32>, tensor<4xf32>, tensor<f32>)
      -> (tensor<f32>, tensor<4x2xf32>, tensor<8x2xf32>)
  return %loss, %dh, %dw : tensor<f32>, tensor<4x2xf32>, tensor<8x2xf32>
}

// A gradient that depends on the loss cannot be computed with it.
// CHECK-LABEL: func.func @square(
// CHECK:         moe.linear_cross_entropy %
// CHECK:         moe.linear_cross_entropy_backward
func.func @square(%h: tensor<4x2xf32>, %w: tensor<8x2xf32>, %targets: tensor<4xi32>, %weights: tensor<4xf32>)
    -> (tensor<f32>, tensor<4x2xf32>, tensor<8x2xf32>) {
  %sum = moe.linear_cross_entropy %h, %w, %targets, %weights
      : (tensor<4x2xf32>, tensor<8x2xf32>, tensor<4xi32>, tensor<4xf32>) -> tensor<f32>
  %square = moe.multiply %sum, %sum : tensor<f32>
  %scale = moe.add %sum, %sum : tensor<f32>
  %unused, %dh, %dw = moe.linear_cross_entropy_backward %h, %w, %targets, %weights, %scale
      : (tensor<4x2xf32>, tensor<8x2xf32>, tensor<4xi32>, tensor<4xf32>, tensor<f32>)
      -> (tensor<f32>, tensor<4x2xf32>, tensor<8x2xf32>)
  return %square, %dh, %dw : tensor<f32>, tensor<4x2xf32>, tensor<8x2xf32>
}
