// RUN: %moe-opt %s -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// Loss and optimizer
//===----------------------------------------------------------------------===//

func.func @cross_entropy(%0: tensor<6x10xf32>, %1: tensor<5xi32>, %2: tensor<6xf32>) {
  // expected-error @+1 {{targets has 5 elements but T is 6}}
  %r:2 = moe.cross_entropy %0, %1, %2 : (tensor<6x10xf32>, tensor<5xi32>, tensor<6xf32>) -> (tensor<f32>, tensor<6xf32>)
  return
}

// -----

func.func @cross_entropy(%0: tensor<6x10xf32>, %1: tensor<2x3xi32>, %2: tensor<5xf32>) {
  // expected-error @+1 {{weights has 5 elements but T is 6}}
  %r:2 = moe.cross_entropy %0, %1, %2
    : (tensor<6x10xf32>, tensor<2x3xi32>, tensor<5xf32>) -> (tensor<f32>, tensor<6xf32>)
  return
}

// -----

func.func @cross_entropy(%0: tensor<6x10xf32>, %1: tensor<6xi32>, %2: tensor<6xf32>) {
  // expected-error @+1 {{lse is [6, 1] but [T] is [6]}}
  %r:2 = moe.cross_entropy %0, %1, %2
    : (tensor<6x10xf32>, tensor<6xi32>, tensor<6xf32>) -> (tensor<f32>, tensor<6x1xf32>)
  return
}

// -----

func.func @cross_entropy_backward(%0: tensor<6x10xf32>, %1: tensor<6xi32>, %2: tensor<6xf32>, %3: tensor<6xf32>, %4: tensor<f32>) {
  // expected-error @+1 {{logits_gradient is [6, 9] but logits is [6, 10]}}
  %r = moe.cross_entropy_backward %0, %1, %2, %3, %4
    : (tensor<6x10xf32>, tensor<6xi32>, tensor<6xf32>, tensor<6xf32>, tensor<f32>) -> tensor<6x9xf32>
  return
}

// -----

func.func @linear_cross_entropy(%0: tensor<6x8xf32>, %1: tensor<10x7xf32>, %2: tensor<6xi32>, %3: tensor<6xf32>) {
  // expected-error @+1 {{weight is [10, 7] but [V, d] is [10, 8]}}
  %r = moe.linear_cross_entropy %0, %1, %2, %3
    : (tensor<6x8xf32>, tensor<10x7xf32>, tensor<6xi32>, tensor<6xf32>) -> tensor<f32>
  return
}

// -----

func.func @linear_cross_entropy(%0: tensor<6x8xf32>, %1: tensor<10x8xbf16>, %2: tensor<6xi32>, %3: tensor<6xf32>) {
  // expected-error @+1 {{weight holds 'bf16' but hidden holds 'f32'}}
  %r = moe.linear_cross_entropy %0, %1, %2, %3
    : (tensor<6x8xf32>, tensor<10x8xbf16>, tensor<6xi32>, tensor<6xf32>) -> tensor<f32>
  return
}

// -----

func.func @linear_cross_entropy_backward(%0: tensor<6x8xf32>, %1: tensor<10x8xf32>, %2: tensor<5xi32>, %3: tensor<6xf32>, %4: tensor<f32>) {
  // expected-error @+1 {{targets has 5 elements but T is 6}}
  %r:3 = moe.linear_cross_entropy_backward %0, %1, %2, %3, %4
    : (tensor<6x8xf32>, tensor<10x8xf32>, tensor<5xi32>, tensor<6xf32>, tensor<f32>)
    -> (tensor<f32>, tensor<6x8xf32>, tensor<10x8xf32>)
  return
}

// -----

func.func @linear_cross_entropy_backward(%0: tensor<6x8xf32>, %1: tensor<10x8xf32>, %2: tensor<6xi32>, %3: tensor<6xf32>, %4: tensor<f32>) {
  // expected-error @+1 {{weight_gradient is [8, 10] but weight is [10, 8]}}
  %r:3 = moe.linear_cross_entropy_backward %0, %1, %2, %3, %4
    : (tensor<6x8xf32>, tensor<10x8xf32>, tensor<6xi32>, tensor<6xf32>, tensor<f32>)
    -> (tensor<f32>, tensor<6x8xf32>, tensor<8x10xf32>)
  return
}

