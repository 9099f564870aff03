// RUN: %moe-opt %s -split-input-file -moe-schedule -verify-diagnostics

// What is not a launch, a call or a variable has to become a kernel first.
func.func @evaluate(%x: tensor<4xf32> {moe.name = "x"}) -> (tensor<4xf32> {moe.name = "y"})
    attributes {moe.entry = #moe.entry<evaluate>} {
  // expected-error @+1 {{cannot be scheduled: only launches, calls and variables are left after the stage fuse}}
  %0 = moe.add %x, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-error @+1 {{needs 'moe.name' on result 0 of an entry point}}
func.func @evaluate(%x: tensor<4xf32> {moe.name = "x"}) -> tensor<4xf32> attributes {moe.entry = #moe.entry<evaluate>} {
  return %x : tensor<4xf32>
}

// -----

// Only fills make constants outside kernels.
func.func @evaluate() -> (tensor<2xf32> {moe.name = "y"}) attributes {moe.entry = #moe.entry<evaluate>} {
  // expected-error @+1 {{outside a kernel must be one byte repeated, such as zeros}}
  %0 = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

moe.variable @a buffer zeros : tensor<4xf32>
moe.variable @b buffer ones : tensor<4xf32>
// expected-error @+1 {{exchanges the values of variables, which is not supported}}
func.func @evaluate() attributes {moe.entry = #moe.entry<evaluate>} {
  %a = moe.read @a : tensor<4xf32>
  %b = moe.read @b : tensor<4xf32>
  moe.write %a, @b : tensor<4xf32>
  moe.write %b, @a : tensor<4xf32>
  return
}

// -----

// What a variable holds cannot be computed elsewhere.
moe.variable @w parameter ones : tensor<64xf32>
func.func @evaluate() -> (tensor<128xf32> {moe.name = "y"}) attributes {moe.entry = #moe.entry<evaluate>} {
  %w = moe.read @w : tensor<64xf32>
  // expected-error @+1 {{operand 0 is not the result of a launch, or is part of another tensor already: it cannot be computed in its place}}
  %0 = moe_kernel.concat %w, %w : (tensor<64xf32>, tensor<64xf32>) -> tensor<128xf32>
  return %0 : tensor<128xf32>
}
