// Experts: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @grouped_matmul.rows_expert_without_rows(%a: tensor<5x3x!storage>, %b: tensor<4x3x2x!storage>,
    %offsets: tensor<5xi32> {moe.draw = "offsets_without(5, 1)"}) -> tensor<5x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<5x3x!storage>, tensor<4x3x2x!storage>, tensor<5xi32>) -> tensor<5x2x!storage>
  return %y : tensor<5x2x!storage>
}

func.func @grouped_matmul.rows_all_to_one_expert(%a: tensor<4x3x!storage>, %b: tensor<3x3x2x!storage>,
    %offsets: tensor<4xi32> {moe.draw = "offsets_one(4, 1)"}) -> tensor<4x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<4x3x!storage>, tensor<3x3x2x!storage>, tensor<4xi32>) -> tensor<4x2x!storage>
  return %y : tensor<4x2x!storage>
}

func.func @grouped_matmul.rows_one_row(%a: tensor<1x3x!storage>, %b: tensor<2x3x2x!storage>,
    %offsets: tensor<3xi32> {moe.draw = "offsets_one(1, 1)"}) -> tensor<1x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<1x3x!storage>, tensor<2x3x2x!storage>, tensor<3xi32>) -> tensor<1x2x!storage>
  return %y : tensor<1x2x!storage>
}

func.func @grouped_matmul.rows_one_expert(%a: tensor<3x3x!storage>, %b: tensor<1x3x2x!storage>,
    %offsets: tensor<2xi32> {moe.draw = "offsets(3)"}) -> tensor<3x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<3x3x!storage>, tensor<1x3x2x!storage>, tensor<2xi32>) -> tensor<3x2x!storage>
  return %y : tensor<3x2x!storage>
}

func.func @grouped_matmul.rows_several_tiles(%a: tensor<150x41x!storage>, %b: tensor<4x41x70x!storage>,
    %offsets: tensor<5xi32> {moe.draw = "offsets_without(150, 2)"}) -> tensor<150x70x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<150x41x!storage>, tensor<4x41x70x!storage>, tensor<5xi32>) -> tensor<150x70x!storage>
  return %y : tensor<150x70x!storage>
}

// Some experts have one row, some none.
func.func @grouped_matmul.rows_few_rows_each(%a: tensor<17x20x!storage>, %b: tensor<9x20x21x!storage>,
    %offsets: tensor<10xi32> {moe.draw = "offsets(17)"}) -> tensor<17x21x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>}
      : (tensor<17x20x!storage>, tensor<9x20x21x!storage>, tensor<10xi32>) -> tensor<17x21x!storage>
  return %y : tensor<17x21x!storage>
}

func.func @grouped_matmul.rows_transposed_expert_without_rows(%a: tensor<5x3x!storage>, %b: tensor<4x2x3x!storage>,
    %offsets: tensor<5xi32> {moe.draw = "offsets_without(5, 1)"}) -> tensor<5x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<5x3x!storage>, tensor<4x2x3x!storage>, tensor<5xi32>) -> tensor<5x2x!storage>
  return %y : tensor<5x2x!storage>
}

func.func @grouped_matmul.rows_transposed_all_to_one_expert(%a: tensor<4x3x!storage>, %b: tensor<3x2x3x!storage>,
    %offsets: tensor<4xi32> {moe.draw = "offsets_one(4, 1)"}) -> tensor<4x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<4x3x!storage>, tensor<3x2x3x!storage>, tensor<4xi32>) -> tensor<4x2x!storage>
  return %y : tensor<4x2x!storage>
}

func.func @grouped_matmul.rows_transposed_one_row(%a: tensor<1x3x!storage>, %b: tensor<2x2x3x!storage>,
    %offsets: tensor<3xi32> {moe.draw = "offsets_one(1, 1)"}) -> tensor<1x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<1x3x!storage>, tensor<2x2x3x!storage>, tensor<3xi32>) -> tensor<1x2x!storage>
  return %y : tensor<1x2x!storage>
}

func.func @grouped_matmul.rows_transposed_one_expert(%a: tensor<3x3x!storage>, %b: tensor<1x2x3x!storage>,
    %offsets: tensor<2xi32> {moe.draw = "offsets(3)"}) -> tensor<3x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<3x3x!storage>, tensor<1x2x3x!storage>, tensor<2xi32>) -> tensor<3x2x!storage>
  return %y : tensor<3x2x!storage>
}

