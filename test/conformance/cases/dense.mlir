// Dense layers: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

// Rows add up; the last one gets none.
func.func @embedding.repeated_rows(%table: tensor<4x3x!storage>, %indices: tensor<2x3xi32> {moe.draw = "index(3)"})
    -> tensor<6x3x!storage> {
  %y = moe.embedding %table, %indices : (tensor<4x3x!storage>, tensor<2x3xi32>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @embedding.one_token(%table: tensor<4x3x!storage>, %indices: tensor<1xi32> {moe.draw = "index(4)"})
    -> tensor<1x3x!storage> {
  %y = moe.embedding %table, %indices : (tensor<4x3x!storage>, tensor<1xi32>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}

func.func @embedding.all_the_same(%table: tensor<5x7x!storage>, %indices: tensor<2x20xi32> {moe.draw = "constant(2)"})
    -> tensor<40x7x!storage> {
  %y = moe.embedding %table, %indices : (tensor<5x7x!storage>, tensor<2x20xi32>) -> tensor<40x7x!storage>
  return %y : tensor<40x7x!storage>
}

func.func @embedding.many_tokens(%table: tensor<50x70x!storage>, %indices: tensor<2x65xi32> {moe.draw = "index(50)"})
    -> tensor<130x70x!storage> {
  %y = moe.embedding %table, %indices : (tensor<50x70x!storage>, tensor<2x65xi32>) -> tensor<130x70x!storage>
  return %y : tensor<130x70x!storage>
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

// More than one tile in each direction, none of them full.
func.func @linear.several_tiles(%x: tensor<70x101x!storage>, %w: tensor<140x101x!storage>) -> tensor<70x140x!storage> {
  %y = moe.linear %x, %w : (tensor<70x101x!storage>, tensor<140x101x!storage>) -> tensor<70x140x!storage>
  return %y : tensor<70x140x!storage>
}

func.func @linear.even_tiles(%x: tensor<64x64x!storage>, %w: tensor<128x64x!storage>) -> tensor<64x128x!storage> {
  %y = moe.linear %x, %w : (tensor<64x64x!storage>, tensor<128x64x!storage>) -> tensor<64x128x!storage>
  return %y : tensor<64x128x!storage>
}

func.func @linear.long_contraction(%x: tensor<5x1030x!storage>, %w: tensor<9x1030x!storage>) -> tensor<5x9x!storage> {
  %y = moe.linear %x, %w : (tensor<5x1030x!storage>, tensor<9x1030x!storage>) -> tensor<5x9x!storage>
  return %y : tensor<5x9x!storage>
}

func.func @linear.one_token_wide(%x: tensor<1x70x!storage>, %w: tensor<140x70x!storage>) -> tensor<1x140x!storage> {
  %y = moe.linear %x, %w : (tensor<1x70x!storage>, tensor<140x70x!storage>) -> tensor<1x140x!storage>
  return %y : tensor<1x140x!storage>
}

func.func @linear.large_terms(%x: tensor<9x65x!storage> {moe.draw = "extreme(1e4)"}, %w: tensor<33x65x!storage>)
    -> tensor<9x33x!storage> {
  %y = moe.linear %x, %w : (tensor<9x65x!storage>, tensor<33x65x!storage>) -> tensor<9x33x!storage>
  return %y : tensor<9x33x!storage>
}

// Two uses of one parameter add up.
func.func @linear.weight_used_twice(%x: tensor<3x4x!storage>, %w: tensor<4x4x!storage>) -> tensor<3x4x!storage> {
  %h = moe.linear %x, %w : (tensor<3x4x!storage>, tensor<4x4x!storage>) -> tensor<3x4x!storage>
  %y = moe.linear %h, %w : (tensor<3x4x!storage>, tensor<4x4x!storage>) -> tensor<3x4x!storage>
  return %y : tensor<3x4x!storage>
}

// What happens to the result becomes a part of the kernel.
func.func @linear.then_add(%x: tensor<33x40x!storage>, %w: tensor<50x40x!storage>, %residual: tensor<33x50x!storage>)
    -> tensor<33x50x!storage> {
  %h = moe.linear %x, %w : (tensor<33x40x!storage>, tensor<50x40x!storage>) -> tensor<33x50x!storage>
  %y = moe.add %residual, %h : tensor<33x50x!storage>
  return %y : tensor<33x50x!storage>
}

func.func @linear.then_gated_activation(%x: tensor<33x40x!storage>,
    %w: tensor<70x40x!storage> {moe.draw = "normal(0.2)"}) -> tensor<33x35x!storage> {
  %h = moe.linear %x, %w : (tensor<33x40x!storage>, tensor<70x40x!storage>) -> tensor<33x70x!storage>
  %y = moe.gated_activation %h : (tensor<33x70x!storage>) -> tensor<33x35x!storage>
  return %y : tensor<33x35x!storage>
}

func.func @linear.three_rows(%x: tensor<3x256x!storage>, %w: tensor<64x256x!storage>) -> tensor<3x64x!storage> {
  %y = moe.linear %x, %w : (tensor<3x256x!storage>, tensor<64x256x!storage>) -> tensor<3x64x!storage>
  return %y : tensor<3x64x!storage>
}

func.func @linear.eight_rows(%x: tensor<8x64x!storage>, %w: tensor<50x64x!storage>) -> tensor<8x50x!storage> {
  %y = moe.linear %x, %w : (tensor<8x64x!storage>, tensor<50x64x!storage>) -> tensor<8x50x!storage>
  return %y : tensor<8x50x!storage>
}

func.func @linear.nine_rows(%x: tensor<9x320x!storage>, %w: tensor<33x320x!storage>) -> tensor<9x33x!storage> {
  %y = moe.linear %x, %w : (tensor<9x320x!storage>, tensor<33x320x!storage>) -> tensor<9x33x!storage>
  return %y : tensor<9x33x!storage>
}

func.func @linear.seventeen_rows(%x: tensor<17x264x!storage>, %w: tensor<48x264x!storage>) -> tensor<17x48x!storage> {
  %y = moe.linear %x, %w : (tensor<17x264x!storage>, tensor<48x264x!storage>) -> tensor<17x48x!storage>
  return %y : tensor<17x48x!storage>
}

func.func @linear.one_row_then_add(%x: tensor<1x264x!storage>, %w: tensor<40x264x!storage>, %residual: tensor<1x40x!storage>)
    -> tensor<1x40x!storage> {
  %y = moe.linear %x, %w : (tensor<1x264x!storage>, tensor<40x264x!storage>) -> tensor<1x40x!storage>
  %sum = moe.add %y, %residual : tensor<1x40x!storage>
  return %sum : tensor<1x40x!storage>
}

func.func @linear.one_row_to_statistics(%x: tensor<1x512x!storage>, %w: tensor<19x512x!storage>) -> tensor<1x19x!stat> {
  %y = moe.linear %x, %w : (tensor<1x512x!storage>, tensor<19x512x!storage>) -> tensor<1x19x!stat>
  return %y : tensor<1x19x!stat>
}

func.func @matmul.lhs_rhs(%a: tensor<3x4x!storage>, %b: tensor<4x5x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b : (tensor<3x4x!storage>, tensor<4x5x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_rhs_several_tiles(%a: tensor<67x41x!storage>, %b: tensor<41x83x!storage>)
    -> tensor<67x83x!storage> {
  %y = moe.matmul %a, %b : (tensor<67x41x!storage>, tensor<41x83x!storage>) -> tensor<67x83x!storage>
  return %y : tensor<67x83x!storage>
}

func.func @matmul.lhs_rhs_transposed(%a: tensor<3x4x!storage>, %b: tensor<5x4x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b {transpose_rhs} : (tensor<3x4x!storage>, tensor<5x4x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_rhs_transposed_several_tiles(%a: tensor<67x41x!storage>, %b: tensor<83x41x!storage>)
    -> tensor<67x83x!storage> {
  %y = moe.matmul %a, %b {transpose_rhs} : (tensor<67x41x!storage>, tensor<83x41x!storage>) -> tensor<67x83x!storage>
  return %y : tensor<67x83x!storage>
}

func.func @matmul.lhs_transposed_rhs(%a: tensor<4x3x!storage>, %b: tensor<4x5x!storage>) -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b {transpose_lhs} : (tensor<4x3x!storage>, tensor<4x5x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_transposed_rhs_several_tiles(%a: tensor<41x67x!storage>, %b: tensor<41x83x!storage>)
    -> tensor<67x83x!storage> {
  %y = moe.matmul %a, %b {transpose_lhs} : (tensor<41x67x!storage>, tensor<41x83x!storage>) -> tensor<67x83x!storage>
  return %y : tensor<67x83x!storage>
}

func.func @matmul.lhs_transposed_rhs_transposed(%a: tensor<4x3x!storage>, %b: tensor<5x4x!storage>)
    -> tensor<3x5x!storage> {
  %y = moe.matmul %a, %b {transpose_lhs, transpose_rhs}
      : (tensor<4x3x!storage>, tensor<5x4x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

func.func @matmul.lhs_transposed_rhs_transposed_several_tiles(%a: tensor<41x67x!storage>, %b: tensor<83x41x!storage>)
    -> tensor<67x83x!storage> {
  %y = moe.matmul %a, %b {transpose_lhs, transpose_rhs}
      : (tensor<41x67x!storage>, tensor<83x41x!storage>) -> tensor<67x83x!storage>
  return %y : tensor<67x83x!storage>
}

// A layer norm.
func.func @rms_norm.one_group(%x: tensor<3x5x!storage>, %w: tensor<5x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<3x5x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<3x5x!storage>, tensor<5x!storage>) -> tensor<3x5x!storage>
  return %y : tensor<3x5x!storage>
}

// Queries and keys: each head is normalised by itself.
func.func @rms_norm.per_head_groups(%x: tensor<3x8x!storage>, %w: tensor<4x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<3x8x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<3x8x!storage>, tensor<4x!storage>) -> tensor<3x8x!storage>
  return %y : tensor<3x8x!storage>
}

// x / |x| almost: nearly no gradient is left for x.
func.func @rms_norm.groups_of_one(%x: tensor<2x3x!storage>, %w: tensor<1x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<2x3x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<2x3x!storage>, tensor<1x!storage>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @rms_norm.one_token(%x: tensor<1x6x!storage>, %w: tensor<6x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<1x6x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<1x6x!storage>, tensor<6x!storage>) -> tensor<1x6x!storage>
  return %y : tensor<1x6x!storage>
}

func.func @rms_norm.wide(%x: tensor<9x1000x!storage>, %w: tensor<1000x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<9x1000x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<9x1000x!storage>, tensor<1000x!storage>) -> tensor<9x1000x!storage>
  return %y : tensor<9x1000x!storage>
}

func.func @rms_norm.many_heads(%x: tensor<21x192x!storage>, %w: tensor<32x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<21x192x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<21x192x!storage>, tensor<32x!storage>) -> tensor<21x192x!storage>
  return %y : tensor<21x192x!storage>
}

// The gradient of the weight is added up in several chunks of rows; the last vectors of a row are not there for every thread.
func.func @rms_norm.chunks(%x: tensor<64x520x!storage>, %w: tensor<520x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<64x520x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<64x520x!storage>, tensor<520x!storage>) -> tensor<64x520x!storage>
  return %y : tensor<64x520x!storage>
}

func.func @rms_norm.chunks_of_heads(%x: tensor<74x384x!storage>, %w: tensor<128x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<74x384x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<74x384x!storage>, tensor<128x!storage>) -> tensor<74x384x!storage>
  return %y : tensor<74x384x!storage>
}

// A sum that the norm is not alone to read: its gradient is added to the norm's.
func.func @rms_norm.of_residual(%x: tensor<64x136x!storage>, %z: tensor<64x136x!storage>,
    %w: tensor<136x!storage> {moe.draw = "normal(0.5, 1)"}) -> (tensor<64x136x!storage>, tensor<64x136x!storage>) {
  %s = moe.add %x, %z : tensor<64x136x!storage>
  %y = moe.rms_norm %s, %w {eps = 1.0e-2} : (tensor<64x136x!storage>, tensor<136x!storage>) -> tensor<64x136x!storage>
  return %s, %y : tensor<64x136x!storage>, tensor<64x136x!storage>
}

// Rows too long for the registers of their threads.
func.func @rms_norm.long_rows(%x: tensor<2x9000x!storage>, %w: tensor<9000x!storage> {moe.draw = "normal(0.5, 1)"})
    -> tensor<2x9000x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<2x9000x!storage>, tensor<9000x!storage>) -> tensor<2x9000x!storage>
  return %y : tensor<2x9000x!storage>
}

// Only eps keeps the norm from being zero.
func.func @rms_norm.zero_rows(%x: tensor<2x9x!storage> {moe.draw = "constant(0)"},
    %w: tensor<9x!storage> {moe.draw = "normal(0.5, 1)"}) -> tensor<2x9x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<2x9x!storage>, tensor<9x!storage>) -> tensor<2x9x!storage>
  return %y : tensor<2x9x!storage>
}

func.func @rms_norm.large_values(%x: tensor<4x33x!storage> {moe.draw = "extreme(1e4)"},
    %w: tensor<33x!storage> {moe.draw = "normal(0.5, 1)"}) -> tensor<4x33x!storage> {
  %y = moe.rms_norm %x, %w {eps = 1.0e-2} : (tensor<4x33x!storage>, tensor<33x!storage>) -> tensor<4x33x!storage>
  return %y : tensor<4x33x!storage>
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

func.func @gated_activation.wide(%x: tensor<13x600x!storage>) -> tensor<13x300x!storage> {
  %y = moe.gated_activation %x : (tensor<13x600x!storage>) -> tensor<13x300x!storage>
  return %y : tensor<13x300x!storage>
}

// The sigmoid saturates on both sides.
func.func @gated_activation.extreme_gates(%x: tensor<7x22x!storage> {moe.draw = "extreme(1e4)"})
    -> tensor<7x11x!storage> {
  %y = moe.gated_activation %x : (tensor<7x22x!storage>) -> tensor<7x11x!storage>
  return %y : tensor<7x11x!storage>
}
