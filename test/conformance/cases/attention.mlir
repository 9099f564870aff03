// Attention: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @rope.two_heads(%x: tensor<6x8x!storage>, %positions: tensor<6xi32> {moe.draw = "positions(3)"})
    -> tensor<6x8x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x2x!stat>, tensor<6x2x!stat>)
  %y = moe.rope %x, %cos, %sin : (tensor<6x8x!storage>, tensor<6x2x!stat>, tensor<6x2x!stat>) -> tensor<6x8x!storage>
  return %y : tensor<6x8x!storage>
}

// The backward form has a gradient of its own.
func.func @rope.inverse(%x: tensor<6x8x!storage>, %positions: tensor<6xi32> {moe.draw = "positions(3)"})
    -> tensor<6x8x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x2x!stat>, tensor<6x2x!stat>)
  %y = moe.rope %x, %cos, %sin {inverse}
      : (tensor<6x8x!storage>, tensor<6x2x!stat>, tensor<6x2x!stat>) -> tensor<6x8x!storage>
  return %y : tensor<6x8x!storage>
}

func.func @rope.many_heads(%x: tensor<17x192x!storage>, %positions: tensor<17xi32> {moe.draw = "positions(9)"})
    -> tensor<17x192x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0}
      : (tensor<17xi32>) -> (tensor<17x32x!stat>, tensor<17x32x!stat>)
  %y = moe.rope %x, %cos, %sin
      : (tensor<17x192x!storage>, tensor<17x32x!stat>, tensor<17x32x!stat>) -> tensor<17x192x!storage>
  return %y : tensor<17x192x!storage>
}

// Heads are normalised and then rotated by one kernel, also where there is one token, one head, or one group for all heads.
func.func @rope.of_norm(%x: tensor<6x16x!storage>, %w: tensor<8x!storage> {moe.draw = "normal(0.5, 1)"},
                        %positions: tensor<6xi32> {moe.draw = "positions(3)"}) -> tensor<6x16x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<6xi32>) -> (tensor<6x4x!stat>, tensor<6x4x!stat>)
  %n = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<6x16x!storage>, tensor<8x!storage>) -> tensor<6x16x!storage>
  %y = moe.rope %n, %cos, %sin : (tensor<6x16x!storage>, tensor<6x4x!stat>, tensor<6x4x!stat>) -> tensor<6x16x!storage>
  return %y : tensor<6x16x!storage>
}

func.func @rope.of_norm_of_one_token(%x: tensor<1x192x!storage>,
    %w: tensor<64x!storage> {moe.draw = "normal(0.5, 1)"}, %positions: tensor<1xi32> {moe.draw = "index(50)"})
    -> tensor<1x192x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0}
      : (tensor<1xi32>) -> (tensor<1x32x!stat>, tensor<1x32x!stat>)
  %n = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<1x192x!storage>, tensor<64x!storage>) -> tensor<1x192x!storage>
  %y = moe.rope %n, %cos, %sin
      : (tensor<1x192x!storage>, tensor<1x32x!stat>, tensor<1x32x!stat>) -> tensor<1x192x!storage>
  return %y : tensor<1x192x!storage>
}

// Gradients of the weight come from several chunks of tokens.
func.func @rope.of_norm_in_chunks(%x: tensor<64x384x!storage>, %w: tensor<128x!storage> {moe.draw = "normal(0.5, 1)"},
                                  %positions: tensor<64xi32> {moe.draw = "positions(32)"}) -> tensor<64x384x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<64xi32>) -> (tensor<64x64x!stat>, tensor<64x64x!stat>)
  %n = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<64x384x!storage>, tensor<128x!storage>) -> tensor<64x384x!storage>
  %y = moe.rope %n, %cos, %sin
      : (tensor<64x384x!storage>, tensor<64x64x!stat>, tensor<64x64x!stat>) -> tensor<64x384x!storage>
  return %y : tensor<64x384x!storage>
}