func.func @grouped_matmul.rows_transposed_several_tiles(%a: tensor<150x41x!storage>, %b: tensor<4x70x41x!storage>,
    %offsets: tensor<5xi32> {moe.draw = "offsets_without(150, 2)"}) -> tensor<150x70x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<150x41x!storage>, tensor<4x70x41x!storage>, tensor<5xi32>) -> tensor<150x70x!storage>
  return %y : tensor<150x70x!storage>
}

func.func @grouped_matmul.rows_transposed_few_rows_each(%a: tensor<17x20x!storage>, %b: tensor<9x21x20x!storage>,
    %offsets: tensor<10xi32> {moe.draw = "offsets(17)"}) -> tensor<17x21x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<17x20x!storage>, tensor<9x21x20x!storage>, tensor<10xi32>) -> tensor<17x21x!storage>
  return %y : tensor<17x21x!storage>
}

func.func @grouped_matmul.contraction_expert_without_rows(%a: tensor<5x3x!storage>, %b: tensor<5x2x!storage>,
    %offsets: tensor<5xi32> {moe.draw = "offsets_without(5, 1)"}) -> tensor<4x3x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<5x3x!storage>, tensor<5x2x!storage>, tensor<5xi32>) -> tensor<4x3x2x!storage>
  return %y : tensor<4x3x2x!storage>
}

func.func @grouped_matmul.contraction_all_to_one_expert(%a: tensor<4x3x!storage>, %b: tensor<4x2x!storage>,
    %offsets: tensor<4xi32> {moe.draw = "offsets_one(4, 1)"}) -> tensor<3x3x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<4x3x!storage>, tensor<4x2x!storage>, tensor<4xi32>) -> tensor<3x3x2x!storage>
  return %y : tensor<3x3x2x!storage>
}

func.func @grouped_matmul.contraction_one_row(%a: tensor<1x3x!storage>, %b: tensor<1x2x!storage>,
    %offsets: tensor<3xi32> {moe.draw = "offsets_one(1, 1)"}) -> tensor<2x3x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<1x3x!storage>, tensor<1x2x!storage>, tensor<3xi32>) -> tensor<2x3x2x!storage>
  return %y : tensor<2x3x2x!storage>
}

func.func @grouped_matmul.contraction_one_expert(%a: tensor<3x3x!storage>, %b: tensor<3x2x!storage>,
    %offsets: tensor<2xi32> {moe.draw = "offsets(3)"}) -> tensor<1x3x2x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<3x3x!storage>, tensor<3x2x!storage>, tensor<2xi32>) -> tensor<1x3x2x!storage>
  return %y : tensor<1x3x2x!storage>
}

func.func @grouped_matmul.contraction_several_tiles(%a: tensor<150x41x!storage>, %b: tensor<150x70x!storage>,
    %offsets: tensor<5xi32> {moe.draw = "offsets_without(150, 2)"}) -> tensor<4x41x70x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<150x41x!storage>, tensor<150x70x!storage>, tensor<5xi32>) -> tensor<4x41x70x!storage>
  return %y : tensor<4x41x70x!storage>
}

func.func @grouped_matmul.contraction_few_rows_each(%a: tensor<17x20x!storage>, %b: tensor<17x21x!storage>,
    %offsets: tensor<10xi32> {moe.draw = "offsets(17)"}) -> tensor<9x20x21x!storage> {
  %y = moe.grouped_matmul %a, %b, %offsets {ragged = #moe.ragged<contraction>}
      : (tensor<17x20x!storage>, tensor<17x21x!storage>, tensor<10xi32>) -> tensor<9x20x21x!storage>
  return %y : tensor<9x20x21x!storage>
}

// All of it together, as kernels that gather rows and apply the activation.
func.func @experts.skewed(%x: tensor<33x24x!storage>, %indices: tensor<33x2xi32> {moe.draw = "skewed(6)"},
    %w: tensor<33x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<6x36x24x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<6x24x18x!storage> {moe.draw = "normal(0.2)"}) -> tensor<33x24x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<33x2xi32>) -> (tensor<7xi32>, tensor<66xi32>, tensor<33x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<33x24x!storage>, tensor<66xi32>, tensor<33x2xi32>) -> tensor<66x24x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<66x24x!storage>, tensor<6x36x24x!storage>, tensor<7xi32>) -> tensor<66x36x!storage>
  %hidden = moe.gated_activation %gates : (tensor<66x36x!storage>) -> tensor<66x18x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<66x18x!storage>, tensor<6x24x18x!storage>, tensor<7xi32>) -> tensor<66x24x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<66x24x!storage>, tensor<66xi32>, tensor<33x2xi32>, tensor<33x2x!stat>) -> tensor<33x24x!storage>
  return %y : tensor<33x24x!storage>
}

