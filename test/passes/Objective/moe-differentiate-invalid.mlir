// RUN: %moe-opt %s --split-input-file --verify-diagnostics --moe-differentiate

// An op without a rule is named, where it is, instead of silently contributing nothing.
moe.variable @w parameter normal 0.02 : tensor<2x2xf32>
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2x2xf32>
  // expected-error @below {{'moe.global_norm' op has no gradient but lies between a parameter and the loss}}
  %loss = moe.global_norm %w : (tensor<2x2xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// So is one inside of a layer.
moe.variable @w parameter normal 0.02 : tensor<2x2xf32>
func.func private @layer(%w: tensor<2x2xf32>) -> tensor<f32> {
  // expected-error @below {{'moe.global_norm' op has no gradient but lies between a parameter and the loss}}
  %norm = moe.global_norm %w : (tensor<2x2xf32>) -> tensor<f32>
  return %norm : tensor<f32>
}
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2x2xf32>
  %loss = call @layer(%w) : (tensor<2x2xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// The weights of the tokens are data: a rule has no gradient for them, so they must not depend on a parameter.
moe.variable @logits parameter normal 0.02 : tensor<2x3xf32>
moe.variable @weights parameter ones : tensor<2xf32>
func.func @train_step(%targets: tensor<2xi32> {moe.name = "targets"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %logits = moe.read @logits : tensor<2x3xf32>
  %weights = moe.read @weights : tensor<2xf32>
  // expected-error @below {{'moe.cross_entropy' op has no gradient for operand #2, which depends on a parameter}}
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<2x3xf32>, tensor<2xi32>, tensor<2xf32>) -> (tensor<f32>, tensor<2xf32>)
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// By-products of the forward pass have no gradient.
moe.variable @logits parameter normal 0.02 : tensor<2x3xf32>
func.func @train_step(%targets: tensor<2xi32> {moe.name = "targets"}, %weights: tensor<2xf32> {moe.name = "weights"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %logits = moe.read @logits : tensor<2x3xf32>
  // expected-error @below {{'moe.cross_entropy' op has no gradient for its result 'lse', on which the loss depends}}
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<2x3xf32>, tensor<2xi32>, tensor<2xf32>) -> (tensor<f32>, tensor<2xf32>)
  %aux = moe.sum %lse : (tensor<2xf32>) -> tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// A parameter that cannot learn is a mistake in the model; all of them are listed.
moe.variable @w parameter normal 0.02 : tensor<2xf32>
// expected-error @below {{parameter 'unread' has no gradient: the loss of 'train_step' does not depend on it}}
moe.variable @unread parameter normal 0.02 : tensor<2xf32>
// expected-error @below {{parameter 'unused' has no gradient: the loss of 'train_step' does not depend on it}}
moe.variable @unused parameter normal 0.02 : tensor<2xf32>
moe.variable @bias buffer zeros : tensor<2xf32>
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<2xf32>
  %unused = moe.read @unused : tensor<2xf32>
  %loss = moe.sum %w : (tensor<2xf32>) -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// Layers get their parameters as operands: one body serves many layers.
moe.variable @w parameter normal 0.02 : tensor<2xf32>
func.func private @layer() -> tensor<f32> {
  // expected-error @below {{'moe.read' op reads a parameter outside the entry point, which has to pass it as an operand}}
  %w = moe.read @w : tensor<2xf32>
  %sum = moe.sum %w : (tensor<2xf32>) -> tensor<f32>
  return %sum : tensor<f32>
}
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %loss = call @layer() : () -> tensor<f32>
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %loss, %aux : tensor<f32>, tensor<f32>
}

// -----

// There is no order in which the halves of functions that call each other could be built.
// expected-error @below {{cannot be differentiated: it calls itself}}
func.func private @layer(%x: tensor<f32>) -> tensor<f32> {
  %y = call @layer(%x) : (tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}
func.func @train_step(%x: tensor<f32> {moe.name = "x"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %loss = call @layer(%x) : (tensor<f32>) -> tensor<f32>
  return %loss, %x : tensor<f32>, tensor<f32>
}

// -----

// expected-error @below {{cannot be differentiated: it has no body}}
func.func private @layer(tensor<f32>) -> tensor<f32>
func.func @train_step(%x: tensor<f32> {moe.name = "x"})
    -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %loss = call @layer(%x) : (tensor<f32>) -> tensor<f32>
  return %loss, %x : tensor<f32>, tensor<f32>
}

// -----

// The loss has to be attached first.
// expected-error @below {{entry point has no output named 'loss'}}
func.func @train_step() -> (tensor<f32> {moe.name = "aux_loss"}) attributes {moe.entry = #moe.entry<train_step>} {
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %aux : tensor<f32>
}
