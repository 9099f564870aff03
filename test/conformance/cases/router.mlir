// Routers from tokens to choices, which a target may compute in one launch: cases of the conformance suite, see
// docs/conformance.md. Of many choices some are close and change within the step of finite differences: these cases are
// not smooth.

!storage = f32
!stat = f32

// One launch with its plan, in several blocks.
func.func @router.one_token(%x: tensor<1x64x!storage>, %w: tensor<32x64x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<1x4x!stat>, tensor<1x4xi32> {moe.no_gradient}, tensor<33xi32> {moe.no_gradient},
        tensor<4xi32> {moe.no_gradient}, tensor<1x4xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<1x64x!storage>, tensor<32x64x!storage>) -> tensor<1x32x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<1x32x!stat>) -> tensor<1x32x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<1x32x!stat>) -> (tensor<1x4x!stat>, tensor<1x4xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x4xi32>) -> (tensor<33xi32>, tensor<4xi32>, tensor<1x4xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<1x4x!stat>, tensor<1x4xi32>, tensor<33xi32>, tensor<4xi32>, tensor<1x4xi32>
}

// Experts that fill no 16, and a contraction that fills no stage.
func.func @router.few_tokens(%x: tensor<7x136x!storage>, %w: tensor<40x136x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<7x5x!stat>, tensor<7x5xi32> {moe.no_gradient}, tensor<41xi32> {moe.no_gradient},
        tensor<35xi32> {moe.no_gradient}, tensor<7x5xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<7x136x!storage>, tensor<40x136x!storage>) -> tensor<7x40x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<7x40x!stat>) -> tensor<7x40x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 5, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<7x40x!stat>) -> (tensor<7x5x!stat>, tensor<7x5xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<7x5xi32>) -> (tensor<41xi32>, tensor<35xi32>, tensor<7x5xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<7x5x!stat>, tensor<7x5xi32>, tensor<41xi32>, tensor<35xi32>, tensor<7x5xi32>
}

// So wide that several blocks share the experts.
func.func @router.wide_token(%x: tensor<1x2056x!storage>, %w: tensor<120x2056x!storage> {moe.draw = "normal(0.03)"})
    -> (tensor<1x8x!stat>, tensor<1x8xi32> {moe.no_gradient}, tensor<121xi32> {moe.no_gradient},
        tensor<8xi32> {moe.no_gradient}, tensor<1x8xi32> {moe.no_gradient}) attributes {moe.no_gradient} {
  %logits = moe.linear %x, %w : (tensor<1x2056x!storage>, tensor<120x2056x!storage>) -> tensor<1x120x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<1x120x!stat>) -> tensor<1x120x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 8, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<1x120x!stat>) -> (tensor<1x8x!stat>, tensor<1x8xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x8xi32>) -> (tensor<121xi32>, tensor<8xi32>, tensor<1x8xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<1x8x!stat>, tensor<1x8xi32>, tensor<121xi32>, tensor<8xi32>, tensor<1x8xi32>
}

// And several blocks of tokens.
func.func @router.wide_tokens(%x: tensor<35x1544x!storage>, %w: tensor<104x1544x!storage> {moe.draw = "normal(0.03)"})
    -> (tensor<35x6x!stat>, tensor<35x6xi32> {moe.no_gradient}, tensor<105xi32> {moe.no_gradient},
        tensor<210xi32> {moe.no_gradient}, tensor<35x6xi32> {moe.no_gradient}) attributes {moe.no_gradient} {
  %logits = moe.linear %x, %w : (tensor<35x1544x!storage>, tensor<104x1544x!storage>) -> tensor<35x104x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<35x104x!stat>) -> tensor<35x104x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 6, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<35x104x!stat>) -> (tensor<35x6x!stat>, tensor<35x6xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<35x6xi32>) -> (tensor<105xi32>, tensor<210xi32>, tensor<35x6xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<35x6x!stat>, tensor<35x6xi32>, tensor<105xi32>, tensor<210xi32>, tensor<35x6xi32>
}