func.func @experts.expert_without_rows(%x: tensor<9x16x!storage>,
    %indices: tensor<9x2xi32> {moe.draw = "without(4, 0)"}, %w: tensor<9x2x!stat> {moe.draw = "uniform(0, 1)"},
    %gate_up: tensor<4x16x16x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<4x16x8x!storage> {moe.draw = "normal(0.2)"}) -> tensor<9x16x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<9x2xi32>) -> (tensor<5xi32>, tensor<18xi32>, tensor<9x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<9x16x!storage>, tensor<18xi32>, tensor<9x2xi32>) -> tensor<18x16x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<18x16x!storage>, tensor<4x16x16x!storage>, tensor<5xi32>) -> tensor<18x16x!storage>
  %hidden = moe.gated_activation %gates : (tensor<18x16x!storage>) -> tensor<18x8x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<18x8x!storage>, tensor<4x16x8x!storage>, tensor<5xi32>) -> tensor<18x16x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<18x16x!storage>, tensor<18xi32>, tensor<9x2xi32>, tensor<9x2x!stat>) -> tensor<9x16x!storage>
  return %y : tensor<9x16x!storage>
}

func.func @experts.together(%x: tensor<20x16x!storage>, %indices: tensor<20x2xi32> {moe.draw = "together(5)"},
    %w: tensor<20x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<5x16x16x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<5x16x8x!storage> {moe.draw = "normal(0.2)"}) -> tensor<20x16x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<20x2xi32>) -> (tensor<6xi32>, tensor<40xi32>, tensor<20x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<20x16x!storage>, tensor<40xi32>, tensor<20x2xi32>) -> tensor<40x16x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<40x16x!storage>, tensor<5x16x16x!storage>, tensor<6xi32>) -> tensor<40x16x!storage>
  %hidden = moe.gated_activation %gates : (tensor<40x16x!storage>) -> tensor<40x8x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<40x8x!storage>, tensor<5x16x8x!storage>, tensor<6xi32>) -> tensor<40x16x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<40x16x!storage>, tensor<40xi32>, tensor<20x2xi32>, tensor<20x2x!stat>) -> tensor<20x16x!storage>
  return %y : tensor<20x16x!storage>
}

func.func @experts.one_token(%x: tensor<1x8x!storage>, %indices: tensor<1x2xi32> {moe.draw = "experts(4)"},
    %w: tensor<1x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<4x12x8x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<4x8x6x!storage> {moe.draw = "normal(0.2)"}) -> tensor<1x8x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<1x8x!storage>, tensor<2xi32>, tensor<1x2xi32>) -> tensor<2x8x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<2x8x!storage>, tensor<4x12x8x!storage>, tensor<5xi32>) -> tensor<2x12x!storage>
  %hidden = moe.gated_activation %gates : (tensor<2x12x!storage>) -> tensor<2x6x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<2x6x!storage>, tensor<4x8x6x!storage>, tensor<5xi32>) -> tensor<2x8x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<2x8x!storage>, tensor<2xi32>, tensor<1x2xi32>, tensor<1x2x!stat>) -> tensor<1x8x!storage>
  return %y : tensor<1x8x!storage>
}

// What a token's experts compute is summed up where it is computed: columns that fill no 16, rows that fill no stage.
func.func @experts.combined(%h: tensor<6x72x!storage>, %indices: tensor<1x6xi32> {moe.draw = "experts(9)"},
    %w: tensor<1x6x!stat> {moe.draw = "uniform(0, 1)"}, %down: tensor<9x50x72x!storage> {moe.draw = "normal(0.1)"})
    -> tensor<1x50x!storage> attributes {moe.no_gradient} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x6xi32>) -> (tensor<10xi32>, tensor<6xi32>, tensor<1x6xi32>)
  %outputs = moe.grouped_matmul %h, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<6x72x!storage>, tensor<9x50x72x!storage>, tensor<10xi32>) -> tensor<6x50x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<6x50x!storage>, tensor<6xi32>, tensor<1x6xi32>, tensor<1x6x!stat>) -> tensor<1x50x!storage>
  return %y : tensor<1x50x!storage>
}

