// Cases whose tensors take megabytes, as what they are for needs. tools/gpu-bundle leaves them out.

!storage = f32
!stat = f32

// The weight's gradient is a small product with a long contraction. Too large for finite differences.
func.func @linear.many_tokens(%x: tensor<2048x72x!storage>, %w: tensor<64x72x!storage>) -> tensor<2048x64x!storage>
    attributes {moe.not_smooth} {
  %y = moe.linear %x, %w : (tensor<2048x72x!storage>, tensor<64x72x!storage>) -> tensor<2048x64x!storage>
  return %y : tensor<2048x64x!storage>
}

// So few rows that reading the weights is all the work, where rows are whole 16 bytes.
func.func @linear.one_row_deep(%x: tensor<1x1096x!storage>, %w: tensor<72x1096x!storage>) -> tensor<1x72x!storage> {
  %y = moe.linear %x, %w : (tensor<1x1096x!storage>, tensor<72x1096x!storage>) -> tensor<1x72x!storage>
  return %y : tensor<1x72x!storage>
}

// Enough rows of each expert for tiles of tensor cores, some of which are not full. Too large for finite differences.
func.func @experts.many_rows(%x: tensor<1200x136x!storage>, %indices: tensor<1200x2xi32> {moe.draw = "skewed(4)"},
    %w: tensor<1200x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<4x256x136x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<4x136x128x!storage> {moe.draw = "normal(0.2)"}) -> tensor<1200x136x!storage>
    attributes {moe.not_smooth} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1200x2xi32>) -> (tensor<5xi32>, tensor<2400xi32>, tensor<1200x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<1200x136x!storage>, tensor<2400xi32>, tensor<1200x2xi32>) -> tensor<2400x136x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<2400x136x!storage>, tensor<4x256x136x!storage>, tensor<5xi32>) -> tensor<2400x256x!storage>
  %hidden = moe.gated_activation %gates : (tensor<2400x256x!storage>) -> tensor<2400x128x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<2400x128x!storage>, tensor<4x136x128x!storage>, tensor<5xi32>) -> tensor<2400x136x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<2400x136x!storage>, tensor<2400xi32>, tensor<1200x2xi32>, tensor<1200x2x!stat>) -> tensor<1200x136x!storage>
  return %y : tensor<1200x136x!storage>
}

// So many rows of each expert that tiles of 192 take one turn of all multiprocessors, and of 128 two.
func.func @experts.tall_tiles(%x: tensor<1100x128x!storage>, %indices: tensor<1100x2xi32> {moe.draw = "skewed(3)"},
    %w: tensor<1100x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<3x2048x128x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<3x128x1024x!storage> {moe.draw = "normal(0.1)"}) -> tensor<1100x128x!storage>
    attributes {moe.not_smooth} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1100x2xi32>) -> (tensor<4xi32>, tensor<2200xi32>, tensor<1100x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<1100x128x!storage>, tensor<2200xi32>, tensor<1100x2xi32>) -> tensor<2200x128x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<2200x128x!storage>, tensor<3x2048x128x!storage>, tensor<4xi32>) -> tensor<2200x2048x!storage>
  %hidden = moe.gated_activation %gates : (tensor<2200x2048x!storage>) -> tensor<2200x1024x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<2200x1024x!storage>, tensor<3x128x1024x!storage>, tensor<4xi32>) -> tensor<2200x128x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<2200x128x!storage>, tensor<2200xi32>, tensor<1100x2xi32>, tensor<1100x2x!stat>) -> tensor<1100x128x!storage>
  return %y : tensor<1100x128x!storage>
}

func.func @grouped_matmul.rows_transposed_wide_all_to_one_expert(%a: tensor<50x264x!storage>, %b: tensor<40x32x264x!storage>,
    %offsets: tensor<41xi32> {moe.draw = "offsets_one(50, 39)"}) -> tensor<50x32x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<50x264x!storage>, tensor<40x32x264x!storage>, tensor<41xi32>) -> tensor<50x32x!storage>
  return %y : tensor<50x32x!storage>
}

// A token whose experts' weights are all that is read.
func.func @experts.one_token_wide(%x: tensor<1x64x!storage>, %indices: tensor<1x4xi32> {moe.draw = "experts(40)"},
    %w: tensor<1x4x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<40x80x64x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<40x64x40x!storage> {moe.draw = "normal(0.2)"}) -> tensor<1x64x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x4xi32>) -> (tensor<41xi32>, tensor<4xi32>, tensor<1x4xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<1x64x!storage>, tensor<4xi32>, tensor<1x4xi32>) -> tensor<4x64x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<4x64x!storage>, tensor<40x80x64x!storage>, tensor<41xi32>) -> tensor<4x80x!storage>
  %hidden = moe.gated_activation %gates : (tensor<4x80x!storage>) -> tensor<4x40x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<4x40x!storage>, tensor<40x64x40x!storage>, tensor<41xi32>) -> tensor<4x64x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<4x64x!storage>, tensor<4xi32>, tensor<1x4xi32>, tensor<1x4x!stat>) -> tensor<1x64x!storage>
  return %y : tensor<1x64x!storage>
}