// The plan waits for several blocks of tokens.
func.func @router.several_row_tiles(%x: tensor<70x96x!storage>, %w: tensor<64x96x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<70x6x!stat>, tensor<70x6xi32> {moe.no_gradient}, tensor<65xi32> {moe.no_gradient},
        tensor<420xi32> {moe.no_gradient}, tensor<70x6xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<70x96x!storage>, tensor<64x96x!storage>) -> tensor<70x64x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<70x64x!stat>) -> tensor<70x64x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 6, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<70x64x!stat>) -> (tensor<70x6x!stat>, tensor<70x6xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<70x6xi32>) -> (tensor<65xi32>, tensor<420xi32>, tensor<70x6xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<70x6x!stat>, tensor<70x6xi32>, tensor<65xi32>, tensor<420xi32>, tensor<70x6xi32>
}

// More entries than one block sorts.
func.func @router.many_tokens(%x: tensor<301x48x!storage>, %w: tensor<64x48x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<301x8x!stat>, tensor<301x8xi32> {moe.no_gradient}, tensor<65xi32> {moe.no_gradient},
        tensor<2408xi32> {moe.no_gradient}, tensor<301x8xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %logits = moe.linear %x, %w : (tensor<301x48x!storage>, tensor<64x48x!storage>) -> tensor<301x64x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<301x64x!stat>) -> tensor<301x64x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 8, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<301x64x!stat>) -> (tensor<301x8x!stat>, tensor<301x8xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<301x8xi32>) -> (tensor<65xi32>, tensor<2408xi32>, tensor<301x8xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<301x8x!stat>, tensor<301x8xi32>, tensor<65xi32>, tensor<2408xi32>, tensor<301x8xi32>
}

func.func @router.many_experts(%x: tensor<33x32x!storage>, %w: tensor<256x32x!storage> {moe.draw = "normal(0.125)"},
    %bias: tensor<256x!stat> {moe.draw = "normal(0.1)", moe.no_gradient})
    -> (tensor<33x8x!stat>, tensor<33x8xi32> {moe.no_gradient}, tensor<257xi32> {moe.no_gradient},
        tensor<264xi32> {moe.no_gradient}, tensor<33x8xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<33x32x!storage>, tensor<256x32x!storage>) -> tensor<33x256x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<33x256x!stat>) -> tensor<33x256x!stat>
  %weights, %indices = moe.topk_gate %scores, %bias {top_k = 8, norm_topk_prob = true, routed_scaling_factor = 2.5}
      : (tensor<33x256x!stat>, tensor<256x!stat>) -> (tensor<33x8x!stat>, tensor<33x8xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<33x8xi32>) -> (tensor<257xi32>, tensor<264xi32>, tensor<33x8xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<33x8x!stat>, tensor<33x8xi32>, tensor<257xi32>, tensor<264xi32>, tensor<33x8xi32>
}

func.func @router.most_experts(%x: tensor<19x24x!storage>, %w: tensor<300x24x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<19x2x!stat>, tensor<19x2xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<19x24x!storage>, tensor<300x24x!storage>) -> tensor<19x300x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<19x300x!stat>) -> tensor<19x300x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<19x300x!stat>) -> (tensor<19x2x!stat>, tensor<19x2xi32>)
  return %weights, %indices
      : tensor<19x2x!stat>, tensor<19x2xi32>
}

// As many chunks of tokens as there are for 8 experts.
func.func @router.few_experts(%x: tensor<150x72x!storage>, %w: tensor<8x72x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<150x2x!stat>, tensor<150x2xi32> {moe.no_gradient}, tensor<9xi32> {moe.no_gradient},
        tensor<300xi32> {moe.no_gradient}, tensor<150x2xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<150x72x!storage>, tensor<8x72x!storage>) -> tensor<150x8x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<150x8x!stat>) -> tensor<150x8x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<150x8x!stat>) -> (tensor<150x2x!stat>, tensor<150x2xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<150x2xi32>) -> (tensor<9xi32>, tensor<300xi32>, tensor<150x2xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<150x2x!stat>, tensor<150x2xi32>, tensor<9xi32>, tensor<300xi32>, tensor<150x2xi32>
}

func.func @router.one_expert(%x: tensor<5x16x!storage>, %w: tensor<1x16x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<5x1x!stat>, tensor<5x1xi32> {moe.no_gradient}, tensor<2xi32> {moe.no_gradient},
        tensor<5xi32> {moe.no_gradient}, tensor<5x1xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<5x16x!storage>, tensor<1x16x!storage>) -> tensor<5x1x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<5x1x!stat>) -> tensor<5x1x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 1, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<5x1x!stat>) -> (tensor<5x1x!stat>, tensor<5x1xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<5x1xi32>) -> (tensor<2xi32>, tensor<5xi32>, tensor<5x1xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<5x1x!stat>, tensor<5x1xi32>, tensor<2xi32>, tensor<5xi32>, tensor<5x1xi32>
}

