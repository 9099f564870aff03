// RUN: %moe-opt %s --split-input-file --moe-differentiate | FileCheck %s
// RUN: %moe-opt %s --split-input-file --moe-differentiate=activation-checkpointing=none | FileCheck %s --check-prefix=NONE
// RUN: %moe-opt %s --split-input-file --moe-differentiate=activation-checkpointing=full | FileCheck %s --check-prefix=FULL

// Rules apply in reverse order, two ways to a value add up, and the outputs are in the order of the variables.
// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    %[[X:.*]]: tensor<2x3xf32>
// CHECK-SAME:    tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"}, tensor<3x3xf32> {moe.name = "gradient.w"}, tensor<2x3xf32> {moe.name = "gradient.b"}
// CHECK-DAG:     %[[B:.*]] = moe.read @b
// CHECK-DAG:     %[[W:.*]] = moe.read @w
// CHECK:         %[[H:.*]] = moe.linear %[[X]], %[[W]]
// CHECK:         %[[Y:.*]] = moe.linear %{{.*}}, %[[W]]
// CHECK:         %[[LOSS:.*]] = moe.sum %[[Y]]
// CHECK:         %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK:         %[[DY:.*]] = moe.broadcast %[[ONE]]
// CHECK:         %[[DS:.*]] = moe.matmul %[[DY]], %[[W]] :
// CHECK:         %[[DW2:.*]] = moe.matmul %[[DY]], %{{.*}} {transpose_lhs}
// CHECK-NOT:     moe.matmul %[[DS]], %[[W]]
// CHECK:         %[[DW1:.*]] = moe.matmul %[[DS]], %[[X]] {transpose_lhs}
// CHECK:         %[[DW:.*]] = moe.add %[[DW2]], %[[DW1]]
// CHECK:         return %[[LOSS]], %{{.*}}, %[[DW]], %[[DS]]
moe.variable @w parameter normal 0.02 : tensor<3x3xf32>
moe.variable @b parameter zeros : tensor<2x3xf32>
func.func @train_step(%x: tensor<2x3xf32> {moe.name = "x"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %b = moe.read @b : tensor<2x3xf32>
  %w = moe.read @w : tensor<3x3xf32>
  %h = moe.linear %x, %w : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s = moe.add %h, %b : tensor<2x3xf32>
  %again = moe.read @w : tensor<3x3xf32>
  %y = moe.linear %s, %again : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %loss = moe.sum %y : (tensor<2x3xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// A layer that is called twice has one pair of functions. Arguments that the gradients need are passed again; of the
// rest the projection is saved, and norm and activation are recomputed from what is there.
// CHECK-NOT:   func.func private @layer(
// CHECK-LABEL: func.func private @layer_forward
// CHECK-SAME:    -> (tensor<2x4xf32>, tensor<2x6xf32>)
// CHECK:         %[[NORM:.*]] = moe.rms_norm
// CHECK:         %[[H:.*]] = moe.linear %[[NORM]]
// CHECK:         %[[Y:.*]] = moe.add
// CHECK:         return %[[Y]], %[[H]]
// CHECK-LABEL: func.func private @layer_backward
// CHECK-SAME:    %[[X:.*]]: tensor<2x4xf32>, %[[G:.*]]: tensor<4xf32>, %[[UP:.*]]: tensor<6x4xf32>, %[[DOWN:.*]]: tensor<4x3xf32>, %[[H:.*]]: tensor<2x6xf32>, %[[DY:.*]]: tensor<2x4xf32>
// CHECK-SAME:    -> (tensor<2x4xf32>, tensor<4xf32>, tensor<6x4xf32>, tensor<4x3xf32>)
// CHECK:         %[[DA:.*]] = moe.matmul %[[DY]], %[[DOWN]]
// CHECK:         %[[A:.*]] = moe.gated_activation %[[H]]
// CHECK:         %[[DDOWN:.*]] = moe.matmul %[[DY]], %[[A]] {transpose_lhs}
// CHECK:         %[[DH:.*]] = moe.gated_activation_backward %[[H]], %[[DA]]
// CHECK:         %[[DN:.*]] = moe.matmul %[[DH]], %[[UP]]
// CHECK:         %[[N:.*]] = moe.rms_norm %[[X]], %[[G]]
// CHECK:         %[[DUP:.*]] = moe.matmul %[[DH]], %[[N]] {transpose_lhs}
// CHECK:         %[[DX1:.*]], %[[DG:.*]] = moe.rms_norm_backward %[[X]], %[[G]], %[[DN]]
// CHECK:         %[[DX:.*]] = moe.add %[[DY]], %[[DX1]]
// CHECK:         return %[[DX]], %[[DG]], %[[DUP]], %[[DDOWN]]
// CHECK-NOT:   func.func private
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[L0:.*]]:2 = call @layer_forward(%[[X0:[^,]*]], {{.*}}) {moe.layer = 0 : i64}
// CHECK:         %[[L1:.*]]:2 = call @layer_forward(%[[L0]]#0, {{.*}}) {moe.layer = 1 : i64}
// CHECK:         %[[D1:.*]]:4 = call @layer_backward(%[[L0]]#0, {{.*}}, %[[L1]]#1, %{{.*}}) {moe.layer = 1 : i64}
// CHECK:         %[[D0:.*]]:4 = call @layer_backward(%[[X0]], {{.*}}, %[[L0]]#1, %[[D1]]#0) {moe.layer = 0 : i64}
// CHECK:         moe.add %[[D1]]#1, %[[D0]]#1

// Without checkpointing the norm and the activation are saved as well.
// NONE-LABEL: func.func private @layer_forward
// NONE-SAME:    -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x6xf32>, tensor<2x3xf32>)
// NONE-LABEL: func.func private @layer_backward
// NONE-NOT:     moe.rms_norm %
// NONE-NOT:     moe.gated_activation %
// NONE:         return

// With full checkpointing nothing is saved but what the caller has: the backward function computes the projection again.
// FULL-LABEL: func.func private @layer_forward
// FULL-SAME:    -> tensor<2x4xf32>
// FULL-LABEL: func.func private @layer_backward
// FULL-SAME:    %[[X:.*]]: tensor<2x4xf32>, %[[G:.*]]: tensor<4xf32>, %[[UP:.*]]: tensor<6x4xf32>, %[[DOWN:.*]]: tensor<4x3xf32>, %[[DY:.*]]: tensor<2x4xf32>
// FULL:         %[[DA:.*]] = moe.matmul %[[DY]], %[[DOWN]]
// FULL:         %[[N:.*]] = moe.rms_norm %[[X]], %[[G]]
// FULL:         %[[H:.*]] = moe.linear %[[N]], %[[UP]]
// FULL:         %[[A:.*]] = moe.gated_activation %[[H]]
// FULL:         %[[DDOWN:.*]] = moe.matmul %[[DY]], %[[A]] {transpose_lhs}
// FULL:         %[[DH:.*]] = moe.gated_activation_backward %[[H]], %[[DA]]
// FULL-NOT:     moe.rms_norm %
// FULL:         moe.matmul %[[DH]], %[[N]] {transpose_lhs}
// FULL:         return
moe.variable @embed parameter normal 0.02 : tensor<5x4xf32>
moe.variable @g parameter ones : tensor<4xf32>
moe.variable @up parameter normal 0.02 : tensor<6x4xf32>
moe.variable @down parameter normal 0.02 : tensor<4x3xf32>
func.func private @layer(%x: tensor<2x4xf32>, %g: tensor<4xf32>, %up: tensor<6x4xf32>, %down: tensor<4x3xf32>)
    -> tensor<2x4xf32> {
  %n = moe.rms_norm %x, %g {eps = 1.0e-5} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %h = moe.linear %n, %up : (tensor<2x4xf32>, tensor<6x4xf32>) -> tensor<2x6xf32>
  %a = moe.gated_activation %h : (tensor<2x6xf32>) -> tensor<2x3xf32>
  %o = moe.linear %a, %down : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %y = moe.add %x, %o : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
func.func @train_step(%tokens: tensor<1x2xi32> {moe.name = "tokens"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %embed = moe.read @embed : tensor<5x4xf32>
  %g = moe.read @g : tensor<4xf32>
  %up = moe.read @up : tensor<6x4xf32>
  %down = moe.read @down : tensor<4x3xf32>
  %x = moe.embedding %embed, %tokens : (tensor<5x4xf32>, tensor<1x2xi32>) -> tensor<2x4xf32>
  %y = call @layer(%x, %g, %up, %down) {moe.layer = 0 : i64}
      : (tensor<2x4xf32>, tensor<4xf32>, tensor<6x4xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %z = call @layer(%y, %g, %up, %down) {moe.layer = 1 : i64}
      : (tensor<2x4xf32>, tensor<4xf32>, tensor<6x4xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %loss = moe.sum %z : (tensor<2x4xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// Functions call functions: the residuals of the inner one pass through the outer one. evaluate keeps the originals, and
// a function that no gradient passes through stays what it is.
// CHECK-LABEL: func.func private @angles(
// CHECK-NOT:   @angles_forward
// CHECK-LABEL: func.func private @square(
// CHECK-LABEL: func.func private @square_forward(
// CHECK-LABEL: func.func private @square_backward(
// CHECK-SAME:    %[[X:.*]]: tensor<2x2xf32>, %[[DY:.*]]: tensor<2x2xf32>
// CHECK-LABEL: func.func private @outer(
// CHECK:         call @square(
// CHECK-LABEL: func.func private @outer_forward(
// CHECK-SAME:    %[[X:.*]]: tensor<2x2xf32>, %[[COS:.*]]: tensor<2x1xf32>
// CHECK:         %[[H:.*]] = call @square_forward(%[[X]])
// CHECK:         %[[Y:.*]] = call @square_forward(%[[H]])
// CHECK:         return %{{.*}}, %[[H]]
// CHECK-LABEL: func.func private @outer_backward(
// CHECK:         %[[DH:.*]] = call @square_backward(%[[H:[^,]*]], %{{.*}})
// CHECK:         call @square_backward(%{{.*}}, %[[DH]])
// CHECK-LABEL: func.func @train_step
// CHECK:         call @angles(
// CHECK:         call @outer_forward
// CHECK:         call @outer_backward
// CHECK-LABEL: func.func @evaluate
// CHECK:         call @angles(
// CHECK:         call @outer(
moe.variable @w parameter normal 0.02 : tensor<2x2xf32>
func.func private @angles(%p: tensor<2xi32>) -> (tensor<2x1xf32>, tensor<2x1xf32>) {
  %cos, %sin = moe.rope_table %p {theta = 10.0} : (tensor<2xi32>) -> (tensor<2x1xf32>, tensor<2x1xf32>)
  return %cos, %sin : tensor<2x1xf32>, tensor<2x1xf32>
}
func.func private @square(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %y = moe.multiply %x, %x : tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}
func.func private @outer(%x: tensor<2x2xf32>, %cos: tensor<2x1xf32>, %sin: tensor<2x1xf32>) -> tensor<2x2xf32> {
  %h = call @square(%x) : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = call @square(%h) : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %z = moe.rope %y, %cos, %sin : (tensor<2x2xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  return %z : tensor<2x2xf32>
}
func.func @train_step(%p: tensor<2xi32> {moe.name = "p"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2x2xf32>
  %cos, %sin = call @angles(%p) : (tensor<2xi32>) -> (tensor<2x1xf32>, tensor<2x1xf32>)
  %y = call @outer(%w, %cos, %sin) : (tensor<2x2xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  %loss = moe.sum %y : (tensor<2x2xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}
func.func @evaluate(%p: tensor<2xi32> {moe.name = "p"}) -> (tensor<2x2xf32> {moe.name = "y"})
    attributes {moe.entry = #moe.entry<evaluate>} {
  %w = moe.read @w : tensor<2x2xf32>
  %cos, %sin = call @angles(%p) : (tensor<2xi32>) -> (tensor<2x1xf32>, tensor<2x1xf32>)
  %y = call @outer(%w, %cos, %sin) : (tensor<2x2xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// -----

// The pair serves every call: where a call leaves a result unused, its gradient is zero. The auxiliary loss counts as much
// as the loss. A result that is a residual is not returned twice.
// CHECK-LABEL: func.func private @two_forward(
// CHECK-SAME:    -> (tensor<2x2xf32>, tensor<f32>) {
// CHECK-LABEL: func.func private @two_backward(
// CHECK-SAME:    %[[X:.*]]: tensor<2x2xf32>, %[[Y:.*]]: tensor<2x2xf32>, %[[DY:.*]]: tensor<2x2xf32>, %[[DAUX:.*]]: tensor<f32>
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[A:.*]]:2 = call @two_forward(%[[W:[^)]*]])
// CHECK:         %[[B:.*]]:2 = call @two_forward(%[[A]]#0)
// CHECK-DAG:     %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK-DAG:     %[[ZEROS:.*]] = arith.constant dense<0.000000e+00> : tensor<2x2xf32>
// CHECK:         %[[DA:.*]] = call @two_backward(%[[A]]#0, %[[B]]#0, %[[ZEROS]], %{{.*}})
// CHECK:         call @two_backward(%[[W]], %[[A]]#0, %{{.*}}, %{{.*}})
moe.variable @w parameter normal 0.02 : tensor<2x2xf32>
func.func private @two(%x: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<f32>) {
  %y = moe.linear %x, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %square = moe.multiply %y, %y : tensor<2x2xf32>
  %aux = moe.sum %square : (tensor<2x2xf32>) -> tensor<f32>
  return %y, %aux : tensor<2x2xf32>, tensor<f32>
}
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2x2xf32>
  %a, %aux0 = call @two(%w) : (tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<f32>)
  %b, %aux1 = call @two(%a) : (tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<f32>)
  return %aux0, %aux1 : tensor<f32>, tensor<f32>
}

// -----

// Token ids, routing plans, counts and buffers carry no gradient; what only they need is not computed.
// CHECK-LABEL: func.func @train_step
// CHECK:         moe.read @bias
// CHECK:         %[[WEIGHTS:.*]], %[[INDICES:.*]] = moe.topk_gate
// CHECK:         moe.update_selection_bias
// CHECK:         moe.topk_gate_backward %{{.*}}, %[[INDICES]], %{{.*}}
// CHECK:         moe.router_scores_backward
// CHECK-NOT:     moe.matmul
// CHECK:         return
moe.variable @logits parameter normal 0.02 : tensor<2x4xf32>
moe.variable @bias buffer zeros : tensor<4xf32>
func.func @train_step()
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"}, tensor<4xi32> {moe.name = "load.0"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %logits = moe.read @logits : tensor<2x4xf32>
  %bias = moe.read @bias : tensor<4xf32>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %weights, %indices = moe.topk_gate %scores, %bias {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<2x2xi32>) -> (tensor<5xi32>, tensor<4xi32>, tensor<2x2xi32>)
  %load = moe.expert_load %offsets : (tensor<5xi32>) -> tensor<4xi32>
  %new_bias = moe.update_selection_bias %bias, %load {rate = 0.1} : (tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  moe.write %new_bias, @bias : tensor<4xf32>
  %loss = moe.sum %weights : (tensor<2x2xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux, %load : tensor<f32>, tensor<f32>, tensor<4xi32>
}

// -----

// The routing of a layer is saved whatever the policy: its choices must be those that were made. Scores are computed again.
// CHECK-LABEL: func.func private @router_forward
// FULL-LABEL: func.func private @router_forward
// FULL-SAME:    -> (tensor<2x2xf32>, tensor<2x2xi32>)
// FULL:         %[[W:.*]], %[[I:.*]] = moe.topk_gate
// FULL:         return %[[W]], %[[I]]
// FULL-LABEL: func.func private @router_backward
// FULL-SAME:    %[[X:.*]]: tensor<2x3xf32>, %[[G:.*]]: tensor<4x3xf32>, %[[INDICES:.*]]: tensor<2x2xi32>, %{{.*}}: tensor<2x2xf32>
// FULL-NOT:     moe.topk_gate %
// FULL:         %[[LOGITS:.*]] = moe.linear %[[X]], %[[G]]
// FULL:         %[[SCORES:.*]] = moe.router_scores %[[LOGITS]]
// FULL:         moe.topk_gate_backward %[[SCORES]], %[[INDICES]]
// CHECK-LABEL: func.func @train_step
moe.variable @g parameter normal 0.02 : tensor<4x3xf32>
moe.variable @x parameter normal 0.02 : tensor<2x3xf32>
func.func private @router(%x: tensor<2x3xf32>, %g: tensor<4x3xf32>) -> tensor<2x2xf32> {
  %logits = moe.linear %x, %g : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<2x4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi32>)
  return %weights : tensor<2x2xf32>
}
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %x = moe.read @x : tensor<2x3xf32>
  %g = moe.read @g : tensor<4x3xf32>
  %w = call @router(%x, %g) : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x2xf32>
  %loss = moe.sum %w : (tensor<2x2xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// The gradient of float32 sums of bf16 is rounded to bf16 once, before the products; every gradient has its value's type,
// and so have sums of gradients.
// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    tensor<4x3xbf16> {moe.name = "gradient.w"}
// CHECK:         %[[W:.*]] = moe.read @w
// CHECK:         %[[DY:.*]] = moe.broadcast %{{.*}} : (tensor<f32>) -> tensor<2x4xf32>
// CHECK:         %[[NARROW:.*]] = moe.cast %[[DY]] : (tensor<2x4xf32>) -> tensor<2x4xbf16>
// CHECK-NOT:     moe.cast
// CHECK:         %[[DH:.*]] = moe.matmul %[[NARROW]], %[[W]] : (tensor<2x4xbf16>, tensor<4x3xbf16>) -> tensor<2x3xbf16>
// CHECK:         %[[DW:.*]] = moe.matmul %[[NARROW]], %{{.*}} {transpose_lhs} : {{.*}} -> tensor<4x3xbf16>
// CHECK:         return {{.*}} : tensor<f32>, tensor<f32>, tensor<4x3xbf16>, tensor<2x3xbf16>
moe.variable @w parameter normal 0.02 : tensor<4x3xbf16>
moe.variable @b parameter zeros : tensor<2x3xbf16>
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<4x3xbf16>
  %b = moe.read @b : tensor<2x3xbf16>
  %h = moe.add %b, %b : tensor<2x3xbf16>
  %y = moe.linear %h, %w : (tensor<2x3xbf16>, tensor<4x3xbf16>) -> tensor<2x4xf32>
  %loss = moe.sum %y : (tensor<2x4xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}
