// RUN: %moe-opt %s --split-input-file --moe-differentiate | FileCheck %s
// RUN: %moe-opt %s --split-input-file --moe-differentiate=activation-checkpointing=none | FileCheck %s --check-prefix=NONE
// RUN: %moe-opt %s --split-input-file --moe-differentiate=activation-checkpointing=full | FileCheck %s --check-prefix=FULL

// The weights of a token's experts pass through the down projection: its gradient starts from the tokens as they are, and
// the activation's gradient gives the weighted activation and the weights' gradient. Neither the down projection's result
// nor the activation is kept. A shared expert gets the same gradient of the tokens.
// CHECK-LABEL: func.func private @experts_forward
// CHECK:         %[[H:.*]] = moe.grouped_matmul
// CHECK:         %[[A:.*]] = moe.gated_activation %[[H]]
// CHECK:         %[[Y:.*]] = moe.grouped_matmul %[[A]]
// CHECK:         return %{{[^,]*}}, %[[OFFSETS:.*]], %[[P:.*]], %[[I:.*]], %[[H]] :
// CHECK-LABEL: func.func private @experts_backward
// CHECK-SAME:    %[[W:[^:]*]]: tensor<4x2xf32>, %[[UP:[^:]*]]: tensor<3x12x8xf32>, %[[DOWN:[^:]*]]: tensor<3x8x6xf32>, %[[SHARED:[^:]*]]: tensor<8x8xf32>
// CHECK-SAME:    %[[OFFSETS:[^:]*]]: tensor<4xi32>, %[[P:[^:]*]]: tensor<8xi32>, %[[I:[^:]*]]: tensor<4x2xi32>, %[[H:[^:]*]]: tensor<8x12xf32>, %[[DY:[^:]*]]: tensor<4x8xf32>)
// CHECK-NOT:     moe.routed_dot
// CHECK:         %[[ROWS:.*]] = moe.dispatch %[[DY]] plan(%[[P]], %[[I]]) :
// CHECK:         %[[DA:.*]] = moe.grouped_matmul %[[ROWS]], %[[DOWN]], %[[OFFSETS]] {ragged = #moe.ragged<rows>}
// CHECK:         %[[WA:.*]], %[[DH:.*]], %[[DW:.*]] = moe.weighted_gated_activation_backward %[[H]], %[[DA]] plan(%[[P]], %[[I]]) weights(%[[W]])
// CHECK-NOT:     weights(
// CHECK-NOT:     moe.gated_activation
// CHECK:         %[[DDOWN:.*]] = moe.grouped_matmul %[[ROWS]], %[[WA]], %[[OFFSETS]] {ragged = #moe.ragged<contraction>}
// CHECK:         moe.grouped_matmul %[[DH]], %[[UP]], %[[OFFSETS]] {ragged = #moe.ragged<rows>}
// CHECK:         return %{{[^,]*}}, %[[DW]], %{{[^,]*}}, %[[DDOWN]],
// CHECK-LABEL: func.func @train_step

// Nor are they kept where everything else is.
// NONE-LABEL: func.func private @experts_forward
// NONE:         %[[ROWS:.*]] = moe.dispatch
// NONE:         %[[H:.*]] = moe.grouped_matmul
// NONE:         %[[SUM:.*]] = moe.add
// NONE:         return %[[SUM]], %{{[a-z]*}}, %{{[a-z]*}}, %{{[a-z]*}}, %[[ROWS]], %[[H]] :
// NONE-LABEL: func.func private @experts_backward
// NONE:         moe.weighted_gated_activation_backward

