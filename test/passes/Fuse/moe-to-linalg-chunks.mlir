// RUN: %moe-opt %s -split-input-file -moe-to-linalg=logits-bytes=65536 | FileCheck %s

// 65536 bytes hold the logits of 256 tokens, and 768 tokens are three chunks of that: parts of hidden states, targets and
// weights; logits and then their gradient; rows of the one gradient, and the other one added up in its own memory.
// CHECK-LABEL: func.func @backward(
// CHECK-SAME:    %[[H:.*]]: tensor<768x8xf32>, %[[W:.*]]: tensor<64x8xf32>, %[[T:.*]]: tensor<6x128xi32>, %[[U:.*]]: tensor<6x128xf32>, %{{.*}}: tensor<f32>)
// CHECK:         %[[H0:.*]] = moe_kernel.slice %[[H]][0] : tensor<768x8xf32> -> tensor<256x8xf32>
// CHECK:         %[[L0:.*]] = moe_kernel.matmul dense(%[[H0]], %[[W]]) {{{.*}}transpose_rhs} : {{.*}} -> tensor<256x64xf32>
// CHECK:         moe_kernel.slice %[[T]][0] : tensor<6x128xi32> -> tensor<256xi32>
// CHECK:         moe_kernel.slice %[[U]][0] : tensor<6x128xf32> -> tensor<256xf32>
// CHECK:         arith.maximumf
// CHECK:         %[[LOSS0:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<256xf32>) attrs =
// CHECK:         tensor.extract %[[L0]]
// CHECK:         %[[G0:.*]] = linalg.generic {{.*}} ins(%[[L0]], {{.*}}moe_kernel.in_place = array<i64: 0>
// CHECK:         %[[DH0:.*]] = moe_kernel.matmul dense(%[[G0]], %[[W]])
// CHECK:         %[[DW0:.*]] = moe_kernel.matmul dense(%[[G0]], %[[H0]]) {{{.*}}transpose_lhs}
// CHECK:         %[[H1:.*]] = moe_kernel.slice %[[H]][2048]
// CHECK:         moe_kernel.slice %[[T]][256]
// CHECK:         %[[DW1:.*]] = moe_kernel.matmul dense(%[[G1:.*]], %[[H1]]) extras(%[[DW0]]) {{{.*}}moe_kernel.in_place = array<i64: 2>{{.*}}transpose_lhs}
// CHECK:         %[[DW2:.*]] = moe_kernel.matmul dense(%[[G2:.*]], %{{.*}}) extras(%[[DW1]])
// CHECK-DAG:     %[[DH:.*]] = moe_kernel.concat %[[DH0]], %{{.*}}, %{{.*}} : ({{.*}}) -> tensor<768x8xf32>
// CHECK-DAG:     moe_kernel.concat %{{.*}}, %{{.*}}, %{{.*}} : (tensor<256xf32>, tensor<256xf32>, tensor<256xf32>) -> tensor<768xf32>
// CHECK:         return %{{.*}}, %[[DH]], %[[DW2]]
func.func @backward(%h: tensor<768x8xf32>, %w: tensor<64x8xf32>, %t: tensor<6x128xi32>, %u: tensor<6x128xf32>, %g: tensor<f32>)
    -> (tensor<f32>, tensor<768x8xf32>, tensor<64x8xf32>) {
  %loss, %dh, %dw = moe.linear_cross_entropy_backward %h, %w, %t, %u, %g
      : (tensor<768x8xf32>, tensor<64x8xf32>, tensor<6x128xi32>, tensor<6x128xf32>, tensor<f32>)
      -> (tensor<f32>, tensor<768x8xf32>, tensor<64x8xf32>)
  return %loss, %dh, %dw : tensor<f32>, tensor<768x8xf32>, tensor<64x8xf32>
}

// -----

// bf16: logits in float32, their gradient rounded for the products, the weight's gradient added up in float32 and rounded
// once. What does not divide evenly has a smaller last chunk.
// CHECK-LABEL: func.func @bf16(
// CHECK:         %[[L0:.*]] = moe_kernel.matmul dense({{.*}}) {{.*}} : (tensor<256x8xbf16>, tensor<64x8xbf16>) -> tensor<256x64xf32>
// CHECK:         %[[G0:.*]] = linalg.generic {{.*}} ins(%[[L0]], {{.*}} outs(%{{.*}} : tensor<256x64xbf16>)
// CHECK-NOT:     in_place
// CHECK:         arith.truncf
// CHECK:         moe_kernel.matmul dense(%[[G0]], {{.*}} -> tensor<256x8xbf16> {
// CHECK-NEXT:    ^bb0(%[[ACC:.*]]: f32):
// CHECK-NEXT:      %[[ROUNDED:.*]] = arith.truncf %[[ACC]] : f32 to bf16
// CHECK-NEXT:      moe_kernel.yield %[[ROUNDED]] : bf16
// CHECK:         moe_kernel.matmul dense(%[[G0]], {{.*}} -> tensor<64x8xf32>
// CHECK:         moe_kernel.slice %{{.*}}[2048] : tensor<300x8xbf16> -> tensor<44x8xbf16>
// CHECK:         %[[DW:.*]] = moe_kernel.matmul dense({{.*}} -> tensor<64x8xf32>
// CHECK:         linalg.generic {{.*}} ins(%[[DW]] : tensor<64x8xf32>) outs(%{{.*}} : tensor<64x8xbf16>)
func.func @bf16(%h: tensor<300x8xbf16>, %w: tensor<64x8xbf16>, %t: tensor<300xi32>, %u: tensor<300xf32>, %g: tensor<f32>)
    -> (tensor<f32>, tensor<300x8xbf16>, tensor<64x8xbf16>) {
  %loss, %dh, %dw = moe.linear_cross_entropy_backward %h, %w, %t, %u, %g
      : (tensor<300x8xbf16>, tensor<64x8xbf16>, tensor<300xi32>, tensor<300xf32>, tensor<f32>)
      -> (tensor<f32>, tensor<300x8xbf16>, tensor<64x8xbf16>)
  return %loss, %dh, %dw : tensor<f32>, tensor<300x8xbf16>, tensor<64x8xbf16>
}

// -----

// A chunk has twice as many tokens as the model is wide: 512, though 65536 bytes hold the logits of 256.
// CHECK-LABEL: func.func @wide(
// CHECK:         moe_kernel.matmul {{.*}} -> tensor<512x64xf32>
// CHECK:         moe_kernel.matmul {{.*}} -> tensor<512x64xf32>
// CHECK-NOT:     moe_kernel.matmul
func.func @wide(%h: tensor<1024x256xf32>, %w: tensor<64x256xf32>, %t: tensor<1024xi32>, %u: tensor<1024xf32>) -> tensor<f32> {
  %loss = moe.linear_cross_entropy %h, %w, %t, %u
      : (tensor<1024x256xf32>, tensor<64x256xf32>, tensor<1024xi32>, tensor<1024xf32>) -> tensor<f32>
  return %loss : tensor<f32>
}