// Several stages for each expert, and a residual.
func.func @experts.combined_add(%h: tensor<3x648x!storage>, %indices: tensor<1x3xi32> {moe.draw = "experts(5)"},
    %w: tensor<1x3x!stat> {moe.draw = "uniform(0, 1)"}, %down: tensor<5x48x648x!storage> {moe.draw = "normal(0.04)"},
    %x: tensor<1x48x!storage>) -> tensor<1x48x!storage> attributes {moe.no_gradient} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x3xi32>) -> (tensor<6xi32>, tensor<3xi32>, tensor<1x3xi32>)
  %outputs = moe.grouped_matmul %h, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<3x648x!storage>, tensor<5x48x648x!storage>, tensor<6xi32>) -> tensor<3x48x!storage>
  %sum = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<3x48x!storage>, tensor<3xi32>, tensor<1x3xi32>, tensor<1x3x!stat>) -> tensor<1x48x!storage>
  %y = moe.add %x, %sum : tensor<1x48x!storage>
  return %y : tensor<1x48x!storage>
}

// One choice, of one expert.
func.func @experts.combined_choice(%h: tensor<1x136x!storage>, %indices: tensor<1x1xi32> {moe.draw = "experts(1)"},
    %w: tensor<1x1x!stat> {moe.draw = "uniform(0, 1)"}, %down: tensor<1x16x136x!storage> {moe.draw = "normal(0.1)"})
    -> tensor<1x16x!storage> attributes {moe.no_gradient} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x1xi32>) -> (tensor<2xi32>, tensor<1xi32>, tensor<1x1xi32>)
  %outputs = moe.grouped_matmul %h, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<1x136x!storage>, tensor<1x16x136x!storage>, tensor<2xi32>) -> tensor<1x16x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<1x16x!storage>, tensor<1xi32>, tensor<1x1xi32>, tensor<1x1x!stat>) -> tensor<1x16x!storage>
  return %y : tensor<1x16x!storage>
}

func.func @experts.all_experts(%x: tensor<6x8x!storage>, %indices: tensor<6x3xi32> {moe.draw = "experts(3)"},
    %w: tensor<6x3x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<3x12x8x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<3x8x6x!storage> {moe.draw = "normal(0.2)"}) -> tensor<6x8x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<6x3xi32>) -> (tensor<4xi32>, tensor<18xi32>, tensor<6x3xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<6x8x!storage>, tensor<18xi32>, tensor<6x3xi32>) -> tensor<18x8x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<18x8x!storage>, tensor<3x12x8x!storage>, tensor<4xi32>) -> tensor<18x12x!storage>
  %hidden = moe.gated_activation %gates : (tensor<18x12x!storage>) -> tensor<18x6x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<18x6x!storage>, tensor<3x8x6x!storage>, tensor<4xi32>) -> tensor<18x8x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<18x8x!storage>, tensor<18xi32>, tensor<6x3xi32>, tensor<6x3x!stat>) -> tensor<6x8x!storage>
  return %y : tensor<6x8x!storage>
}

func.func @experts.several_tiles(%x: tensor<80x40x!storage>, %indices: tensor<80x2xi32> {moe.draw = "experts(4)"},
    %w: tensor<80x2x!stat> {moe.draw = "uniform(0, 1)"}, %gate_up: tensor<4x72x40x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<4x40x36x!storage> {moe.draw = "normal(0.2)"}) -> tensor<80x40x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<80x2xi32>) -> (tensor<5xi32>, tensor<160xi32>, tensor<80x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<80x40x!storage>, tensor<160xi32>, tensor<80x2xi32>) -> tensor<160x40x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<160x40x!storage>, tensor<4x72x40x!storage>, tensor<5xi32>) -> tensor<160x72x!storage>
  %hidden = moe.gated_activation %gates : (tensor<160x72x!storage>) -> tensor<160x36x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<160x36x!storage>, tensor<4x40x36x!storage>, tensor<5xi32>) -> tensor<160x40x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<160x40x!storage>, tensor<160xi32>, tensor<80x2xi32>, tensor<80x2x!stat>) -> tensor<80x40x!storage>
  return %y : tensor<80x40x!storage>
}

// The weights are no parameters: their gradient is not asked for.
func.func @experts.fixed_weights(%x: tensor<9x8x!storage>, %indices: tensor<9x2xi32> {moe.draw = "experts(3)"},
    %w: tensor<9x2x!stat> {moe.draw = "uniform(0, 1)", moe.no_gradient},
    %gate_up: tensor<3x12x8x!storage> {moe.draw = "normal(0.2)"},
    %down: tensor<3x8x6x!storage> {moe.draw = "normal(0.2)"}) -> tensor<9x8x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<9x2xi32>) -> (tensor<4xi32>, tensor<18xi32>, tensor<9x2xi32>)
  %rows = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<9x8x!storage>, tensor<18xi32>, tensor<9x2xi32>) -> tensor<18x8x!storage>
  %gates = moe.grouped_matmul %rows, %gate_up, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<18x8x!storage>, tensor<3x12x8x!storage>, tensor<4xi32>) -> tensor<18x12x!storage>
  %hidden = moe.gated_activation %gates : (tensor<18x12x!storage>) -> tensor<18x6x!storage>
  %outputs = moe.grouped_matmul %hidden, %down, %offsets {ragged = #moe.ragged<rows>, transpose_rhs}
      : (tensor<18x6x!storage>, tensor<3x8x6x!storage>, tensor<4xi32>) -> tensor<18x8x!storage>
  %y = moe.combine %outputs plan(%permutation, %inverse) weights(%w)
      : (tensor<18x8x!storage>, tensor<18xi32>, tensor<9x2xi32>, tensor<9x2x!stat>) -> tensor<9x8x!storage>
  return %y : tensor<9x8x!storage>
}

