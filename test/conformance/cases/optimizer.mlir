// Optimizer: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @global_norm.one_tensor(%a: tensor<3x5x!storage>) -> tensor<!stat> attributes {moe.no_gradient} {
  %norm = moe.global_norm %a : (tensor<3x5x!storage>) -> tensor<!stat>
  return %norm : tensor<!stat>
}

func.func @global_norm.several_tensors(%a: tensor<33x70x!storage>, %b: tensor<7x!storage>, %c: tensor<2x3x50x!storage>)
    -> tensor<!stat> attributes {moe.no_gradient} {
  %norm = moe.global_norm %a, %b, %c
      : (tensor<33x70x!storage>, tensor<7x!storage>, tensor<2x3x50x!storage>) -> tensor<!stat>
  return %norm : tensor<!stat>
}

func.func @global_norm.zeros(%a: tensor<4x4x!storage> {moe.draw = "constant(0)"},
    %b: tensor<3x!storage> {moe.draw = "constant(0)"}) -> tensor<!stat> attributes {moe.no_gradient} {
  %norm = moe.global_norm %a, %b : (tensor<4x4x!storage>, tensor<3x!storage>) -> tensor<!stat>
  return %norm : tensor<!stat>
}

func.func @global_norm.large_values(%a: tensor<9x100x!storage> {moe.draw = "extreme(1e4)"},
    %b: tensor<30x!storage> {moe.draw = "extreme(1e4)"}) -> tensor<!stat> attributes {moe.no_gradient} {
  %norm = moe.global_norm %a, %b : (tensor<9x100x!storage>, tensor<30x!storage>) -> tensor<!stat>
  return %norm : tensor<!stat>
}

func.func @global_norm.many_elements(%a: tensor<65x257x!storage>) -> tensor<!stat> attributes {moe.no_gradient} {
  %norm = moe.global_norm %a : (tensor<65x257x!storage>) -> tensor<!stat>
  return %norm : tensor<!stat>
}

func.func @adamw.matrix(%parameter: tensor<5x7x!storage>, %gradient: tensor<5x7x!storage>,
    %m: tensor<5x7x!stat> {moe.draw = "normal(0.1)"}, %v: tensor<5x7x!stat> {moe.draw = "uniform(0, 0.1)"},
    %norm: tensor<!stat> {moe.draw = "constant(0.5)"}, %rate: tensor<!stat> {moe.draw = "constant(0.01)"},
    %c1: tensor<!stat> {moe.draw = "constant(0.5)"}, %c2: tensor<!stat> {moe.draw = "constant(0.1)"})
    -> (tensor<5x7x!storage>, tensor<5x7x!stat>, tensor<5x7x!stat>) attributes {moe.no_gradient} {
  %p1, %m1, %v1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
      : (tensor<5x7x!storage>, tensor<5x7x!storage>, tensor<5x7x!stat>, tensor<5x7x!stat>, tensor<!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>) -> (tensor<5x7x!storage>, tensor<5x7x!stat>, tensor<5x7x!stat>)
  return %p1, %m1, %v1 : tensor<5x7x!storage>, tensor<5x7x!stat>, tensor<5x7x!stat>
}

func.func @adamw.vector(%parameter: tensor<33x!storage>, %gradient: tensor<33x!storage>,
    %m: tensor<33x!stat> {moe.draw = "normal(0.1)"}, %v: tensor<33x!stat> {moe.draw = "uniform(0, 0.1)"},
    %norm: tensor<!stat> {moe.draw = "constant(0.5)"}, %rate: tensor<!stat> {moe.draw = "constant(0.01)"},
    %c1: tensor<!stat> {moe.draw = "constant(0.5)"}, %c2: tensor<!stat> {moe.draw = "constant(0.1)"})
    -> (tensor<33x!storage>, tensor<33x!stat>, tensor<33x!stat>) attributes {moe.no_gradient} {
  %p1, %m1, %v1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.0, max_grad_norm = 1.0}
      : (tensor<33x!storage>, tensor<33x!storage>, tensor<33x!stat>, tensor<33x!stat>, tensor<!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>) -> (tensor<33x!storage>, tensor<33x!stat>, tensor<33x!stat>)
  return %p1, %m1, %v1 : tensor<33x!storage>, tensor<33x!stat>, tensor<33x!stat>
}

func.func @adamw.clipped(%parameter: tensor<9x30x!storage>, %gradient: tensor<9x30x!storage>,
    %m: tensor<9x30x!stat> {moe.draw = "normal(0.1)"}, %v: tensor<9x30x!stat> {moe.draw = "uniform(0, 0.1)"},
    %norm: tensor<!stat> {moe.draw = "constant(20)"}, %rate: tensor<!stat> {moe.draw = "constant(0.01)"},
    %c1: tensor<!stat> {moe.draw = "constant(0.5)"}, %c2: tensor<!stat> {moe.draw = "constant(0.1)"})
    -> (tensor<9x30x!storage>, tensor<9x30x!stat>, tensor<9x30x!stat>) attributes {moe.no_gradient} {
  %p1, %m1, %v1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
      : (tensor<9x30x!storage>, tensor<9x30x!storage>, tensor<9x30x!stat>, tensor<9x30x!stat>, tensor<!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>) -> (tensor<9x30x!storage>, tensor<9x30x!stat>, tensor<9x30x!stat>)
  return %p1, %m1, %v1 : tensor<9x30x!storage>, tensor<9x30x!stat>, tensor<9x30x!stat>
}

