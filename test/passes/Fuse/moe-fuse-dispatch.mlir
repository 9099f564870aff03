// RUN: %moe-opt %s -moe-to-moe-kernel -moe-fuse-dispatch | FileCheck %s

!x = tensor<8x4xf32>
!rows = tensor<16x4xf32>
!w = tensor<3x4x6xf32>
!y = tensor<16x6xf32>
!o = tensor<4xi32>

// The forward matmul gathers its left operand.
// CHECK-LABEL: func.func @forward(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[W:.*]]: tensor<3x4x6xf32>, %[[O:.*]]: tensor<4xi32>, %[[P:.*]]: tensor<16xi32>,
func.func @forward(%x: !x, %w: !w, %o: !o, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>) -> !y {
  // CHECK-NOT: moe.dispatch
  // CHECK: moe_kernel.matmul ragged_rows(%[[X]], %[[W]]) offsets(%[[O]]) rows(%[[P]]) {{.*}}row_divisor = 2
  %rows = moe.dispatch %x plan(%p, %inverse) : (!x, tensor<16xi32>, tensor<8x2xi32>) -> !rows
  %y = moe.grouped_matmul %rows, %w, %o {ragged = #moe.ragged<rows>} : (!rows, !w, !o) -> !y
  return %y : !y
}

// Weight gradients gather either operand; several uses share nothing in memory.
// CHECK-LABEL: func.func @gradients(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[D:.*]]: tensor<16x6xf32>, %[[O:.*]]: tensor<4xi32>, %[[P:.*]]: tensor<16xi32>,
func.func @gradients(%x: !x, %d: !y, %o: !o, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>) -> (tensor<3x6x4xf32>, tensor<3x4x6xf32>) {
  // CHECK-NOT: moe.dispatch
  // CHECK: moe_kernel.matmul ragged_contraction(%[[D]], %[[X]]) offsets(%[[O]]) rows(%[[P]]) {gather_rhs,{{.*}}row_divisor = 2
  // CHECK: moe_kernel.matmul ragged_contraction(%[[X]], %[[D]]) offsets(%[[O]]) rows(%[[P]]) {
  // CHECK-NOT: gather_rhs
  %rows = moe.dispatch %x plan(%p, %inverse) : (!x, tensor<16xi32>, tensor<8x2xi32>) -> !rows
  %0 = moe.grouped_matmul %d, %rows, %o {ragged = #moe.ragged<contraction>} : (!y, !rows, !o) -> tensor<3x6x4xf32>
  %1 = moe.grouped_matmul %rows, %d, %o {ragged = #moe.ragged<contraction>} : (!rows, !y, !o) -> tensor<3x4x6xf32>
  return %0, %1 : tensor<3x6x4xf32>, tensor<3x4x6xf32>
}

// Rows that somebody needs in memory are read there by everybody.
// CHECK-LABEL: func.func @returned(
func.func @returned(%x: !x, %w: !w, %o: !o, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>) -> (!y, !rows) {
  // CHECK: %[[ROWS:.*]] = moe.dispatch
  // CHECK: moe_kernel.matmul ragged_rows(%[[ROWS]], %{{.*}}) offsets(%{{.*}}) {
  %rows = moe.dispatch %x plan(%p, %inverse) : (!x, tensor<16xi32>, tensor<8x2xi32>) -> !rows
  %y = moe.grouped_matmul %rows, %w, %o {ragged = #moe.ragged<rows>} : (!rows, !w, !o) -> !y
  return %y, %rows : !y, !rows
}

// A gather multiplies nothing.
// CHECK-LABEL: func.func @weighted(
func.func @weighted(%x: !x, %w: !w, %o: !o, %p: tensor<16xi32>, %inverse: tensor<8x2xi32>, %weights: tensor<8x2xf32>) -> !y {
  // CHECK: moe.dispatch
  %rows = moe.dispatch %x plan(%p, %inverse) weights(%weights) : (!x, tensor<16xi32>, tensor<8x2xi32>, tensor<8x2xf32>) -> !rows
  %y = moe.grouped_matmul %rows, %w, %o {ragged = #moe.ragged<rows>} : (!rows, !w, !o) -> !y
  return %y : !y
}