// Where everything is computed again, one of the two projections is.
// FULL-LABEL: func.func private @experts_backward
// FULL-COUNT-1: {ragged = #moe.ragged<rows>, transpose_rhs}
// FULL-NOT:     {ragged = #moe.ragged<rows>, transpose_rhs}
// FULL-LABEL: func.func @train_step
moe.variable @x parameter normal 0.02 : tensor<4x8xf32>
moe.variable @w parameter normal 0.02 : tensor<4x2xf32>
moe.variable @up parameter normal 0.02 : tensor<3x12x8xf32>
moe.variable @down parameter normal 0.02 : tensor<3x8x6xf32>
moe.variable @shared parameter normal 0.02 : tensor<8x8xf32>
func.func private @experts(%x: tensor<4x8xf32>, %w: tensor<4x2xf32>, %up: tensor<3x12x8xf32>, %down: tensor<3x8x6xf32>,
                           %shared: tensor<8x8xf32>, %indices: tensor<4x2xi32>) -> tensor<4x8xf32> {
  %offsets, %p, %i = moe.plan_routing %indices : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %rows = moe.dispatch %x plan(%p, %i) : (tensor<4x8xf32>, tensor<8xi32>, tensor<4x2xi32>) -> tensor<8x8xf32>
  %h = moe.grouped_matmul %rows, %up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<8x8xf32>, tensor<3x12x8xf32>, tensor<4xi32>) -> tensor<8x12xf32>
  %a = moe.gated_activation %h : (tensor<8x12xf32>) -> tensor<8x6xf32>
  %y = moe.grouped_matmul %a, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<8x6xf32>, tensor<3x8x6xf32>, tensor<4xi32>) -> tensor<8x8xf32>
  %routed = moe.combine %y plan(%p, %i) weights(%w)
      : (tensor<8x8xf32>, tensor<8xi32>, tensor<4x2xi32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  %s = moe.linear %x, %shared : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %sum = moe.add %routed, %s : tensor<4x8xf32>
  return %sum : tensor<4x8xf32>
}
func.func @train_step(%indices: tensor<4x2xi32> {moe.name = "indices"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %x = moe.read @x : tensor<4x8xf32>
  %w = moe.read @w : tensor<4x2xf32>
  %up = moe.read @up : tensor<3x12x8xf32>
  %down = moe.read @down : tensor<3x8x6xf32>
  %shared = moe.read @shared : tensor<8x8xf32>
  %y = call @experts(%x, %w, %up, %down, %shared, %indices)
      : (tensor<4x8xf32>, tensor<4x2xf32>, tensor<3x12x8xf32>, tensor<3x8x6xf32>, tensor<8x8xf32>, tensor<4x2xi32>) -> tensor<4x8xf32>
  %square = moe.multiply %y, %y : tensor<4x8xf32>
  %loss = moe.sum %square : (tensor<4x8xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// All in one block, and matrices that are not transposed: then the weighted activation is the left operand. A down projection
// that somebody else needs too is computed, as it is, by the forward pass.
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[Y:.*]] = moe.grouped_matmul %{{.*}}, %[[DOWN:.*]], %[[O:.*]] {ragged = #moe.ragged<rows>}
// CHECK:         moe.combine %[[Y]]
// CHECK:         moe.sum %[[Y]]
// CHECK-NOT:     moe.routed_dot
// CHECK:         %[[ROWS:.*]] = moe.dispatch %{{.*}} plan(
// CHECK-NOT:     weights(
// CHECK:         %[[WA:.*]], %{{.*}}, %[[DW:.*]] = moe.weighted_gated_activation_backward
// CHECK:         moe.grouped_matmul %[[WA]], %[[ROWS]], %[[O]] {ragged = #moe.ragged<contraction>}
// CHECK:         return %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %[[DW]],
moe.variable @h parameter normal 0.02 : tensor<8x12xf32>
moe.variable @w parameter normal 0.02 : tensor<4x2xf32>
moe.variable @down parameter normal 0.02 : tensor<3x6x8xf32>
func.func @train_step(%indices: tensor<4x2xi32> {moe.name = "indices"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"}, tensor<f32> {moe.name = "sum"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %h = moe.read @h : tensor<8x12xf32>
  %w = moe.read @w : tensor<4x2xf32>
  %down = moe.read @down : tensor<3x6x8xf32>
  %offsets, %p, %i = moe.plan_routing %indices : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %a = moe.gated_activation %h : (tensor<8x12xf32>) -> tensor<8x6xf32>
  %y = moe.grouped_matmul %a, %down, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<8x6xf32>, tensor<3x6x8xf32>, tensor<4xi32>) -> tensor<8x8xf32>
  %routed = moe.combine %y plan(%p, %i) weights(%w)
      : (tensor<8x8xf32>, tensor<8xi32>, tensor<4x2xi32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  %loss = moe.sum %routed : (tensor<4x8xf32>) -> tensor<f32>
  %sum = moe.sum %y : (tensor<8x8xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux, %sum : tensor<f32>, tensor<f32>, tensor<f32>
}

// -----

// Weights that have no gradient: the activation is not read a second time for them, and all stays as the rules say.
// CHECK-LABEL: func.func @train_step
// CHECK:         moe.dispatch %{{.*}} plan(%{{.*}}, %{{.*}}) weights(
// CHECK:         moe.gated_activation_backward
// CHECK-NOT:     moe.weighted_gated_activation_backward
moe.variable @h parameter normal 0.02 : tensor<8x12xf32>
moe.variable @down parameter normal 0.02 : tensor<3x6x8xf32>
func.func @train_step(%indices: tensor<4x2xi32> {moe.name = "indices"}, %w: tensor<4x2xf32> {moe.name = "w"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %h = moe.read @h : tensor<8x12xf32>
  %down = moe.read @down : tensor<3x6x8xf32>
  %offsets, %p, %i = moe.plan_routing %indices : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %a = moe.gated_activation %h : (tensor<8x12xf32>) -> tensor<8x6xf32>
  %y = moe.grouped_matmul %a, %down, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<8x6xf32>, tensor<3x6x8xf32>, tensor<4xi32>) -> tensor<8x8xf32>
  %routed = moe.combine %y plan(%p, %i) weights(%w)
      : (tensor<8x8xf32>, tensor<8xi32>, tensor<4x2xi32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  %loss = moe.sum %routed : (tensor<4x8xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// What the down projection reads has another gradient too: the activation's is not the projection's alone.
// CHECK-LABEL: func.func @train_step
// CHECK:         moe.routed_dot
// CHECK-NOT:     moe.weighted_gated_activation_backward
// CHECK:         return
moe.variable @h parameter normal 0.02 : tensor<8x12xf32>
moe.variable @w parameter normal 0.02 : tensor<4x2xf32>
moe.variable @down parameter normal 0.02 : tensor<3x6x8xf32>
func.func @train_step(%indices: tensor<4x2xi32> {moe.name = "indices"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %h = moe.read @h : tensor<8x12xf32>
  %w = moe.read @w : tensor<4x2xf32>
  %down = moe.read @down : tensor<3x6x8xf32>
  %offsets, %p, %i = moe.plan_routing %indices : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %a = moe.gated_activation %h : (tensor<8x12xf32>) -> tensor<8x6xf32>
  %y = moe.grouped_matmul %a, %down, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<8x6xf32>, tensor<3x6x8xf32>, tensor<4xi32>) -> tensor<8x8xf32>
  %routed = moe.combine %y plan(%p, %i) weights(%w)
      : (tensor<8x8xf32>, tensor<8xi32>, tensor<4x2xi32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  %loss = moe.sum %routed : (tensor<4x8xf32>) -> tensor<f32>
  %aux = moe.sum %a : (tensor<8x6xf32>) -> tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}
