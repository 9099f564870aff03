// Dense layers: the functions that gradients are checked on (see test/conformance/GradientTest.cpp).

// Rows add up; row 1 gets none.
func.func @embedding.repeated_and_unused_rows(%table: tensor<4x3xf64>) -> tensor<6x3xf64> {
  %i = arith.constant dense<[[2, 0, 2], [2, 3, 0]]> : tensor<2x3xi32>
  %y = moe.embedding %table, %i : (tensor<4x3xf64>, tensor<2x3xi32>) -> tensor<6x3xf64>
  return %y : tensor<6x3xf64>
}

func.func @embedding.one_token(%table: tensor<4x3xf64>) -> tensor<1x3xf64> {
  %i = arith.constant dense<1> : tensor<1xi32>
  %y = moe.embedding %table, %i : (tensor<4x3xf64>, tensor<1xi32>) -> tensor<1x3xf64>
  return %y : tensor<1x3xf64>
}

func.func @linear.odd_sizes(%x: tensor<3x5xf64>, %w: tensor<7x5xf64>) -> tensor<3x7xf64> {
  %y = moe.linear %x, %w : (tensor<3x5xf64>, tensor<7x5xf64>) -> tensor<3x7xf64>
  return %y : tensor<3x7xf64>
}

func.func @linear.one_token(%x: tensor<1x4xf64>, %w: tensor<3x4xf64>) -> tensor<1x3xf64> {
  %y = moe.linear %x, %w : (tensor<1x4xf64>, tensor<3x4xf64>) -> tensor<1x3xf64>
  return %y : tensor<1x3xf64>
}

func.func @linear.one_feature(%x: tensor<3x1xf64>, %w: tensor<1x1xf64>) -> tensor<3x1xf64> {
  %y = moe.linear %x, %w : (tensor<3x1xf64>, tensor<1x1xf64>) -> tensor<3x1xf64>
  return %y : tensor<3x1xf64>
}

// Two uses of one parameter add up.
func.func @linear.weight_used_twice(%x: tensor<3x4xf64>, %w: tensor<4x4xf64>) -> tensor<3x4xf64> {
  %h = moe.linear %x, %w : (tensor<3x4xf64>, tensor<4x4xf64>) -> tensor<3x4xf64>
  %y = moe.linear %h, %w : (tensor<3x4xf64>, tensor<4x4xf64>) -> tensor<3x4xf64>
  return %y : tensor<3x4xf64>
}

func.func @matmul.lhs_rhs(%a: tensor<3x4xf64>, %b: tensor<4x5xf64>) -> tensor<3x5xf64> {
  %y = moe.matmul %a, %b : (tensor<3x4xf64>, tensor<4x5xf64>) -> tensor<3x5xf64>
  return %y : tensor<3x5xf64>
}

func.func @matmul.lhs_rhs_transposed(%a: tensor<3x4xf64>, %b: tensor<5x4xf64>) -> tensor<3x5xf64> {
  %y = moe.matmul %a, %b {transpose_rhs} : (tensor<3x4xf64>, tensor<5x4xf64>) -> tensor<3x5xf64>
  return %y : tensor<3x5xf64>
}

func.func @matmul.lhs_transposed_rhs(%a: tensor<4x3xf64>, %b: tensor<4x5xf64>) -> tensor<3x5xf64> {
  %y = moe.matmul %a, %b {transpose_lhs} : (tensor<4x3xf64>, tensor<4x5xf64>) -> tensor<3x5xf64>
  return %y : tensor<3x5xf64>
}

func.func @matmul.lhs_transposed_rhs_transposed(%a: tensor<4x3xf64>, %b: tensor<5x4xf64>) -> tensor<3x5xf64> {
  %y = moe.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<4x3xf64>, tensor<5x4xf64>) -> tensor<3x5xf64>
  return %y : tensor<3x5xf64>
}

// A layer norm.
func.func @rms_norm.one_group(%x: tensor<3x5xf64>, %w: tensor<5xf64>) -> tensor<3x5xf64> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<3x5xf64>, tensor<5xf64>) -> tensor<3x5xf64>
  return %y : tensor<3x5xf64>
}

// Queries and keys: each head is normalised by itself.
func.func @rms_norm.per_head_groups(%x: tensor<3x8xf64>, %w: tensor<4xf64>) -> tensor<3x8xf64> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<3x8xf64>, tensor<4xf64>) -> tensor<3x8xf64>
  return %y : tensor<3x8xf64>
}

// x / |x| almost: nearly no gradient is left for x.
func.func @rms_norm.groups_of_one(%x: tensor<2x3xf64>, %w: tensor<1xf64>) -> tensor<2x3xf64> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<2x3xf64>, tensor<1xf64>) -> tensor<2x3xf64>
  return %y : tensor<2x3xf64>
}

func.func @rms_norm.one_token(%x: tensor<1x6xf64>, %w: tensor<6xf64>) -> tensor<1x6xf64> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<1x6xf64>, tensor<6xf64>) -> tensor<1x6xf64>
  return %y : tensor<1x6xf64>
}

func.func @gated_activation.odd_size(%x: tensor<4x6xf64>) -> tensor<4x3xf64> {
  %y = moe.gated_activation %x : (tensor<4x6xf64>) -> tensor<4x3xf64>
  return %y : tensor<4x3xf64>
}

func.func @gated_activation.one_row(%x: tensor<1x8xf64>) -> tensor<1x4xf64> {
  %y = moe.gated_activation %x : (tensor<1x8xf64>) -> tensor<1x4xf64>
  return %y : tensor<1x4xf64>
}

func.func @gated_activation.one_column(%x: tensor<3x2xf64>) -> tensor<3x1xf64> {
  %y = moe.gated_activation %x : (tensor<3x2xf64>) -> tensor<3x1xf64>
  return %y : tensor<3x1xf64>
}
