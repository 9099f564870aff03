// RUN: %moe-opt %s --split-input-file --verify-diagnostics --moe-attach-loss

// Without logits there is nothing to take a loss of.
// expected-error @below {{entry point has no output named 'logits'}}
func.func @train_step(%tokens: tensor<2x3xi32> {moe.name = "tokens"}) -> (tensor<f32> {moe.name = "aux_loss"})
    attributes {moe.entry = #moe.entry<train_step>} {
  %aux = arith.constant dense<0.0> : tensor<f32>
  return %aux : tensor<f32>
}

// -----

// Targets have the type of the tokens.
// expected-error @below {{entry point has no input named 'tokens'}}
func.func @evaluate() -> (tensor<6x5xf32> {moe.name = "logits"}) attributes {moe.entry = #moe.entry<evaluate>} {
  %logits = arith.constant dense<0.0> : tensor<6x5xf32>
  return %logits : tensor<6x5xf32>
}
