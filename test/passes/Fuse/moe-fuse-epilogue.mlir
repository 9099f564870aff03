// RUN: %moe-opt %s -moe-to-moe-kernel -moe-fuse-epilogue | FileCheck %s

!x = tensor<8x4xf32>
!w = tensor<6x4xf32>
!h = tensor<8x6xf32>

// Gate and up columns meet in one epilogue.
// CHECK-LABEL: func.func @swiglu(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<6x4xf32>)
func.func @swiglu(%x: !x, %w: !w) -> tensor<8x3xf32> {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.matmul dense(%[[X]], %[[W]]) {{{.*}}paired, result_extents = [#moe_kernel.extent<full>], transpose_rhs}
  // CHECK-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
  // CHECK: math.exp
  // CHECK: %[[SILU:.*]] = arith.mulf %[[GATE]], %{{.*}}
  // CHECK: %[[Y:.*]] = arith.mulf %[[SILU]], %[[UP]]
  // CHECK: moe_kernel.yield %[[Y]] : f32
  // CHECK: return %[[R]]
  %h = moe.linear %x, %w : (!x, !w) -> !h
  %a = moe.gated_activation %h : (!h) -> tensor<8x3xf32>
  return %a : tensor<8x3xf32>
}

// The gradient needs what went into the activation: the kernel stores both.
// CHECK-LABEL: func.func @swiglu_with_input(
func.func @swiglu_with_input(%x: !x, %w: tensor<3x6x4xf32>, %o: tensor<4xi32>) -> (!h, tensor<8x3xf32>) {
  // CHECK-NEXT: %[[R:.*]]:2 = moe_kernel.matmul ragged_rows
  // CHECK-SAME: result_extents = [#moe_kernel.extent<full>, #moe_kernel.extent<pair>]
  // CHECK-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
  // CHECK: moe_kernel.yield %{{.*}}, %[[GATE]], %[[UP]] : f32, f32, f32
  // CHECK: return %[[R]]#1, %[[R]]#0
  %h = moe.grouped_matmul %x, %w, %o {ragged = #moe.ragged<rows>, transpose_rhs} : (!x, tensor<3x6x4xf32>, tensor<4xi32>) -> !h
  %a = moe.gated_activation %h : (!h) -> tensor<8x3xf32>
  return %h, %a : !h, tensor<8x3xf32>
}

// The gradient of the activation, from a matmul with n columns: both halves of its input come in, both gradients go out.
// CHECK-LABEL: func.func @swiglu_backward(
// CHECK-SAME: %[[D:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<4x3xf32>, %[[H:.*]]: tensor<8x6xf32>)
func.func @swiglu_backward(%d: !x, %w: tensor<4x3xf32>, %h: !h) -> !h {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.matmul dense(%[[D]], %[[W]]) extras(%[[H]])
  // CHECK-SAME: extra_extents = [#moe_kernel.extent<pair>]
  // CHECK-SAME: result_extents = [#moe_kernel.extent<pair>]
  // CHECK-NEXT: ^bb0(%[[DA:.*]]: f32, %[[GATE:.*]]: f32, %[[UP:.*]]: f32):
  // CHECK: moe_kernel.yield %{{.*}}, %{{.*}} : f32, f32
  // CHECK: return %[[R]]
  %da = moe.matmul %d, %w : (!x, tensor<4x3xf32>) -> tensor<8x3xf32>
  %dh = moe.gated_activation_backward %h, %da : (!h, tensor<8x3xf32>) -> !h
  return %dh : !h
}

// CHECK-LABEL: func.func @residual(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<6x4xf32>, %[[RESIDUAL:.*]]: tensor<8x6xf32>)
func.func @residual(%x: !x, %w: !w, %residual: !h) -> !h {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.matmul dense(%[[X]], %[[W]]) extras(%[[RESIDUAL]])
  // CHECK-SAME: extra_extents = [#moe_kernel.extent<full>]
  // CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[E:.*]]: f32):
  // CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[ACC]], %[[E]]
  // CHECK-NEXT: moe_kernel.yield %[[SUM]]
  // CHECK: return %[[R]]
  %y = moe.linear %x, %w : (!x, !w) -> !h
  %sum = moe.add %residual, %y : !h
  return %sum : !h
}

// A sum of three matmuls is a chain: each adds to the one before.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[U:.*]]: tensor<6x4xf32>, %[[V:.*]]: tensor<6x4xf32>, %[[W:.*]]: tensor<6x4xf32>)
func.func @chain(%x: !x, %u: !w, %v: !w, %w: !w) -> !h {
  // CHECK: %[[A:.*]] = moe_kernel.matmul dense(%[[X]], %[[U]]) {
  // CHECK: %[[B:.*]] = moe_kernel.matmul dense(%[[X]], %[[V]]) extras(%[[A]])
  // CHECK: %[[C:.*]] = moe_kernel.matmul dense(%[[X]], %[[W]]) extras(%[[B]])
  // CHECK-NOT: moe.add
  // CHECK: return %[[C]]
  %a = moe.linear %x, %u : (!x, !w) -> !h
  %b = moe.linear %x, %v : (!x, !w) -> !h
  %ab = moe.add %a, %b : !h
  %c = moe.linear %x, %w : (!x, !w) -> !h
  %abc = moe.add %ab, %c : !h
  return %abc : !h
}

// Operands keep their order where it matters.
// CHECK-LABEL: func.func @divide(
func.func @divide(%x: !x, %w: !w, %y: !h) -> !h {
  // CHECK: ^bb0(%[[ACC:.*]]: f32, %[[E:.*]]: f32):
  // CHECK-NEXT: %[[Q:.*]] = arith.divf %[[E]], %[[ACC]]
  // CHECK-NEXT: %[[N:.*]] = arith.negf %[[Q]]
  // CHECK-NEXT: moe_kernel.yield %[[N]]
  %0 = moe.linear %x, %w : (!x, !w) -> !h
  %1 = moe.divide %y, %0 : !h
  %2 = moe.negate %1 : !h
  return %2 : !h
}

// A result that is needed as it is stays.
// CHECK-LABEL: func.func @needed(
func.func @needed(%x: !x, %w: !w, %residual: !h) -> (!h, !h) {
  // CHECK: moe_kernel.matmul
  // CHECK: moe.add
  %y = moe.linear %x, %w : (!x, !w) -> !h
  %sum = moe.add %residual, %y : !h
  return %y, %sum : !h, !h
}
