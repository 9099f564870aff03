// RUN: %moe-opt %s --split-input-file --verify-diagnostics --moe-apply-optimizer

// moe.training has the hyperparameters.
moe.variable @w parameter normal 0.02 : tensor<f32>
// expected-error @below {{needs the hyperparameters of a moe.training}}
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "gradient.w"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<f32>
  return %w, %w : tensor<f32>, tensor<f32>
}

// -----

// The passes are in order.
moe.variable @w parameter normal 0.02 : tensor<f32>
moe.training (batch_size = 1, sequence_length = 2)
// expected-error @below {{has no gradients to apply: moe-differentiate comes first}}
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}) attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<f32>
  return %w : tensor<f32>
}

// -----

// An output of that name is the gradient of a variable.
moe.variable @w parameter normal 0.02 : tensor<f32>
moe.training (batch_size = 1, sequence_length = 2)
func.func @train_step() -> (tensor<f32> {moe.name = "loss"}, tensor<f32> {moe.name = "gradient.v"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %w = moe.read @w : tensor<f32>
  // expected-error @below {{returns the gradient of 'v', which is no variable}}
  return %w, %w : tensor<f32>, tensor<f32>
}
