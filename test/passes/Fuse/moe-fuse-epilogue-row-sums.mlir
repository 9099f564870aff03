// RUN: %moe-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(moe-to-moe-kernel,moe-fuse-dispatch,moe-fuse-epilogue))' | FileCheck %s

!dy = tensor<512x256xbf16>
!rows = tensor<1024x256xbf16>
!w = tensor<4x256x576xbf16>
!h = tensor<1024x1152xbf16>
!a = tensor<1024x576xbf16>

// Where warpgroups hold rows of accumulators, the whole gradient of weighted experts up to the activation's input is one
// matmul: the weights come by row, and each 64 columns of a row give a part of its weight's gradient.
// CHECK-LABEL: func.func @warpgroups(
// CHECK-SAME: %[[DY:.*]]: tensor<512x256xbf16>, %[[W:.*]]: tensor<4x256x576xbf16>, %[[H:.*]]: tensor<1024x1152xbf16>, %[[O:.*]]: tensor<5xi32>, %[[P:.*]]: tensor<1024xi32>, %[[I:.*]]: tensor<512x2xi32>, %[[WEIGHTS:.*]]: tensor<512x2xf32>)
// CHECK: %[[BY_ROW:.*]] = linalg.generic {{.*}} ins(%[[P]] : tensor<1024xi32>) outs(%{{.*}} : tensor<1024xf32>)
// CHECK: %[[R:.*]]:3 = moe_kernel.matmul ragged_rows(%[[DY]], %[[W]]) offsets(%[[O]]) rows(%[[P]]) extras(%[[H]], %[[BY_ROW]])
// CHECK-SAME: extra_extents = [#moe_kernel.extent<pair>, #moe_kernel.extent<row>]
// CHECK-SAME: result_extents = [#moe_kernel.extent<full>, #moe_kernel.extent<pair>, #moe_kernel.extent<row_sum>]
// CHECK-SAME: -> (tensor<1024x576xbf16>, tensor<1024x1152xbf16>, tensor<1024x9xf32>)
// CHECK-NEXT: ^bb0(%[[G:.*]]: f32, %{{.*}}: bf16, %{{.*}}: bf16, %[[WEIGHT:.*]]: f32):
// CHECK: %[[SILU:.*]] = arith.mulf %{{.*}}, %{{.*}} : f32
// CHECK-NEXT: %[[A:.*]] = arith.mulf %[[SILU]], %{{.*}} : f32
// CHECK-NEXT: %[[WG:.*]] = arith.mulf %[[WEIGHT]], %[[G]]
// CHECK: %[[WA:.*]] = arith.mulf %[[WEIGHT]], %[[A]]
// CHECK: %[[DOT:.*]] = arith.mulf %[[G]], %[[A]]
// CHECK: %[[RESULT:.*]] = arith.truncf %[[WA]]
// CHECK: moe_kernel.yield %[[RESULT]], %{{.*}}, %{{.*}}, %[[DOT]] : bf16, bf16, bf16, f32
// CHECK: %[[DOTS:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]} ins(%[[R]]#2
// CHECK: %[[DW:.*]] = linalg.generic {{.*}} ins(%[[I]] : tensor<512x2xi32>)
// CHECK: tensor.extract %[[DOTS]]
// CHECK: return %[[R]]#0, %[[R]]#1, %[[DW]]
module attributes {moe.target = "cuda:sm_90a"} {
func.func @warpgroups(%dy: !dy, %w: !w, %h: !h, %o: tensor<5xi32>, %p: tensor<1024xi32>, %inverse: tensor<512x2xi32>,
                      %weights: tensor<512x2xf32>) -> (!a, !h, tensor<512x2xf32>) {
  %rows = moe.dispatch %dy plan(%p, %inverse) : (!dy, tensor<1024xi32>, tensor<512x2xi32>) -> !rows
  %d = moe.grouped_matmul %rows, %w, %o {ragged = #moe.ragged<rows>} : (!rows, !w, tensor<5xi32>) -> !a
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%p, %inverse) weights(%weights)
      : (!h, !a, tensor<1024xi32>, tensor<512x2xi32>, tensor<512x2xf32>) -> (!a, !h, tensor<512x2xf32>)
  return %y, %dh, %dw : !a, !h, tensor<512x2xf32>
}

// Too few rows for warpgroups.
// CHECK-LABEL: func.func @few_rows(
// CHECK: moe_kernel.matmul
// CHECK-SAME: result_extents = [#moe_kernel.extent<full>]
// CHECK: moe.weighted_gated_activation_backward
func.func @few_rows(%dy: tensor<4x256xbf16>, %w: !w, %h: tensor<8x1152xbf16>, %o: tensor<5xi32>, %p: tensor<8xi32>,
                    %inverse: tensor<4x2xi32>, %weights: tensor<4x2xf32>) -> tensor<8x1152xbf16> {
  %rows = moe.dispatch %dy plan(%p, %inverse) : (tensor<4x256xbf16>, tensor<8xi32>, tensor<4x2xi32>) -> tensor<8x256xbf16>
  %d = moe.grouped_matmul %rows, %w, %o {ragged = #moe.ragged<rows>} : (tensor<8x256xbf16>, !w, tensor<5xi32>) -> tensor<8x576xbf16>
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%p, %inverse) weights(%weights)
      : (tensor<8x1152xbf16>, tensor<8x576xbf16>, tensor<8xi32>, tensor<4x2xi32>, tensor<4x2xf32>)
      -> (tensor<8x576xbf16>, tensor<8x1152xbf16>, tensor<4x2xf32>)
  return %dh : tensor<8x1152xbf16>
}

// The last sums would be of less than 64 columns.
// CHECK-LABEL: func.func @odd_columns(
// CHECK: moe_kernel.matmul
// CHECK: moe.weighted_gated_activation_backward
func.func @odd_columns(%dy: !rows, %w: tensor<4x256x520xbf16>, %h: tensor<1024x1040xbf16>, %o: tensor<5xi32>,
                       %p: tensor<1024xi32>, %inverse: tensor<512x2xi32>, %weights: tensor<512x2xf32>) -> tensor<1024x1040xbf16> {
  %d = moe.grouped_matmul %dy, %w, %o {ragged = #moe.ragged<rows>}
      : (!rows, tensor<4x256x520xbf16>, tensor<5xi32>) -> tensor<1024x520xbf16>
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%p, %inverse) weights(%weights)
      : (tensor<1024x1040xbf16>, tensor<1024x520xbf16>, tensor<1024xi32>, tensor<512x2xi32>, tensor<512x2xf32>)
      -> (tensor<1024x520xbf16>, tensor<1024x1040xbf16>, tensor<512x2xf32>)
  return %dh : tensor<1024x1040xbf16>
}

// Somebody else needs the product as it is.
// CHECK-LABEL: func.func @needed(
// CHECK: moe_kernel.matmul
// CHECK: moe.weighted_gated_activation_backward
func.func @needed(%dy: !rows, %w: !w, %h: !h, %o: tensor<5xi32>, %p: tensor<1024xi32>, %inverse: tensor<512x2xi32>,
                  %weights: tensor<512x2xf32>) -> (!a, !h) {
  %d = moe.grouped_matmul %dy, %w, %o {ragged = #moe.ragged<rows>} : (!rows, !w, tensor<5xi32>) -> !a
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%p, %inverse) weights(%weights)
      : (!h, !a, tensor<1024xi32>, tensor<512x2xi32>, tensor<512x2xf32>) -> (!a, !h, tensor<512x2xf32>)
  return %d, %dh : !a, !h
}
}

// -----

// Other targets sum rows in a kernel of rows.
// CHECK-LABEL: func.func @cpu(
// CHECK: moe_kernel.matmul
// CHECK: moe.weighted_gated_activation_backward
module attributes {moe.target = "cpu:x86-64-v3"} {
func.func @cpu(%dy: tensor<1024x256xbf16>, %w: tensor<4x256x576xbf16>, %h: tensor<1024x1152xbf16>, %o: tensor<5xi32>,
               %p: tensor<1024xi32>, %inverse: tensor<512x2xi32>, %weights: tensor<512x2xf32>) -> tensor<1024x1152xbf16> {
  %d = moe.grouped_matmul %dy, %w, %o {ragged = #moe.ragged<rows>}
      : (tensor<1024x256xbf16>, tensor<4x256x576xbf16>, tensor<5xi32>) -> tensor<1024x576xbf16>
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%p, %inverse) weights(%weights)
      : (tensor<1024x1152xbf16>, tensor<1024x576xbf16>, tensor<1024xi32>, tensor<512x2xi32>, tensor<512x2xf32>)
      -> (tensor<1024x576xbf16>, tensor<1024x1152xbf16>, tensor<512x2xf32>)
  return %dh : tensor<1024x1152xbf16>
}
}
