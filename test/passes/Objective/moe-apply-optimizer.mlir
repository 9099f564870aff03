// RUN: %moe-opt %s --split-input-file --moe-apply-optimizer | FileCheck %s
// RUN: %moe-opt %s --split-input-file --moe-apply-optimizer=keep-gradients | FileCheck %s --check-prefix=KEEP

// One step of every parameter in place, clipped by the norm of all gradients. Moments are variables behind all others;
// weight decay spares vectors; moe.training is gone.
// CHECK:       moe.variable @w parameter
// CHECK-NEXT:  moe.variable @g parameter
// CHECK-NEXT:  moe.variable @bias buffer
// CHECK-NEXT:  moe.variable @w.exp_avg optimizer zeros : tensor<2x3xf32>
// CHECK-NEXT:  moe.variable @w.exp_avg_sq optimizer zeros : tensor<2x3xf32>
// CHECK-NEXT:  moe.variable @g.exp_avg optimizer zeros : tensor<3xf32>
// CHECK-NEXT:  moe.variable @g.exp_avg_sq optimizer zeros : tensor<3xf32>
// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    %[[LR:[^:]*]]: tensor<f32> {moe.name = "learning_rate"}, %[[BC1:.*]]: tensor<f32> {moe.name = "bias_correction1"}, %[[BC2:.*]]: tensor<f32> {moe.name = "bias_correction2"})
// CHECK-SAME:    -> (tensor<f32> {moe.name = "loss"}, tensor<4xi32> {moe.name = "load.1"}, tensor<f32> {moe.name = "grad_norm"})
// CHECK:         %[[W:.*]] = moe.read @w :
// CHECK:         %[[DW:.*]] = moe.negate %[[W]]
// CHECK:         %[[NORM:.*]] = moe.global_norm %[[DW]], %[[DG:.*]] :
// CHECK:         %[[M:.*]] = moe.read @w.exp_avg :
// CHECK:         %[[V:.*]] = moe.read @w.exp_avg_sq :
// CHECK:         %[[NEW:.*]], %[[NEW_M:.*]], %[[NEW_V:.*]] = moe.adamw %[[W]], %[[DW]], %[[M]], %[[V]], %[[NORM]], %[[LR]], %[[BC1]], %[[BC2]] {beta1 = 8.000000e-01 : f64, beta2 = 7.500000e-01 : f64, epsilon = 1.000000e-08 : f64, max_grad_norm = 2.000000e+00 : f64, weight_decay = 1.000000e-01 : f64}
// CHECK:         moe.write %[[NEW]], @w :
// CHECK:         moe.write %[[NEW_M]], @w.exp_avg :
// CHECK:         moe.write %[[NEW_V]], @w.exp_avg_sq :
// CHECK:         %[[G:.*]] = moe.read @g :
// CHECK:         moe.adamw %[[G]], %[[DG]], {{.*}} weight_decay = 0.000000e+00 : f64
// Selection biases move only if the step is taken.
// CHECK:         %[[MOVED:.*]] = moe.update_selection_bias %{{.*}}, %{{.*}}, %[[NORM]] {rate
// CHECK:         moe.write %[[MOVED]], @bias
// CHECK:         return %{{.*}}, %{{.*}}, %[[NORM]] : tensor<f32>, tensor<4xi32>, tensor<f32>
// CHECK-NOT:   moe.training

// Tests look at gradients.
// KEEP-LABEL: func.func @train_step
// KEEP-SAME:    {moe.name = "gradient.w"}, tensor<3xf32> {moe.name = "gradient.g"}, tensor<f32> {moe.name = "grad_norm"}
moe.variable @w parameter normal 0.02 : tensor<2x3xf32>
moe.variable @g parameter ones : tensor<3xf32>
moe.variable @bias buffer zeros : tensor<4xf32>
moe.training (batch_size = 1, sequence_length = 2, beta1 = 0.8, beta2 = 0.75, max_grad_norm = 2.0)
func.func @train_step(%dg: tensor<3xf32> {moe.name = "x"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<4xi32> {moe.name = "load.1"}, tensor<2x3xf32> {moe.name = "gradient.w"},
        tensor<3xf32> {moe.name = "gradient.g"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2x3xf32>
  %loss = moe.sum %w : (tensor<2x3xf32>) -> tensor<f32>
  %load = arith.constant dense<1> : tensor<4xi32>
  %bias = moe.read @bias : tensor<4xf32>
  %moved = moe.update_selection_bias %bias, %load {rate = 0.1} : (tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  moe.write %moved, @bias : tensor<4xf32>
  %dw = moe.negate %w : tensor<2x3xf32>
  return %loss, %load, %dw, %dg : tensor<f32>, tensor<4xi32>, tensor<2x3xf32>, tensor<3xf32>
}

// -----

// A bf16 parameter has a float32 master, which starts as its copy; moments and norm are float32 too.
// CHECK:       moe.variable @w parameter normal 2.000000e-02 : tensor<2x3xbf16>
// CHECK-NEXT:  moe.variable @w.exp_avg optimizer zeros : tensor<2x3xf32>
// CHECK-NEXT:  moe.variable @w.exp_avg_sq optimizer zeros : tensor<2x3xf32>
// CHECK-NEXT:  moe.variable @w.master_weight optimizer copy @w : tensor<2x3xf32>
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[W:.*]] = moe.read @w :
// CHECK:         %[[NORM:.*]] = moe.global_norm %[[W]] : (tensor<2x3xbf16>) -> tensor<f32>
// CHECK:         %[[MASTER:.*]] = moe.read @w.master_weight : tensor<2x3xf32>
// CHECK:         %[[NEW:.*]], %{{.*}}, %{{.*}}, %[[NEW_MASTER:.*]] = moe.adamw %[[W]], %[[W]], {{.*}}, %[[MASTER]] {
// CHECK-SAME:      -> (tensor<2x3xbf16>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>)
// CHECK:         moe.write %[[NEW]], @w : tensor<2x3xbf16>
// CHECK:         moe.write %[[NEW_MASTER]], @w.master_weight : tensor<2x3xf32>
moe.variable @w parameter normal 0.02 : tensor<2x3xbf16>
moe.training (batch_size = 1, sequence_length = 2)
func.func @train_step()
    -> (tensor<f32> {moe.name = "loss"}, tensor<2x3xbf16> {moe.name = "gradient.w"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2x3xbf16>
  %loss = moe.sum %w : (tensor<2x3xbf16>) -> tensor<f32>
  return %loss, %w : tensor<f32>, tensor<2x3xbf16>
}

// -----

// A model that only serves has nothing to optimize.
// CHECK-LABEL: func.func @decode_step
// CHECK-SAME:    () -> (tensor<3xf32> {moe.name = "logits"})
moe.variable @w parameter normal 0.02 : tensor<3xf32>
func.func @decode_step() -> (tensor<3xf32> {moe.name = "logits"}) attributes {moe.entry = #moe.entry<decode_step>} {
  %w = moe.read @w : tensor<3xf32>
  return %w : tensor<3xf32>
}
