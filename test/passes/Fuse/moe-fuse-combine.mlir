// RUN: %moe-opt %s -split-input-file -moe-to-moe-kernel -moe-fuse-combine | FileCheck %s

!h = tensor<8x768xbf16>
!w = tensor<128x2048x768xbf16>
!o = tensor<129xi32>
!y = tensor<1x2048xbf16>

module attributes {moe.target = "cuda:sm_80"} {

// The rows of the only token are summed up where they are computed.
// CHECK-LABEL: func.func @one_token(
// CHECK-SAME: %[[H:.*]]: tensor<8x768xbf16>, %[[W:.*]]: tensor<128x2048x768xbf16>, %[[O:.*]]: tensor<129xi32>, %{{.*}}, %[[I:.*]]: tensor<1x8xi32>, %[[S:.*]]: tensor<1x8xf32>)
// CHECK-NEXT: %[[Y:.*]] = moe_kernel.combined_matmul %[[H]], %[[W]], %[[O]], %[[I]], %[[S]] :
// CHECK-NEXT: return %[[Y]]
func.func @one_token(%h: !h, %w: !w, %o: !o, %p: tensor<8xi32>, %i: tensor<1x8xi32>, %s: tensor<1x8xf32>) -> !y {
  %rows = moe.grouped_matmul %h, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs} : (!h, !w, !o) -> tensor<8x2048xbf16>
  %y = moe.combine %rows plan(%p, %i) weights(%s)
      : (tensor<8x2048xbf16>, tensor<8xi32>, tensor<1x8xi32>, tensor<1x8xf32>) -> !y
  return %y : !y
}

// With what is added to them.
// CHECK-LABEL: func.func @residual(
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<1x2048xbf16>)
// CHECK-NEXT: %[[Y:.*]] = moe_kernel.combined_matmul %{{.*}}, %[[X]] :
// CHECK-NEXT: return %[[Y]]
func.func @residual(%h: !h, %w: !w, %o: !o, %p: tensor<8xi32>, %i: tensor<1x8xi32>, %s: tensor<1x8xf32>, %x: !y) -> !y {
  %rows = moe.grouped_matmul %h, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs} : (!h, !w, !o) -> tensor<8x2048xbf16>
  %sum = moe.combine %rows plan(%p, %i) weights(%s)
      : (tensor<8x2048xbf16>, tensor<8xi32>, tensor<1x8xi32>, tensor<1x8xf32>) -> !y
  %y = moe.add %x, %sum : !y
  return %y : !y
}

// Two tokens may share an expert.
// CHECK-LABEL: func.func @two_tokens(
// CHECK: moe_kernel.matmul
// CHECK: moe.combine
func.func @two_tokens(%h: tensor<16x768xbf16>, %w: !w, %o: !o, %p: tensor<16xi32>, %i: tensor<2x8xi32>, %s: tensor<2x8xf32>)
    -> tensor<2x2048xbf16> {
  %rows = moe.grouped_matmul %h, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<16x768xbf16>, !w, !o) -> tensor<16x2048xbf16>
  %y = moe.combine %rows plan(%p, %i) weights(%s)
      : (tensor<16x2048xbf16>, tensor<16xi32>, tensor<2x8xi32>, tensor<2x8xf32>) -> tensor<2x2048xbf16>
  return %y : tensor<2x2048xbf16>
}

// The rows are needed elsewhere.
// CHECK-LABEL: func.func @rows_needed(
// CHECK: moe_kernel.matmul
// CHECK: moe.combine
func.func @rows_needed(%h: !h, %w: !w, %o: !o, %p: tensor<8xi32>, %i: tensor<1x8xi32>, %s: tensor<1x8xf32>)
    -> (tensor<8x2048xbf16>, !y) {
  %rows = moe.grouped_matmul %h, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs} : (!h, !w, !o) -> tensor<8x2048xbf16>
  %y = moe.combine %rows plan(%p, %i) weights(%s)
      : (tensor<8x2048xbf16>, tensor<8xi32>, tensor<1x8xi32>, tensor<1x8xf32>) -> !y
  return %rows, %y : tensor<8x2048xbf16>, !y
}

}

// -----

// Other targets combine in a kernel of rows.
module attributes {moe.target = "cpu:x86-64-v3"} {
// CHECK-LABEL: func.func @on_cpu(
// CHECK: moe_kernel.matmul
// CHECK: moe.combine
func.func @on_cpu(%h: tensor<8x768xbf16>, %w: tensor<128x2048x768xbf16>, %o: tensor<129xi32>, %p: tensor<8xi32>,
    %i: tensor<1x8xi32>, %s: tensor<1x8xf32>) -> tensor<1x2048xbf16> {
  %rows = moe.grouped_matmul %h, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<8x768xbf16>, tensor<128x2048x768xbf16>, tensor<129xi32>) -> tensor<8x2048xbf16>
  %y = moe.combine %rows plan(%p, %i) weights(%s)
      : (tensor<8x2048xbf16>, tensor<8xi32>, tensor<1x8xi32>, tensor<1x8xf32>) -> tensor<1x2048xbf16>
  return %y : tensor<1x2048xbf16>
}
}
