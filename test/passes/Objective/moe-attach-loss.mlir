// RUN: %moe-opt %s --split-input-file --moe-attach-loss | FileCheck %s

// train_step returns the weighted mean without the auxiliary loss, which stays an output of its own.
// CHECK-LABEL: func.func @train_step
// CHECK-SAME:    (%{{.*}}: tensor<2x3xi32> {moe.name = "tokens"}, %[[TARGETS:.*]]: tensor<2x3xi32> {moe.name = "targets"}, %[[WEIGHTS:.*]]: tensor<2x3xf32> {moe.name = "weights"})
// CHECK-SAME:    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"}, tensor<4xi32> {moe.name = "load.1"})
// CHECK:         %[[LOGITS:.*]] = moe.embedding
// CHECK:         %[[SUM:.*]], %{{.*}} = moe.cross_entropy %[[LOGITS]], %[[TARGETS]], %[[WEIGHTS]]
// CHECK:         %[[WEIGHT_SUM:.*]] = moe.sum %[[WEIGHTS]]
// CHECK:         %[[LOSS:.*]] = moe.divide %[[SUM]], %[[WEIGHT_SUM]]
// CHECK:         return %[[LOSS]], %[[AUX:.*]], %[[LOAD:.*]] : tensor<f32>, tensor<f32>, tensor<4xi32>
moe.variable @table parameter normal 0.02 : tensor<5x5xf32>
func.func @train_step(%tokens: tensor<2x3xi32> {moe.name = "tokens"})
    -> (tensor<6x5xf32> {moe.name = "logits"}, tensor<f32> {moe.name = "aux_loss"}, tensor<4xi32> {moe.name = "load.1"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %table = moe.read @table : tensor<5x5xf32>
  %logits = moe.embedding %table, %tokens : (tensor<5x5xf32>, tensor<2x3xi32>) -> tensor<6x5xf32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  %load = arith.constant dense<3> : tensor<4xi32>
  return %logits, %aux, %load : tensor<6x5xf32>, tensor<f32>, tensor<4xi32>
}

// evaluate returns sums, which the caller adds up over batches, and no auxiliary loss.
// CHECK-LABEL: func.func @evaluate
// CHECK-SAME:    -> (tensor<f32> {moe.name = "loss_sum"}, tensor<f32> {moe.name = "weight_sum"}, tensor<4xi32> {moe.name = "load.1"})
// CHECK:         %[[SUM:.*]], %{{.*}} = moe.cross_entropy
// CHECK:         %[[WEIGHT_SUM:.*]] = moe.sum
// CHECK-NOT:     moe.divide
// CHECK:         return %[[SUM]], %[[WEIGHT_SUM]], %{{.*}} : tensor<f32>, tensor<f32>, tensor<4xi32>
func.func @evaluate(%tokens: tensor<2x3xi32> {moe.name = "tokens"})
    -> (tensor<6x5xf32> {moe.name = "logits"}, tensor<f32> {moe.name = "aux_loss"}, tensor<4xi32> {moe.name = "load.1"})
    attributes {moe.entry = #moe.entry<evaluate>} {
  %table = moe.read @table : tensor<5x5xf32>
  %logits = moe.embedding %table, %tokens : (tensor<5x5xf32>, tensor<2x3xi32>) -> tensor<6x5xf32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  %load = arith.constant dense<3> : tensor<4xi32>
  return %logits, %aux, %load : tensor<6x5xf32>, tensor<f32>, tensor<4xi32>
}

// -----

// Serving has no loss.
// CHECK-LABEL: func.func @decode_step
// CHECK-SAME:    (%{{.*}}: tensor<1x1xi32> {moe.name = "tokens"}) -> (tensor<1x5xf32> {moe.name = "logits"})
moe.variable @table parameter normal 0.02 : tensor<5x5xf32>
func.func @decode_step(%tokens: tensor<1x1xi32> {moe.name = "tokens"}) -> (tensor<1x5xf32> {moe.name = "logits"})
    attributes {moe.entry = #moe.entry<decode_step>} {
  %table = moe.read @table : tensor<5x5xf32>
  %logits = moe.embedding %table, %tokens : (tensor<5x5xf32>, tensor<1x1xi32>) -> tensor<1x5xf32>
  return %logits : tensor<1x5xf32>
}

// -----

// A projection that computes nothing but the logits becomes part of the loss.
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[W:.*]] = moe.read @lm_head
// CHECK-NOT:     moe.linear %
// CHECK:         %[[SUM:.*]] = moe.linear_cross_entropy %[[H:.*]], %[[W]], %{{.*}}, %{{.*}} : (tensor<6x4xf32>, tensor<5x4xf32>, tensor<2x3xi32>, tensor<2x3xf32>) -> tensor<f32>
// CHECK:         moe.divide %[[SUM]],
moe.variable @table parameter normal 0.02 : tensor<5x4xf32>
moe.variable @lm_head parameter normal 0.02 : tensor<5x4xf32>
func.func @train_step(%tokens: tensor<2x3xi32> {moe.name = "tokens"})
    -> (tensor<6x5xf32> {moe.name = "logits"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %table = moe.read @table : tensor<5x4xf32>
  %w = moe.read @lm_head : tensor<5x4xf32>
  %h = moe.embedding %table, %tokens : (tensor<5x4xf32>, tensor<2x3xi32>) -> tensor<6x4xf32>
  %logits = moe.linear %h, %w : (tensor<6x4xf32>, tensor<5x4xf32>) -> tensor<6x5xf32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %logits, %aux : tensor<6x5xf32>, tensor<f32>
}

// -----

// One whose result is read elsewhere too stays. Bf16 logits have a float32 loss.
// CHECK-LABEL: func.func @evaluate
// CHECK:         %[[LOGITS:.*]] = moe.linear %
// CHECK:         moe.cross_entropy %[[LOGITS]], %{{.*}}, %{{.*}} : (tensor<6x5xbf16>, tensor<2x3xi32>, tensor<2x3xf32>) -> (tensor<f32>, tensor<6xf32>)
moe.variable @table parameter normal 0.02 : tensor<5x4xbf16>
func.func @evaluate(%tokens: tensor<2x3xi32> {moe.name = "tokens"})
    -> (tensor<6x5xbf16> {moe.name = "logits"}, tensor<6x5xbf16> {moe.name = "copy"})
    attributes {moe.entry = #moe.entry<evaluate>} {
  %table = moe.read @table : tensor<5x4xbf16>
  %h = moe.embedding %table, %tokens : (tensor<5x4xbf16>, tensor<2x3xi32>) -> tensor<6x4xbf16>
  %logits = moe.linear %h, %table : (tensor<6x4xbf16>, tensor<5x4xbf16>) -> tensor<6x5xbf16>
  return %logits, %logits : tensor<6x5xbf16>, tensor<6x5xbf16>
}