// Moments are zero before.
func.func @adamw.first_step(%parameter: tensor<4x9x!storage>, %gradient: tensor<4x9x!storage>,
    %m: tensor<4x9x!stat> {moe.draw = "constant(0)"}, %v: tensor<4x9x!stat> {moe.draw = "constant(0)"},
    %norm: tensor<!stat> {moe.draw = "constant(0.5)"}, %rate: tensor<!stat> {moe.draw = "constant(0.01)"},
    %c1: tensor<!stat> {moe.draw = "constant(0.1)"}, %c2: tensor<!stat> {moe.draw = "constant(0.05)"})
    -> (tensor<4x9x!storage>, tensor<4x9x!stat>, tensor<4x9x!stat>) attributes {moe.no_gradient} {
  %p1, %m1, %v1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
      : (tensor<4x9x!storage>, tensor<4x9x!storage>, tensor<4x9x!stat>, tensor<4x9x!stat>, tensor<!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>) -> (tensor<4x9x!storage>, tensor<4x9x!stat>, tensor<4x9x!stat>)
  return %p1, %m1, %v1 : tensor<4x9x!storage>, tensor<4x9x!stat>, tensor<4x9x!stat>
}

// Only epsilon keeps the denominator from being zero.
func.func @adamw.no_gradient(%parameter: tensor<3x4x!storage>,
    %gradient: tensor<3x4x!storage> {moe.draw = "constant(0)"}, %m: tensor<3x4x!stat> {moe.draw = "constant(0)"},
    %v: tensor<3x4x!stat> {moe.draw = "constant(0)"}, %norm: tensor<!stat> {moe.draw = "constant(0.5)"},
    %rate: tensor<!stat> {moe.draw = "constant(0.01)"}, %c1: tensor<!stat> {moe.draw = "constant(0.5)"},
    %c2: tensor<!stat> {moe.draw = "constant(0.1)"})
    -> (tensor<3x4x!storage>, tensor<3x4x!stat>, tensor<3x4x!stat>) attributes {moe.no_gradient} {
  %p1, %m1, %v1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
      : (tensor<3x4x!storage>, tensor<3x4x!storage>, tensor<3x4x!stat>, tensor<3x4x!stat>, tensor<!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>) -> (tensor<3x4x!storage>, tensor<3x4x!stat>, tensor<3x4x!stat>)
  return %p1, %m1, %v1 : tensor<3x4x!storage>, tensor<3x4x!stat>, tensor<3x4x!stat>
}

func.func @adamw.experts(%parameter: tensor<3x20x41x!storage>, %gradient: tensor<3x20x41x!storage>,
    %m: tensor<3x20x41x!stat> {moe.draw = "normal(0.1)"}, %v: tensor<3x20x41x!stat> {moe.draw = "uniform(0, 0.1)"},
    %norm: tensor<!stat> {moe.draw = "constant(0.5)"}, %rate: tensor<!stat> {moe.draw = "constant(0.01)"},
    %c1: tensor<!stat> {moe.draw = "constant(0.5)"}, %c2: tensor<!stat> {moe.draw = "constant(0.1)"})
    -> (tensor<3x20x41x!storage>, tensor<3x20x41x!stat>, tensor<3x20x41x!stat>) attributes {moe.no_gradient} {
  %p1, %m1, %v1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
      : (tensor<3x20x41x!storage>, tensor<3x20x41x!storage>, tensor<3x20x41x!stat>, tensor<3x20x41x!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>, tensor<!stat>)
        -> (tensor<3x20x41x!storage>, tensor<3x20x41x!stat>, tensor<3x20x41x!stat>)
  return %p1, %m1, %v1 : tensor<3x20x41x!storage>, tensor<3x20x41x!stat>, tensor<3x20x41x!stat>
}

// A bf16 parameter is what its float32 master rounds to.
func.func @adamw.master(%parameter: tensor<6x11x!storage>, %gradient: tensor<6x11x!storage>,
    %m: tensor<6x11x!stat> {moe.draw = "normal(0.1)"}, %v: tensor<6x11x!stat> {moe.draw = "uniform(0, 0.1)"},
    %norm: tensor<!stat> {moe.draw = "constant(0.5)"}, %rate: tensor<!stat> {moe.draw = "constant(0.01)"},
    %c1: tensor<!stat> {moe.draw = "constant(0.5)"}, %c2: tensor<!stat> {moe.draw = "constant(0.1)"},
    %master: tensor<6x11x!stat>)
    -> (tensor<6x11x!storage>, tensor<6x11x!stat>, tensor<6x11x!stat>, tensor<6x11x!stat>)
    attributes {moe.no_gradient} {
  %p1, %m1, %v1, %master1 = moe.adamw %parameter, %gradient, %m, %v, %norm, %rate, %c1, %c2, %master
      {beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}
      : (tensor<6x11x!storage>, tensor<6x11x!storage>, tensor<6x11x!stat>, tensor<6x11x!stat>, tensor<!stat>,
        tensor<!stat>, tensor<!stat>, tensor<!stat>, tensor<6x11x!stat>)
        -> (tensor<6x11x!storage>, tensor<6x11x!stat>, tensor<6x11x!stat>, tensor<6x11x!stat>)
  return %p1, %m1, %v1, %master1 : tensor<6x11x!storage>, tensor<6x11x!stat>, tensor<6x11x!stat>, tensor<6x11x!stat>
}