func.func @rope.of_norm_of_one_head(%x: tensor<5x8x!storage>, %w: tensor<8x!storage> {moe.draw = "normal(0.5, 1)"},
                                    %positions: tensor<5xi32> {moe.draw = "positions(5)"}) -> tensor<5x8x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<5xi32>) -> (tensor<5x4x!stat>, tensor<5x4x!stat>)
  %n = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<5x8x!storage>, tensor<8x!storage>) -> tensor<5x8x!storage>
  %y = moe.rope %n, %cos, %sin : (tensor<5x8x!storage>, tensor<5x4x!stat>, tensor<5x4x!stat>) -> tensor<5x8x!storage>
  return %y : tensor<5x8x!storage>
}

func.func @rope.of_norm_over_heads(%x: tensor<70x24x!storage>, %w: tensor<24x!storage> {moe.draw = "normal(0.5, 1)"},
                                   %positions: tensor<70xi32> {moe.draw = "positions(9)"}) -> tensor<70x24x!storage> {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<70xi32>) -> (tensor<70x4x!stat>, tensor<70x4x!stat>)
  %n = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<70x24x!storage>, tensor<24x!storage>) -> tensor<70x24x!storage>
  %y = moe.rope %n, %cos, %sin : (tensor<70x24x!storage>, tensor<70x4x!stat>, tensor<70x4x!stat>) -> tensor<70x24x!storage>
  return %y : tensor<70x24x!storage>
}

func.func @sequence_positions.two_sequences() -> (tensor<6xi32> {moe.no_gradient}) {
  %positions = moe.sequence_positions {sequence_length = 3} : () -> tensor<6xi32>
  return %positions : tensor<6xi32>
}

func.func @sequence_positions.sequences_of_one() -> (tensor<5xi32> {moe.no_gradient}) {
  %positions = moe.sequence_positions {sequence_length = 1} : () -> tensor<5xi32>
  return %positions : tensor<5xi32>
}

func.func @sequence_positions.long() -> (tensor<300xi32> {moe.no_gradient}) {
  %positions = moe.sequence_positions {sequence_length = 150} : () -> tensor<300xi32>
  return %positions : tensor<300xi32>
}

func.func @rope_table.first_positions(%positions: tensor<7xi32> {moe.draw = "positions(7)"})
    -> (tensor<7x3x!stat> {moe.no_gradient}, tensor<7x3x!stat> {moe.no_gradient}) {
  %cos, %sin = moe.rope_table %positions {theta = 100.0} : (tensor<7xi32>) -> (tensor<7x3x!stat>, tensor<7x3x!stat>)
  return %cos, %sin : tensor<7x3x!stat>, tensor<7x3x!stat>
}

// Angles are computed in float64: float32 would be wrong in all digits.
func.func @rope_table.far_positions(%positions: tensor<33xi32> {moe.draw = "index(131072)"})
    -> (tensor<33x16x!stat> {moe.no_gradient}, tensor<33x16x!stat> {moe.no_gradient}) {
  %cos, %sin = moe.rope_table %positions {theta = 1000000.0}
      : (tensor<33xi32>) -> (tensor<33x16x!stat>, tensor<33x16x!stat>)
  return %cos, %sin : tensor<33x16x!stat>, tensor<33x16x!stat>
}

func.func @attention.one_head(%q: tensor<4x3x!storage>, %k: tensor<4x3x!storage>, %v: tensor<4x3x!storage>)
    -> (tensor<4x3x!storage>, tensor<4x1x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 1, num_kv_heads = 1, sequence_length = 4}
      : (tensor<4x3x!storage>, tensor<4x3x!storage>, tensor<4x3x!storage>) -> (tensor<4x3x!storage>, tensor<4x1x!stat>)
  return %y, %lse : tensor<4x3x!storage>, tensor<4x1x!stat>
}

// Nothing flows between sequences.
func.func @attention.two_sequences(%q: tensor<6x4x!storage>, %k: tensor<6x4x!storage>, %v: tensor<6x4x!storage>)
    -> (tensor<6x4x!storage>, tensor<6x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 3}
      : (tensor<6x4x!storage>, tensor<6x4x!storage>, tensor<6x4x!storage>) -> (tensor<6x4x!storage>, tensor<6x2x!stat>)
  return %y, %lse : tensor<6x4x!storage>, tensor<6x2x!stat>
}