//===--- Weighted activations -----------------------------------------------===//

func.func @weighted_gated_activation.odd_size(%h: tensor<14x10x!storage>,
    %indices: tensor<7x2xi32> {moe.draw = "without(4, 2)"}, %w: tensor<7x2x!stat>) -> tensor<14x5x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<7x2xi32>) -> (tensor<5xi32>, tensor<14xi32>, tensor<7x2xi32>)
  %y = moe.weighted_gated_activation %h plan(%permutation, %inverse) weights(%w)
      : (tensor<14x10x!storage>, tensor<14xi32>, tensor<7x2xi32>, tensor<7x2x!stat>) -> tensor<14x5x!storage>
  return %y : tensor<14x5x!storage>
}

func.func @weighted_gated_activation.one_row(%h: tensor<1x2x!storage>, %indices: tensor<1x1xi32> {moe.draw = "experts(3)"},
    %w: tensor<1x1x!stat>) -> tensor<1x1x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x1xi32>) -> (tensor<4xi32>, tensor<1xi32>, tensor<1x1xi32>)
  %y = moe.weighted_gated_activation %h plan(%permutation, %inverse) weights(%w)
      : (tensor<1x2x!storage>, tensor<1xi32>, tensor<1x1xi32>, tensor<1x1x!stat>) -> tensor<1x1x!storage>
  return %y : tensor<1x1x!storage>
}

func.func @weighted_gated_activation.wide(%h: tensor<80x600x!storage>, %indices: tensor<20x4xi32> {moe.draw = "skewed(9)"},
    %w: tensor<20x4x!stat> {moe.draw = "uniform(0, 1)"}) -> tensor<80x300x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<20x4xi32>) -> (tensor<10xi32>, tensor<80xi32>, tensor<20x4xi32>)
  %y = moe.weighted_gated_activation %h plan(%permutation, %inverse) weights(%w)
      : (tensor<80x600x!storage>, tensor<80xi32>, tensor<20x4xi32>, tensor<20x4x!stat>) -> tensor<80x300x!storage>
  return %y : tensor<80x300x!storage>
}

// The sigmoid saturates on both sides.
func.func @weighted_gated_activation.extreme_gates(%h: tensor<8x22x!storage> {moe.draw = "extreme(1e4)"},
    %indices: tensor<4x2xi32> {moe.draw = "experts(3)"}, %w: tensor<4x2x!stat>) -> tensor<8x11x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %y = moe.weighted_gated_activation %h plan(%permutation, %inverse) weights(%w)
      : (tensor<8x22x!storage>, tensor<8xi32>, tensor<4x2xi32>, tensor<4x2x!stat>) -> tensor<8x11x!storage>
  return %y : tensor<8x11x!storage>
}

// All three results at once, the activation among them, which its own gradient has no use for.
func.func @weighted_gated_activation_backward.all_results(%h: tensor<66x140x!storage>, %d: tensor<66x70x!storage>,
    %indices: tensor<33x2xi32> {moe.draw = "skewed(6)"}, %w: tensor<33x2x!stat> {moe.draw = "uniform(0, 1)"})
    -> (tensor<66x70x!storage>, tensor<66x140x!storage>, tensor<33x2x!stat>) attributes {moe.no_gradient} {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<33x2xi32>) -> (tensor<7xi32>, tensor<66xi32>, tensor<33x2xi32>)
  %y, %dh, %dw = moe.weighted_gated_activation_backward %h, %d plan(%permutation, %inverse) weights(%w)
      : (tensor<66x140x!storage>, tensor<66x70x!storage>, tensor<66xi32>, tensor<33x2xi32>, tensor<33x2x!stat>)
      -> (tensor<66x70x!storage>, tensor<66x140x!storage>, tensor<33x2x!stat>)
  return %y, %dh, %dw : tensor<66x70x!storage>, tensor<66x140x!storage>, tensor<33x2x!stat>
}