// -----

func.func @global_norm() {
  // expected-error @+1 {{has no operands; the norm of nothing is not needed}}
  %r = moe.global_norm : () -> tensor<f32>
  return
}

// -----

func.func @global_norm(%0: tensor<3xf64>) {
  // expected-error @+1 {{norm holds 'f32' but statistics of 'f64' data are 'f64'}}
  %r = moe.global_norm %0 : (tensor<3xf64>) -> tensor<f32>
  return
}

// -----

func.func @adamw(%0: tensor<10x8xf32>, %1: tensor<8x10xf32>, %2: tensor<10x8xf32>, %3: tensor<10x8xf32>, %4: tensor<f32>, %5: tensor<f32>, %6: tensor<f32>, %7: tensor<f32>) {
  // expected-error @+1 {{gradient is [8, 10] but parameter is [10, 8]}}
  %r:3 = moe.adamw %0, %1, %2, %3, %4, %5, %6, %7
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<10x8xf32>, tensor<8x10xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>)
  return
}

// -----

func.func @adamw(%0: tensor<10x8xf32>, %1: tensor<10x8xf32>, %2: tensor<10x8xf32>, %3: tensor<10x8xf32>, %4: tensor<f32>, %5: tensor<f32>, %6: tensor<f32>, %7: tensor<f32>) {
  // expected-error @+1 {{new_exp_avg_sq is [8] but parameter is [10, 8]}}
  %r:3 = moe.adamw %0, %1, %2, %3, %4, %5, %6, %7
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<10x8xf32>, tensor<10x8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adamw(%0: tensor<10x8xf32>, %1: tensor<10x8xf32>, %2: tensor<10x8xf32>, %3: tensor<10x8xf32>, %4: tensor<f32>, %5: tensor<f64>, %6: tensor<f32>, %7: tensor<f32>) {
  // expected-error @+1 {{learning_rate holds 'f64' but statistics of 'f32' data are 'f32'}}
  %r:3 = moe.adamw %0, %1, %2, %3, %4, %5, %6, %7
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>, tensor<f32>, tensor<f64>, tensor<f32>, tensor<f32>)
    -> (tensor<10x8xf32>, tensor<10x8xf32>, tensor<10x8xf32>)
  return
}

// -----

func.func @adamw(%0: tensor<3xf32>, %1: tensor<3xf32>, %2: tensor<3xf32>, %3: tensor<3xf32>, %4: tensor<f32>, %5: tensor<f32>, %6: tensor<f32>, %7: tensor<f32>) {
  // expected-error @+1 {{beta2 is 1.0 but must be at least 0 and below 1}}
  %r:3 = moe.adamw %0, %1, %2, %3, %4, %5, %6, %7
    {beta1 = 0.9, beta2 = 1.0, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @adamw(%0: tensor<3xf32>, %1: tensor<3xf32>, %2: tensor<3xf32>, %3: tensor<3xf32>, %4: tensor<f32>, %5: tensor<f32>, %6: tensor<f32>, %7: tensor<f32>) {
  // expected-error @+1 {{epsilon is 0.0 but must be above 0}}
  %r:3 = moe.adamw %0, %1, %2, %3, %4, %5, %6, %7
    {beta1 = 0.9, beta2 = 0.95, epsilon = 0.0, weight_decay = 0.1, max_grad_norm = 1.0}
    : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @adamw(%0: tensor<3xf32>, %1: tensor<3xf32>, %2: tensor<3xf32>, %3: tensor<3xf32>, %4: tensor<f32>, %5: tensor<f32>, %6: tensor<f32>, %7: tensor<f32>) {
  // expected-error @+1 {{max_grad_norm is -1.0 but must be above 0}}
  %r:3 = moe.adamw %0, %1, %2, %3, %4, %5, %6, %7
    {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = -1.0}
    : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}