// Two query heads add up in a key head.
func.func @attention.grouped_queries(%q: tensor<5x8x!storage>, %k: tensor<5x4x!storage>, %v: tensor<5x4x!storage>)
    -> (tensor<5x8x!storage>, tensor<5x4x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 4, num_kv_heads = 2, sequence_length = 5}
      : (tensor<5x8x!storage>, tensor<5x4x!storage>, tensor<5x4x!storage>) -> (tensor<5x8x!storage>, tensor<5x4x!stat>)
  return %y, %lse : tensor<5x8x!storage>, tensor<5x4x!stat>
}

func.func @attention.one_kv_head(%q: tensor<3x6x!storage>, %k: tensor<3x2x!storage>, %v: tensor<3x2x!storage>)
    -> (tensor<3x6x!storage>, tensor<3x3x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 3, num_kv_heads = 1, sequence_length = 3}
      : (tensor<3x6x!storage>, tensor<3x2x!storage>, tensor<3x2x!storage>) -> (tensor<3x6x!storage>, tensor<3x3x!stat>)
  return %y, %lse : tensor<3x6x!storage>, tensor<3x3x!stat>
}

func.func @attention.one_token(%q: tensor<1x4x!storage>, %k: tensor<1x2x!storage>, %v: tensor<1x2x!storage>)
    -> (tensor<1x4x!storage>, tensor<1x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 1}
      : (tensor<1x4x!storage>, tensor<1x2x!storage>, tensor<1x2x!storage>) -> (tensor<1x4x!storage>, tensor<1x2x!stat>)
  return %y, %lse : tensor<1x4x!storage>, tensor<1x2x!stat>
}

// A token alone: probabilities are 1, query and key get zeros.
func.func @attention.sequences_of_one(%q: tensor<3x2x!storage>, %k: tensor<3x2x!storage>, %v: tensor<3x2x!storage>)
    -> (tensor<3x2x!storage>, tensor<3x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 1}
      : (tensor<3x2x!storage>, tensor<3x2x!storage>, tensor<3x2x!storage>) -> (tensor<3x2x!storage>, tensor<3x2x!stat>)
  return %y, %lse : tensor<3x2x!storage>, tensor<3x2x!stat>
}

// More queries and keys than any block holds.
func.func @attention.several_blocks(%q: tensor<150x64x!storage>, %k: tensor<150x32x!storage>,
    %v: tensor<150x32x!storage>) -> (tensor<150x64x!storage>, tensor<150x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 150}
      : (tensor<150x64x!storage>, tensor<150x32x!storage>, tensor<150x32x!storage>)
      -> (tensor<150x64x!storage>, tensor<150x2x!stat>)
  return %y, %lse : tensor<150x64x!storage>, tensor<150x2x!stat>
}

func.func @attention.head_size_64(%q: tensor<70x128x!storage>, %k: tensor<70x64x!storage>, %v: tensor<70x64x!storage>)
    -> (tensor<70x128x!storage>, tensor<70x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 70}
      : (tensor<70x128x!storage>, tensor<70x64x!storage>, tensor<70x64x!storage>)
      -> (tensor<70x128x!storage>, tensor<70x2x!stat>)
  return %y, %lse : tensor<70x128x!storage>, tensor<70x2x!stat>
}

func.func @attention.head_size_128(%q: tensor<37x256x!storage>, %k: tensor<37x128x!storage>,
    %v: tensor<37x128x!storage>) -> (tensor<37x256x!storage>, tensor<37x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 37}
      : (tensor<37x256x!storage>, tensor<37x128x!storage>, tensor<37x128x!storage>)
      -> (tensor<37x256x!storage>, tensor<37x2x!stat>)
  return %y, %lse : tensor<37x256x!storage>, tensor<37x2x!stat>
}

// One key takes all, more or less.
func.func @attention.large_scores(%q: tensor<40x32x!storage> {moe.draw = "normal(12)"},
    %k: tensor<40x16x!storage> {moe.draw = "normal(12)"}, %v: tensor<40x16x!storage>)
    -> (tensor<40x32x!storage>, tensor<40x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 1, sequence_length = 40}
      : (tensor<40x32x!storage>, tensor<40x16x!storage>, tensor<40x16x!storage>)
      -> (tensor<40x32x!storage>, tensor<40x2x!stat>)
  return %y, %lse : tensor<40x32x!storage>, tensor<40x2x!stat>
}