// As many rows and columns as warpgroups take, and no multiple of their tiles.
func.func @experts.wide(%x: tensor<320x40x!storage>, %indices: tensor<320x2xi32> {moe.draw = "skewed(4)"},
    %w: tensor<320x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<4x1152x40x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<4x40x576x!storage> {moe.draw = "normal(0.1)"}) -> tensor<320x40x!storage>
    attributes {moe.not_smooth} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<320x2xi32>) -> (tensor<5xi32>, tensor<640xi32>, tensor<320x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<320x40x!storage>, tensor<640xi32>, tensor<320x2xi32>) -> tensor<640x40x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<640x40x!storage>, tensor<4x1152x40x!storage>, tensor<5xi32>) -> tensor<640x1152x!storage>
  %hidden = moe.gated_activation %gates : (tensor<640x1152x!storage>) -> tensor<640x576x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<640x576x!storage>, tensor<4x40x576x!storage>, tensor<5xi32>) -> tensor<640x40x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<640x40x!storage>, tensor<640xi32>, tensor<320x2xi32>, tensor<320x2x!stat>) -> tensor<320x40x!storage>
  return %y : tensor<320x40x!storage>
}

func.func @grouped_matmul.rows_transposed_wide_few_rows_each(%a: tensor<17x72x!storage>, %b: tensor<70x40x72x!storage>,
    %offsets: tensor<71xi32> {moe.draw = "offsets(17)"}) -> tensor<17x40x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<17x72x!storage>, tensor<70x40x72x!storage>, tensor<71xi32>) -> tensor<17x40x!storage>
  return %y : tensor<17x40x!storage>
}

// The same with rows of whole 16 bytes; more experts than lanes look at, and tiles that one expert alone needs.
func.func @grouped_matmul.rows_transposed_wide_one_row(%a: tensor<1x64x!storage>, %b: tensor<40x24x64x!storage>,
    %offsets: tensor<41xi32> {moe.draw = "offsets_one(1, 37)"}) -> tensor<1x24x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<1x64x!storage>, tensor<40x24x64x!storage>, tensor<41xi32>) -> tensor<1x24x!storage>
  return %y : tensor<1x24x!storage>
}

func.func @grouped_matmul.rows_transposed_wide_expert_without_rows(%a: tensor<60x128x!storage>, %b: tensor<9x40x128x!storage>,
    %offsets: tensor<10xi32> {moe.draw = "offsets_without(60, 8)"}) -> tensor<60x40x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<60x128x!storage>, tensor<9x40x128x!storage>, tensor<10xi32>) -> tensor<60x40x!storage>
  return %y : tensor<60x40x!storage>
}

// More tokens than a block looks through at once, and more columns than a warp adds up.
func.func @embedding.tokens_in_turns(%table: tensor<37x3x!storage>, %indices: tensor<2x8500xi32> {moe.draw = "index(36)"})
    -> tensor<17000x3x!storage> attributes {moe.not_smooth} {
  %y = moe.embedding %table, %indices : (tensor<37x3x!storage>, tensor<2x8500xi32>) -> tensor<17000x3x!storage>
  return %y : tensor<17000x3x!storage>
}

func.func @embedding.wide_rows(%table: tensor<20x1104x!storage>, %indices: tensor<1x29xi32> {moe.draw = "index(18)"})
    -> tensor<29x1104x!storage> {
  %y = moe.embedding %table, %indices : (tensor<20x1104x!storage>, tensor<1x29xi32>) -> tensor<29x1104x!storage>
  return %y : tensor<29x1104x!storage>
}

// A row that the threads of a block keep in their registers.
func.func @cross_entropy.long_rows(%logits: tensor<3x12004x!storage>,
    %targets: tensor<1x3xi32> {moe.draw = "index(12004)"},
    %weights: tensor<1x3x!stat> {moe.draw = "weights", moe.no_gradient})
    -> (tensor<!stat>, tensor<3x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<3x12004x!storage>, tensor<1x3xi32>, tensor<1x3x!stat>) -> (tensor<!stat>, tensor<3x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<3x!stat>
}
