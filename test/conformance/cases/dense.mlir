// Dense layers: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

// Rows add up; row 1 gets none.
func.func @embedding.repeated_and_unused_rows(%table: tensor<4x3x!storage>) -> tensor<6x3x!storage> {
  %i = arith.constant dense<[[2, 0, 2], [2, 3, 0]]> : tensor<2x3xi32>
  %y = moe.embedding %table, %i : (tensor<4x3x!storage>, tensor<2x3xi32>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @embedding.one_token(%table: tensor<4x3x!storage>) -> tensor<1x3x!storage> {
  %i = arith.constant dense<1> : tensor<1xi32>
  %y = moe.embedding %table, %i : (tensor<4x3x!storage>, tensor<1xi32>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}

func.func @linear.odd_sizes(%x: tensor<3x5x!storage>, %w: tensor<7x5x!storage>) -> tensor<3x7x!storage> {
  %y = moe.linear %x, %w : (tensor<3x5x!storage>, tensor<7x5x!storage>) -> tensor<3x7x!storage>
  return %y : tensor<3x7x!storage>
}

func.func @linear.one_token(%x: tensor<1x4x!storage>, %w: tensor<3x4x!storage>) -> tensor<1x3x!storage> {
  %y = moe.linear %x, %w : (tensor<1x4x!storage>, tensor<3x4x!storage>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}

func.func @linear.one_feature(%x: tensor<3x1x!storage>, %w: tensor<1x1x!storage>) -> tensor<3x1x!storage> {
  %y = moe.linear %x, %w : (tensor<3x1x!storage>, tensor<1x1x!storage>) -> tensor<3x1x!storage>
  return %y : tensor<3x1x!storage>
}

// Two uses of one parameter add up.
func.func @linear.weight_used_twice(%x: tensor<3x4x!storage>, %w: tensor<4x4x!storage>) -> tensor<3x4x!storage> {
  %h = moe.linear %x, %w : (tensor<3x4x!storage>, tensor<4x4x!storage>) -> tensor<3x4x!storage>
  %y = moe.linear %h, %w : (tensor<3x4x!storage>, tensor<4x4x!storage>) -> tensor<3x4x!storage>
  return %y : tensor<3x4x!storage>
}

func.func @matmul.lhs_rhs(%a: tensor<3x4x!storage>, %b: tensor<4x5x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b : (tensor<3x4x!storage>, tensor<4x5x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_rhs_transposed(%a: tensor<3x4x!storage>, %b: tensor<5x4x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b {transpose_rhs} : (tensor<3x4x!storage>, tensor<5x4x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_transposed_rhs(%a: tensor<4x3x!storage>, %b: tensor<4x5x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b {transpose_lhs} : (tensor<4x3x!storage>, tensor<4x5x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_transposed_rhs_transposed(%a: tensor<4x3x!storage>, %b: tensor<5x4x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<4x3x!storage>, tensor<5x4x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

// A layer norm.
func.func @rms_norm.one_group(%x: tensor<3x5x!storage>, %w: tensor<5x!storage>) -> tensor<3x5x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<3x5x!storage>, tensor<5x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

// Queries and keys: each head is normalised by itself.
func.func @rms_norm.per_head_groups(%x: tensor<3x8x!storage>, %w: tensor<4x!storage>) -> tensor<3x8x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<3x8x!storage>, tensor<4x!storage>) -> tensor<3x8x!storage>
  return %y : tensor<3x8x!storage>
}

// x / |x| almost: nearly no gradient is left for x.
func.func @rms_norm.groups_of_one(%x: tensor<2x3x!storage>, %w: tensor<1x!storage>) -> tensor<2x3x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<2x3x!storage>, tensor<1x!storage>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @rms_norm.one_token(%x: tensor<1x6x!storage>, %w: tensor<6x!storage>) -> tensor<1x6x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<1x6x!storage>, tensor<6x!storage>) -> tensor<1x6x!storage>
  return %y : tensor<1x6x!storage>
}

func.func @gated_activation.odd_size(%x: tensor<4x6x!storage>) -> tensor<4x3x!storage> {
  %y = moe.gated_activation %x : (tensor<4x6x!storage>) -> tensor<4x3x!storage>
  return %y : tensor<4x3x!storage>
}

func.func @gated_activation.one_row(%x: tensor<1x8x!storage>) -> tensor<1x4x!storage> {
  %y = moe.gated_activation %x : (tensor<1x8x!storage>) -> tensor<1x4x!storage>
  return %y : tensor<1x4x!storage>
}

func.func @gated_activation.one_column(%x: tensor<3x2x!storage>) -> tensor<3x1x!storage> {
  %y = moe.gated_activation %x : (tensor<3x2x!storage>) -> tensor<3x1x!storage>
  return %y : tensor<3x1x!storage>
}