// Every expert is chosen.
func.func @router.all_experts(%x: tensor<21x40x!storage>, %w: tensor<4x40x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<21x4x!stat>, tensor<21x4xi32> {moe.no_gradient}, tensor<5xi32> {moe.no_gradient},
        tensor<84xi32> {moe.no_gradient}, tensor<21x4xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<21x40x!storage>, tensor<4x40x!storage>) -> tensor<21x4x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<21x4x!stat>) -> tensor<21x4x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<21x4x!stat>) -> (tensor<21x4x!stat>, tensor<21x4xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<21x4xi32>) -> (tensor<5xi32>, tensor<84xi32>, tensor<21x4xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<21x4x!stat>, tensor<21x4xi32>, tensor<5xi32>, tensor<84xi32>, tensor<21x4xi32>
}

// A lane writes several of them.
func.func @router.more_choices_than_lanes(%x: tensor<3x16x!storage>,
    %w: tensor<48x16x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<3x40x!stat>, tensor<3x40xi32> {moe.no_gradient}, tensor<49xi32> {moe.no_gradient},
        tensor<120xi32> {moe.no_gradient}, tensor<3x40xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %logits = moe.linear %x, %w : (tensor<3x16x!storage>, tensor<48x16x!storage>) -> tensor<3x48x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<3x48x!stat>) -> tensor<3x48x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 40, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<3x48x!stat>) -> (tensor<3x40x!stat>, tensor<3x40xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x40xi32>) -> (tensor<49xi32>, tensor<120xi32>, tensor<3x40xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<3x40x!stat>, tensor<3x40xi32>, tensor<49xi32>, tensor<120xi32>, tensor<3x40xi32>
}

// As by a balance loss.
func.func @router.scores_needed(%x: tensor<37x64x!storage>, %w: tensor<16x64x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<37x16x!stat>, tensor<37x3x!stat>, tensor<37x3xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<37x64x!storage>, tensor<16x64x!storage>) -> tensor<37x16x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<37x16x!stat>) -> tensor<37x16x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 3, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<37x16x!stat>) -> (tensor<37x3x!stat>, tensor<37x3xi32>)
  return %scores, %weights, %indices
      : tensor<37x16x!stat>, tensor<37x3x!stat>, tensor<37x3xi32>
}

func.func @router.scores_with_plan(%x: tensor<130x64x!storage>, %w: tensor<48x64x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<130x48x!stat>, tensor<130x8x!stat>, tensor<130x8xi32> {moe.no_gradient},
        tensor<49xi32> {moe.no_gradient}, tensor<1040xi32> {moe.no_gradient}, tensor<130x8xi32> {moe.no_gradient})
    attributes {moe.not_smooth} {
  %logits = moe.linear %x, %w : (tensor<130x64x!storage>, tensor<48x64x!storage>) -> tensor<130x48x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<130x48x!stat>) -> tensor<130x48x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 8, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<130x48x!stat>) -> (tensor<130x8x!stat>, tensor<130x8xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<130x8xi32>) -> (tensor<49xi32>, tensor<1040xi32>, tensor<130x8xi32>)
  return %scores, %weights, %indices, %offsets, %permutation, %inverse
      : tensor<130x48x!stat>, tensor<130x8x!stat>, tensor<130x8xi32>, tensor<49xi32>, tensor<1040xi32>,
    tensor<130x8xi32>
}

// Of equal scores the lower index wins.
func.func @router.equal_logits(%x: tensor<40x16x!storage> {moe.draw = "constant(0.5)"},
    %w: tensor<24x16x!storage> {moe.draw = "constant(0.25)"})
    -> (tensor<40x4x!stat>, tensor<40x4xi32> {moe.no_gradient}, tensor<25xi32> {moe.no_gradient},
        tensor<160xi32> {moe.no_gradient}, tensor<40x4xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %logits = moe.linear %x, %w : (tensor<40x16x!storage>, tensor<24x16x!storage>) -> tensor<40x24x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<40x24x!stat>) -> tensor<40x24x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<40x24x!stat>) -> (tensor<40x4x!stat>, tensor<40x4xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<40x4xi32>) -> (tensor<25xi32>, tensor<160xi32>, tensor<40x4xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<40x4x!stat>, tensor<40x4xi32>, tensor<25xi32>, tensor<160xi32>, tensor<40x4xi32>
}