// All scores of a query are equal.
func.func @attention.equal_keys(%q: tensor<37x16x!storage>, %k: tensor<37x16x!storage> {moe.draw = "constant(0.5)"},
    %v: tensor<37x16x!storage>) -> (tensor<37x16x!storage>, tensor<37x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v {num_heads = 2, num_kv_heads = 2, sequence_length = 37}
      : (tensor<37x16x!storage>, tensor<37x16x!storage>, tensor<37x16x!storage>)
      -> (tensor<37x16x!storage>, tensor<37x2x!stat>)
  return %y, %lse : tensor<37x16x!storage>, tensor<37x2x!stat>
}

// Nothing flows between documents.
func.func @attention.packed_documents(%q: tensor<10x4x!storage>, %k: tensor<10x2x!storage>, %v: tensor<10x2x!storage>,
    %positions: tensor<2x5xi32> {moe.draw = "documents(5)"})
    -> (tensor<10x4x!storage>, tensor<10x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 2, num_kv_heads = 1, sequence_length = 5}
      : (tensor<10x4x!storage>, tensor<10x2x!storage>, tensor<10x2x!storage>, tensor<2x5xi32>)
      -> (tensor<10x4x!storage>, tensor<10x2x!stat>)
  return %y, %lse : tensor<10x4x!storage>, tensor<10x2x!stat>
}

// A document that began before its row sees all of the row up to itself.
func.func @attention.cut_document(%q: tensor<4x2x!storage>, %k: tensor<4x2x!storage>, %v: tensor<4x2x!storage>,
    %positions: tensor<1x4xi32> {moe.draw = "at(7)"}) -> (tensor<4x2x!storage>, tensor<4x1x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 1, num_kv_heads = 1, sequence_length = 4}
      : (tensor<4x2x!storage>, tensor<4x2x!storage>, tensor<4x2x!storage>, tensor<1x4xi32>)
      -> (tensor<4x2x!storage>, tensor<4x1x!stat>)
  return %y, %lse : tensor<4x2x!storage>, tensor<4x1x!stat>
}

func.func @attention.many_documents(%q: tensor<150x64x!storage>, %k: tensor<150x32x!storage>,
    %v: tensor<150x32x!storage>, %positions: tensor<1x150xi32> {moe.draw = "documents(150)"})
    -> (tensor<150x64x!storage>, tensor<150x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 2, num_kv_heads = 1, sequence_length = 150}
      : (tensor<150x64x!storage>, tensor<150x32x!storage>, tensor<150x32x!storage>, tensor<1x150xi32>)
      -> (tensor<150x64x!storage>, tensor<150x2x!stat>)
  return %y, %lse : tensor<150x64x!storage>, tensor<150x2x!stat>
}

func.func @attention.documents_of_one(%q: tensor<9x8x!storage>, %k: tensor<9x8x!storage>, %v: tensor<9x8x!storage>,
    %positions: tensor<1x9xi32> {moe.draw = "constant(0)"})
    -> (tensor<9x8x!storage>, tensor<9x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 2, num_kv_heads = 2, sequence_length = 9}
      : (tensor<9x8x!storage>, tensor<9x8x!storage>, tensor<9x8x!storage>, tensor<1x9xi32>)
      -> (tensor<9x8x!storage>, tensor<9x2x!stat>)
  return %y, %lse : tensor<9x8x!storage>, tensor<9x2x!stat>
}

func.func @attention.long_documents(%q: tensor<140x128x!storage>, %k: tensor<140x128x!storage>,
    %v: tensor<140x128x!storage>, %positions: tensor<2x70xi32> {moe.draw = "at(0)"})
    -> (tensor<140x128x!storage>, tensor<140x2x!stat> {moe.no_gradient}) {
  %y, %lse = moe.attention %q, %k, %v, %positions {num_heads = 2, num_kv_heads = 2, sequence_length = 70}
      : (tensor<140x128x!storage>, tensor<140x128x!storage>, tensor<140x128x!storage>, tensor<2x70xi32>)
      -> (tensor<140x128x!storage>, tensor<140x2x!stat>)
  return %y, %lse : tensor<140x128x!storage>, tensor<140x2x!stat>
}
