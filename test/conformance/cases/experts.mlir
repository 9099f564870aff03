// Experts: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @grouped_matmul.rows_expert_without_rows(%a: tensor<5x3x!storage>, %b: tensor<4x3x2x!storage>) -> tensor<5x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 3, 3, 5]> : tensor<5xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<5x3x!storage>, tensor<4x3x2x!storage>, tensor<5xi32>) -> tensor<5x2x!storage>
  return %y : tensor<5x2x!storage>
}

func.func @grouped_matmul.rows_transposed_expert_without_rows(%a: tensor<5x3x!storage>, %b: tensor<4x2x3x!storage>) -> tensor<5x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 3, 3, 5]> : tensor<5xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<5x3x!storage>, tensor<4x2x3x!storage>, tensor<5xi32>) -> tensor<5x2x!storage>
  return %y : tensor<5x2x!storage>
}

func.func @grouped_matmul.contraction_expert_without_rows(%a: tensor<5x3x!storage>, %b: tensor<5x2x!storage>) -> tensor<4x3x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 3, 3, 5]> : tensor<5xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<5x3x!storage>, tensor<5x2x!storage>, tensor<5xi32>) -> tensor<4x3x2x!storage>
  return %y : tensor<4x3x2x!storage>
}

func.func @grouped_matmul.rows_all_to_one_expert(%a: tensor<4x3x!storage>, %b: tensor<3x3x2x!storage>) -> tensor<4x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 4, 4]> : tensor<4xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<4x3x!storage>, tensor<3x3x2x!storage>, tensor<4xi32>) -> tensor<4x2x!storage>
  return %y : tensor<4x2x!storage>
}

func.func @grouped_matmul.rows_transposed_all_to_one_expert(%a: tensor<4x3x!storage>, %b: tensor<3x2x3x!storage>) -> tensor<4x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 4, 4]> : tensor<4xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<4x3x!storage>, tensor<3x2x3x!storage>, tensor<4xi32>) -> tensor<4x2x!storage>
  return %y : tensor<4x2x!storage>
}

func.func @grouped_matmul.contraction_all_to_one_expert(%a: tensor<4x3x!storage>, %b: tensor<4x2x!storage>) -> tensor<3x3x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 4, 4]> : tensor<4xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<4x3x!storage>, tensor<4x2x!storage>, tensor<4xi32>) -> tensor<3x3x2x!storage>
  return %y : tensor<3x3x2x!storage>
}

func.func @grouped_matmul.rows_one_row(%a: tensor<1x3x!storage>, %b: tensor<2x3x2x!storage>) -> tensor<1x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 1]> : tensor<3xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<1x3x!storage>, tensor<2x3x2x!storage>, tensor<3xi32>) -> tensor<1x2x!storage>
  return %y : tensor<1x2x!storage>
}

func.func @grouped_matmul.rows_transposed_one_row(%a: tensor<1x3x!storage>, %b: tensor<2x2x3x!storage>) -> tensor<1x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 1]> : tensor<3xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<1x3x!storage>, tensor<2x2x3x!storage>, tensor<3xi32>) -> tensor<1x2x!storage>
  return %y : tensor<1x2x!storage>
}

func.func @grouped_matmul.contraction_one_row(%a: tensor<1x3x!storage>, %b: tensor<1x2x!storage>) -> tensor<2x3x2x!storage> {
  %offsets = arith.constant dense<[0, 0, 1]> : tensor<3xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<1x3x!storage>, tensor<1x2x!storage>, tensor<3xi32>) -> tensor<2x3x2x!storage>
  return %y : tensor<2x3x2x!storage>
}

func.func @grouped_matmul.rows_one_expert(%a: tensor<3x3x!storage>, %b: tensor<1x3x2x!storage>) -> tensor<3x2x!storage> {
  %offsets = arith.constant dense<[0, 3]> : tensor<2xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<3x3x!storage>, tensor<1x3x2x!storage>, tensor<2xi32>) -> tensor<3x2x!storage>
  return %y : tensor<3x2x!storage>
}

func.func @grouped_matmul.rows_transposed_one_expert(%a: tensor<3x3x!storage>, %b: tensor<1x2x3x!storage>) -> tensor<3x2x!storage> {
  %offsets = arith.constant dense<[0, 3]> : tensor<2xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<3x3x!storage>, tensor<1x2x3x!storage>, tensor<2xi32>) -> tensor<3x2x!storage>
  return %y : tensor<3x2x!storage>
}

func.func @grouped_matmul.contraction_one_expert(%a: tensor<3x3x!storage>, %b: tensor<3x2x!storage>) -> tensor<1x3x2x!storage> {
  %offsets = arith.constant dense<[0, 3]> : tensor<2xi32>
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<3x3x!storage>, tensor<3x2x!storage>, tensor<2xi32>) -> tensor<1x3x2x!storage>
  return %y : tensor<1x3x2x!storage>
}