func.func @router.ties(%x: tensor<66x8x!storage> {moe.draw = "steps(2)"},
    %w: tensor<40x8x!storage> {moe.draw = "steps(3)"})
    -> (tensor<66x4x!stat>, tensor<66x4xi32> {moe.no_gradient}, tensor<41xi32> {moe.no_gradient},
        tensor<264xi32> {moe.no_gradient}, tensor<66x4xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %logits = moe.linear %x, %w : (tensor<66x8x!storage>, tensor<40x8x!storage>) -> tensor<66x40x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<66x40x!stat>) -> tensor<66x40x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<66x40x!stat>) -> (tensor<66x4x!stat>, tensor<66x4xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<66x4xi32>) -> (tensor<41xi32>, tensor<264xi32>, tensor<66x4xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<66x4x!stat>, tensor<66x4xi32>, tensor<41xi32>, tensor<264xi32>, tensor<66x4xi32>
}

// Some scores are 0 in float32, and equal then.
func.func @router.extreme_logits(%x: tensor<18x8x!storage> {moe.draw = "constant(100)"},
    %w: tensor<16x8x!storage> {moe.draw = "extreme(100)"})
    -> (tensor<18x2x!stat>, tensor<18x2xi32> {moe.no_gradient}, tensor<17xi32> {moe.no_gradient},
        tensor<36xi32> {moe.no_gradient}, tensor<18x2xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %logits = moe.linear %x, %w : (tensor<18x8x!storage>, tensor<16x8x!storage>) -> tensor<18x16x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<18x16x!stat>) -> tensor<18x16x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<18x16x!stat>) -> (tensor<18x2x!stat>, tensor<18x2xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<18x2xi32>) -> (tensor<17xi32>, tensor<36xi32>, tensor<18x2xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<18x2x!stat>, tensor<18x2xi32>, tensor<17xi32>, tensor<36xi32>, tensor<18x2xi32>
}

// The weights are the scores without the bias.
func.func @router.bias_decides(%x: tensor<29x40x!storage>, %w: tensor<32x40x!storage> {moe.draw = "normal(0.125)"},
    %bias: tensor<32x!stat> {moe.draw = "normal(3)", moe.no_gradient})
    -> (tensor<29x4x!stat>, tensor<29x4xi32> {moe.no_gradient}, tensor<33xi32> {moe.no_gradient},
        tensor<116xi32> {moe.no_gradient}, tensor<29x4xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<29x40x!storage>, tensor<32x40x!storage>) -> tensor<29x32x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<29x32x!stat>) -> tensor<29x32x!stat>
  %weights, %indices = moe.topk_gate %scores, %bias {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<29x32x!stat>, tensor<32x!stat>) -> (tensor<29x4x!stat>, tensor<29x4xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<29x4xi32>) -> (tensor<33xi32>, tensor<116xi32>, tensor<29x4xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<29x4x!stat>, tensor<29x4xi32>, tensor<33xi32>, tensor<116xi32>, tensor<29x4xi32>
}

// Not in pieces of 16 bytes.
func.func @router.rows_of_odd_size(%x: tensor<9x20x!storage>, %w: tensor<12x20x!storage> {moe.draw = "normal(0.125)"})
    -> (tensor<9x2x!stat>, tensor<9x2xi32> {moe.no_gradient}, tensor<13xi32> {moe.no_gradient},
        tensor<18xi32> {moe.no_gradient}, tensor<9x2xi32> {moe.no_gradient}) {
  %logits = moe.linear %x, %w : (tensor<9x20x!storage>, tensor<12x20x!storage>) -> tensor<9x12x!stat>
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<9x12x!stat>) -> tensor<9x12x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<9x12x!stat>) -> (tensor<9x2x!stat>, tensor<9x2xi32>)
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<9x2xi32>) -> (tensor<13xi32>, tensor<18xi32>, tensor<9x2xi32>)
  return %weights, %indices, %offsets, %permutation, %inverse
      : tensor<9x2x!stat>, tensor<9x2xi32>, tensor<13xi32>, tensor<18xi32>, tensor<9x2xi32>
}
