// Elementwise: the functions that gradients are checked on (see test/conformance/GradientTest.cpp).

func.func @add.two_operands(%a: tensor<2x3xf64>, %b: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %y = moe.add %a, %b : tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

// Both gradients reach the same value.
func.func @add.same_operand_twice(%a: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %y = moe.add %a, %a : tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

func.func @multiply.two_operands(%a: tensor<2x3xf64>, %b: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %y = moe.multiply %a, %b : tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

func.func @multiply.same_operand_twice(%a: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %y = moe.multiply %a, %a : tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

// Normally distributed denominators would come close to zero.
func.func @divide.denominator_far_from_zero(%a: tensor<2x3xf64>, %b: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %eight = arith.constant dense<8.0> : tensor<2x3xf64>
  %c = moe.add %b, %eight : tensor<2x3xf64>
  %y = moe.divide %a, %c : tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

func.func @divide.negative_denominator(%a: tensor<f64>, %b: tensor<f64>) -> tensor<f64> {
  %eight = arith.constant dense<-8.0> : tensor<f64>
  %c = moe.add %b, %eight : tensor<f64>
  %y = moe.divide %a, %c : tensor<f64>
  return %y : tensor<f64>
}

func.func @negate(%a: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %y = moe.negate %a : tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

func.func @sum.rank2(%a: tensor<2x3xf64>) -> tensor<f64> {
  %y = moe.sum %a : (tensor<2x3xf64>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @sum.rank0(%a: tensor<f64>) -> tensor<f64> {
  %y = moe.sum %a : (tensor<f64>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @sum.rank1(%a: tensor<1xf64>) -> tensor<f64> {
  %y = moe.sum %a : (tensor<1xf64>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @broadcast(%a: tensor<f64>) -> tensor<2x3xf64> {
  %y = moe.broadcast %a : (tensor<f64>) -> tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

// The interpreter does not round float32, so that casts are exact and differences stay smooth.
func.func @cast.wider(%a: tensor<2x3xf32>) -> tensor<2x3xf64> {
  %y = moe.cast %a : (tensor<2x3xf32>) -> tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

func.func @cast.narrower(%a: tensor<2x3xf64>) -> tensor<2x3xf32> {
  %y = moe.cast %a : (tensor<2x3xf64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @cast.there_and_back(%a: tensor<f64>) -> tensor<f64> {
  %b = moe.cast %a : (tensor<f64>) -> tensor<f32>
  %y = moe.cast %b : (tensor<f32>) -> tensor<f64>
  return %y : tensor<f64>
}
