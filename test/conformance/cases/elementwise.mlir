// Elementwise: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @add.two_operands(%a: tensor<2x3x!storage>, %b: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.add %a, %b : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
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

func.func @multiply.same_operand_twice(%a: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.multiply %a, %a : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

// Normally distributed denominators would come close to zero.
func.func @divide.denominator_far_from_zero(%a: tensor<2x3x!storage>, %b: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %eight = arith.constant dense<8.0> : tensor<2x3x!storage>
  %c = moe.add %b, %eight : tensor<2x3x!storage>
  %y = moe.divide %a, %c : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @divide.negative_denominator(%a: tensor<!storage>, %b: tensor<!storage>) -> tensor<!storage> {
  %eight = arith.constant dense<-8.0> : tensor<!storage>
  %c = moe.add %b, %eight : tensor<!storage>
  %y = moe.divide %a, %c : tensor<!storage>
  return %y : tensor<!storage>
}

func.func @negate.matrix(%a: tensor<2x3x!storage>) -> tensor<2x3x!storage> {
  %y = moe.negate %a : tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @sum.rank2(%a: tensor<2x3x!storage>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<2x3x!storage>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @sum.rank0(%a: tensor<!stat>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<!stat>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @sum.rank1(%a: tensor<1x!storage>) -> tensor<!stat> {
  %y = moe.sum %a : (tensor<1x!storage>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @broadcast.scalar(%a: tensor<!stat>) -> tensor<2x3x!storage> {
  %y = moe.broadcast %a : (tensor<!stat>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}
