// RUN: %moe-opt %s -split-input-file -verify-diagnostics

// bf16 beside float32: which op takes what.

func.func @cast(%0: tensor<6x8xf32>) {
  // expected-error @+1 {{result is [8, 6] but input is [6, 8]}}
  %r = moe.cast %0 : (tensor<6x8xf32>) -> tensor<8x6xbf16>
  return
}

// -----

// Sums of bf16 may stay float32; float32 is not rounded on the way.
func.func @linear_narrow(%0: tensor<6x8xf32>, %1: tensor<10x8xf32>) {
  // expected-error @+1 {{result holds 'bf16' but input holds 'f32'}}
  %r = moe.linear %0, %1 : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xbf16>
  return
}

// -----

func.func @linear_mixed_operands(%0: tensor<6x8xbf16>, %1: tensor<10x8xf32>) {
  // expected-error @+1 {{weight holds 'f32' but input holds 'bf16'}}
  %r = moe.linear %0, %1 : (tensor<6x8xbf16>, tensor<10x8xf32>) -> tensor<6x10xf32>
  return
}

// -----

func.func @matmul_wide(%0: tensor<6x8xbf16>, %1: tensor<8x10xbf16>) {
  // expected-error @+1 {{result holds 'f64' but lhs holds 'bf16'}}
  %r = moe.matmul %0, %1 : (tensor<6x8xbf16>, tensor<8x10xbf16>) -> tensor<6x10xf64>
  return
}

// -----

func.func @combine_weights(%0: tensor<6x8xbf16>, %1: tensor<6xi32>, %2: tensor<6x1xi32>, %3: tensor<6x1xf64>) {
  // expected-error @+1 {{weights holds 'f64' but statistics of 'bf16' data are 'f32'}}
  %r = moe.combine %0 plan(%1, %2) weights(%3) : (tensor<6x8xbf16>, tensor<6xi32>, tensor<6x1xi32>, tensor<6x1xf64>) -> tensor<6x8xbf16>
  return
}

// -----

func.func @adamw_master(%p: tensor<3xbf16>, %m: tensor<3xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{has a master but no new one}}
  %r:3 = moe.adamw %p, %p, %m, %m, %s, %s, %s, %s, %m
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<3xbf16>, tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<3xf32>)
    -> (tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @adamw_master(%p: tensor<3xbf16>, %m: tensor<3xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{has a new master but none to update}}
  %r:4 = moe.adamw %p, %p, %m, %m, %s, %s, %s, %s
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<3xbf16>, tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @adamw_master(%p: tensor<3xbf16>, %m: tensor<3xf32>, %s: tensor<f32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{master is [4] but parameter is [3]}}
  %r:4 = moe.adamw %p, %p, %m, %m, %s, %s, %s, %s, %w
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<3xbf16>, tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<4xf32>)
    -> (tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}
