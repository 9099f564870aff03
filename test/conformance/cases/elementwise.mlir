// Elementwise ops: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @add.two_operands(%a: tensor<2x3x!storage>, %b: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.add %a, %b : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @add.odd_size(%a: tensor<3x1001x!storage>, %b: tensor<3x1001x!storage>) -> tensor<3x1001x!storage> {
  %y = moe.add %a, %b : tensor<3x1001x!storage>
  return %y : tensor<3x1001x!storage>
}

// Both gradients reach the same value.
func.func @add.same_operand_twice(%a: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.add %a, %a : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @multiply.two_operands(%a: tensor<2x3x!storage>, %b: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.multiply %a, %b : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @multiply.odd_size(%a: tensor<3x1001x!storage>, %b: tensor<3x1001x!storage>) -> tensor<3x1001x!storage> {
  %y = moe.multiply %a, %b : tensor<3x1001x!storage>
  return %y : tensor<3x1001x!storage>
}

func.func @multiply.same_operand_twice(%a: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.multiply %a, %a : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @divide.denominator_far_from_zero(%a: tensor<2x3x!storage>,
    %b: tensor<2x3x!storage> {moe.draw = "normal(1, 8)"}) -> tensor<2x3x!storage> {
  %y = moe.divide %a, %b : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @divide.negative_denominator(%a: tensor<!storage>, %b: tensor<!storage> {moe.draw = "normal(1, -8)"})
    -> tensor<!storage> {
  %y = moe.divide %a, %b : tensor<!storage>
  return %y : tensor<!storage>
}

func.func @divide.odd_size(%a: tensor<7x129x!storage>, %b: tensor<7x129x!storage> {moe.draw = "normal(1, 8)"})
    -> tensor<7x129x!storage> {
  %y = moe.divide %a, %b : tensor<7x129x!storage>
  return %y : tensor<7x129x!storage>
}

func.func @negate.matrix(%a: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.negate %a : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @negate.odd_size(%a: tensor<5x77x!storage>) -> tensor<5x77x!storage> {
  %y = moe.negate %a : tensor<5x77x!storage>
  return %y : tensor<5x77x!storage>
}

func.func @sum.matrix(%a: tensor<2x3x!storage>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<2x3x!storage>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @sum.scalar(%a: tensor<!stat>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<!stat>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @sum.one_element(%a: tensor<1x!storage>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<1x!storage>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @sum.many_elements(%a: tensor<37x291x!storage>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<37x291x!storage>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @sum.large_terms_cancel(%a: tensor<4x250x!storage> {moe.draw = "extreme(1e4)"}) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<4x250x!storage>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @broadcast.matrix(%a: tensor<!stat>) -> tensor<2x3x!stat> {
  %y = moe.broadcast %a : (tensor<!stat>) -> tensor<2x3x!stat>
  return %y : tensor<2x3x!stat>
}

func.func @broadcast.odd_size(%a: tensor<!stat>) -> tensor<3x333x!stat> {
  %y = moe.broadcast %a : (tensor<!stat>) -> tensor<3x333x!stat>
  return %y : tensor<3x333x!stat>
}

// In float32 both types are the same.
func.func @cast.to_float32(%x: tensor<5x33x!storage>) -> tensor<5x33x!stat> {
  %y = moe.cast %x : (tensor<5x33x!storage>) -> tensor<5x33x!stat>
  return %y : tensor<5x33x!stat>
}

func.func @cast.from_float32(%x: tensor<5x33x!stat>) -> tensor<5x33x!storage> {
  %y = moe.cast %x : (tensor<5x33x!stat>) -> tensor<5x33x!storage>
  return %y : tensor<5x33x!storage>
}

func.func @cast.one_element(%x: tensor<1x!stat>) -> tensor<1x!storage> {
  %y = moe.cast %x : (tensor<1x!stat>) -> tensor<1x!storage>
  return %y : tensor<1x!storage>
}
