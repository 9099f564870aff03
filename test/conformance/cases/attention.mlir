// Attention: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @rope.two_heads(%x: tensor<6x8x!storage>) -> tensor<6x8x!storage> {
  %p = moe.sequence_positions {sequence_length = 3} : () -> tensor<6xi32>
  %cos, %sin = moe.rope_table %p {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x2x!stat>, tensor<6x2x!stat>)
  %y = moe.rope %x, %cos, %sin : (tensor<6x8x!storage>, tensor<6x2x!stat>, tensor<6x2x!stat>) -> tensor<6x8x!storage>
  return %y : tensor<6x8x!storage>
}

// The backward form has a gradient of its own.
func.func @rope.inverse(%x: tensor<6x8x!storage>) -> tensor<6x8x!storage> {
  %p = moe.sequence_positions {sequence_length = 3} : () -> tensor<6xi32>
  %cos, %sin = moe.rope_table %p {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x2x!stat>, tensor<6x2x!stat>)
  %y = moe.rope %x, %cos, %sin {inverse} : (tensor<6x8x!storage>, tensor<6x2x!stat>, tensor<6x2x!stat>) -> tensor<6x8x!storage>
  return %y : tensor<6x8x!storage>
}

func.func @attention.one_head(%q: tensor<4x3x!storage>, %k: tensor<4x3x!storage>, %v: tensor<4x3x!storage>) -> tensor<4x3x!storage> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 1, num_kv_heads = 1, sequence_length = 4}
      : (tensor<4x3x!storage>, tensor<4x3x!storage>, tensor<4x3x!storage>) -> (tensor<4x3x!storage>, tensor<4x1x!stat>)
  return %y : tensor<4x3x!storage>
}

// Nothing flows between sequences.
func.func @attention.two_sequences(%q: tensor<6x4x!storage>, %k: tensor<6x4x!storage>, %v: tensor<6x4x!storage>) -> tensor<6x4x!storage> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 3}
      : (tensor<6x4x!storage>, tensor<6x4x!storage>, tensor<6x4x!storage>) -> (tensor<6x4x!storage>, tensor<6x2x!stat>)
  return %y : tensor<6x4x!storage>
}

// Two query heads add up in a key head.
func.func @attention.grouped_queries(%q: tensor<5x8x!storage>, %k: tensor<5x4x!storage>, %v: tensor<5x4x!storage>) -> tensor<5x8x!storage> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 4, num_kv_heads = 2, sequence_length = 5}
      : (tensor<5x8x!storage>, tensor<5x4x!storage>, tensor<5x4x!storage>) -> (tensor<5x8x!storage>, tensor<5x4x!stat>)
  return %y : tensor<5x8x!storage>
}

func.func @attention.one_kv_head(%q: tensor<3x6x!storage>, %k: tensor<3x2x!storage>, %v: tensor<3x2x!storage>) -> tensor<3x6x!storage> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 3, num_kv_heads = 1, sequence_length = 3}
      : (tensor<3x6x!storage>, tensor<3x2x!storage>, tensor<3x2x!storage>) -> (tensor<3x6x!storage>, tensor<3x3x!stat>)
  return %y : tensor<3x6x!storage>
}

func.func @attention.one_token(%q: tensor<1x4x!storage>, %k: tensor<1x2x!storage>, %v: tensor<1x2x!storage>) -> tensor<1x4x!storage> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 1}
      : (tensor<1x4x!storage>, tensor<1x2x!storage>, tensor<1x2x!storage>) -> (tensor<1x4x!storage>, tensor<1x2x!stat>)
  return %y : tensor<1x4x!storage>
}

// A token alone: probabilities are 1, query and key get zeros.
func.func @attention.sequences_of_one(%q: tensor<3x2x!storage>, %k: tensor<3x2x!storage>, %v: tensor<3x2x!storage>) -> tensor<3x2x!storage> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 1}
      : (tensor<3x2x!storage>, tensor<3x2x!storage>, tensor<3x2x!storage>) -> (tensor<3x2x!storage>, tensor<3x2x!stat>)
  return %y : tensor<3x2x!storage>
}
