// Attention: the functions that gradients are checked on (see test/conformance/GradientTest.cpp).

func.func @rope.two_heads(%x: tensor<6x8xf64>) -> tensor<6x8xf64> {
  %p = moe.sequence_positions {sequence_length = 3} : () -> tensor<6xi32>
  %cos, %sin = moe.rope_table %p {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x2xf64>, tensor<6x2xf64>)
  %y = moe.rope %x, %cos, %sin : (tensor<6x8xf64>, tensor<6x2xf64>, tensor<6x2xf64>) -> tensor<6x8xf64>
  return %y : tensor<6x8xf64>
}

// The backward form has a gradient of its own.
func.func @rope.inverse(%x: tensor<6x8xf64>) -> tensor<6x8xf64> {
  %p = moe.sequence_positions {sequence_length = 3} : () -> tensor<6xi32>
  %cos, %sin = moe.rope_table %p {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x2xf64>, tensor<6x2xf64>)
  %y = moe.rope %x, %cos, %sin {inverse} : (tensor<6x8xf64>, tensor<6x2xf64>, tensor<6x2xf64>) -> tensor<6x8xf64>
  return %y : tensor<6x8xf64>
}

func.func @attention.one_head(%q: tensor<4x3xf64>, %k: tensor<4x3xf64>, %v: tensor<4x3xf64>) -> tensor<4x3xf64> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 1, num_kv_heads = 1, sequence_length = 4}
      : (tensor<4x3xf64>, tensor<4x3xf64>, tensor<4x3xf64>) -> (tensor<4x3xf64>, tensor<4x1xf64>)
  return %y : tensor<4x3xf64>
}

// Nothing flows between sequences.
func.func @attention.two_sequences(%q: tensor<6x4xf64>, %k: tensor<6x4xf64>, %v: tensor<6x4xf64>) -> tensor<6x4xf64> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 3}
      : (tensor<6x4xf64>, tensor<6x4xf64>, tensor<6x4xf64>) -> (tensor<6x4xf64>, tensor<6x2xf64>)
  return %y : tensor<6x4xf64>
}

// Two query heads add up in a key head.
func.func @attention.grouped_queries(%q: tensor<5x8xf64>, %k: tensor<5x4xf64>, %v: tensor<5x4xf64>) -> tensor<5x8xf64> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 4, num_kv_heads = 2, sequence_length = 5}
      : (tensor<5x8xf64>, tensor<5x4xf64>, tensor<5x4xf64>) -> (tensor<5x8xf64>, tensor<5x4xf64>)
  return %y : tensor<5x8xf64>
}

func.func @attention.one_kv_head(%q: tensor<3x6xf64>, %k: tensor<3x2xf64>, %v: tensor<3x2xf64>) -> tensor<3x6xf64> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 3, num_kv_heads = 1, sequence_length = 3}
      : (tensor<3x6xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> (tensor<3x6xf64>, tensor<3x3xf64>)
  return %y : tensor<3x6xf64>
}

func.func @attention.one_token(%q: tensor<1x4xf64>, %k: tensor<1x2xf64>, %v: tensor<1x2xf64>) -> tensor<1x4xf64> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 1}
      : (tensor<1x4xf64>, tensor<1x2xf64>, tensor<1x2xf64>) -> (tensor<1x4xf64>, tensor<1x2xf64>)
  return %y : tensor<1x4xf64>
}

// Documents of three and two tokens, then of one and four: nothing flows between them.
func.func @attention.packed_documents(%q: tensor<10x4xf64>, %k: tensor<10x2xf64>, %v: tensor<10x2xf64>)
    -> tensor<10x4xf64> {
  %positions = arith.constant dense<[[0, 1, 2, 0, 1], [0, 0, 1, 2, 3]]> : tensor<2x5xi32>
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 2, num_kv_heads = 1, sequence_length = 5}
      : (tensor<10x4xf64>, tensor<10x2xf64>, tensor<10x2xf64>, tensor<2x5xi32>) -> (tensor<10x4xf64>, tensor<10x2xf64>)
  return %y : tensor<10x4xf64>
}

// A document that began before its row sees all of the row up to itself.
func.func @attention.cut_document(%q: tensor<4x2xf64>, %k: tensor<4x2xf64>, %v: tensor<4x2xf64>) -> tensor<4x2xf64> {
  %positions = arith.constant dense<[7, 8, 0, 1]> : tensor<4xi32>
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 1, num_kv_heads = 1, sequence_length = 4}
      : (tensor<4x2xf64>, tensor<4x2xf64>, tensor<4x2xf64>, tensor<4xi32>) -> (tensor<4x2xf64>, tensor<4x1xf64>)
  return %y : tensor<4x2xf64>
}

// A token alone: probabilities are 1, query and key get zeros.
func.func @attention.sequences_of_one(%q: tensor<3x2xf64>, %k: tensor<3x2xf64>, %v: tensor<3x2xf64>) -> tensor<3x2xf64> {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 1}
      : (tensor<3x2xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> (tensor<3x2xf64>, tensor<3x2xf64>)
  return %y : tensor<3x2xf64>
}
