// Routing: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @router_scores.softmax_odd_size(%logits: tensor<3x5x!stat>) -> tensor<3x5x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<3x5x!stat>) -> tensor<3x5x!stat>
  return %y : tensor<3x5x!stat>
}

// A score of 1 whatever the logit.
func.func @router_scores.softmax_one_expert(%logits: tensor<2x1x!stat>) -> tensor<2x1x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<2x1x!stat>) -> tensor<2x1x!stat>
  return %y : tensor<2x1x!stat>
}

func.func @router_scores.softmax_many_experts(%logits: tensor<19x128x!stat>) -> tensor<19x128x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<19x128x!stat>) -> tensor<19x128x!stat>
  return %y : tensor<19x128x!stat>
}

func.func @router_scores.softmax_extreme_logits(%logits: tensor<9x13x!stat> {moe.draw = "extreme(1e4)"})
    -> tensor<9x13x!stat> attributes {moe.not_smooth} {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<9x13x!stat>) -> tensor<9x13x!stat>
  return %y : tensor<9x13x!stat>
}

func.func @router_scores.softmax_equal_logits(%logits: tensor<4x7x!stat> {moe.draw = "constant(2.5)"})
    -> tensor<4x7x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<4x7x!stat>) -> tensor<4x7x!stat>
  return %y : tensor<4x7x!stat>
}

func.func @router_scores.sigmoid_odd_size(%logits: tensor<3x5x!stat>) -> tensor<3x5x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<3x5x!stat>) -> tensor<3x5x!stat>
  return %y : tensor<3x5x!stat>
}

func.func @router_scores.sigmoid_one_expert(%logits: tensor<2x1x!stat>) -> tensor<2x1x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<2x1x!stat>) -> tensor<2x1x!stat>
  return %y : tensor<2x1x!stat>
}

func.func @router_scores.sigmoid_many_experts(%logits: tensor<19x128x!stat>) -> tensor<19x128x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<19x128x!stat>) -> tensor<19x128x!stat>
  return %y : tensor<19x128x!stat>
}

func.func @router_scores.sigmoid_extreme_logits(%logits: tensor<9x13x!stat> {moe.draw = "extreme(1e4)"})
    -> tensor<9x13x!stat> attributes {moe.not_smooth} {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<9x13x!stat>) -> tensor<9x13x!stat>
  return %y : tensor<9x13x!stat>
}

func.func @router_scores.sigmoid_equal_logits(%logits: tensor<4x7x!stat> {moe.draw = "constant(2.5)"})
    -> tensor<4x7x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<4x7x!stat>) -> tensor<4x7x!stat>
  return %y : tensor<4x7x!stat>
}

func.func @topk_gate.normalised(%logits: tensor<4x5x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<4x5x!stat>) -> tensor<4x5x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.5}
      : (tensor<4x5x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32>)
  return %weights, %indices : tensor<4x2x!stat>, tensor<4x2xi32>
}

func.func @topk_gate.plain_softmax(%logits: tensor<4x5x!stat>)
    -> (tensor<4x2x!stat>, tensor<4x2xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<4x5x!stat>) -> tensor<4x5x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<4x5x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32>)
  return %weights, %indices : tensor<4x2x!stat>, tensor<4x2xi32>
}

// With top_k = num_experts every score has a gradient.
func.func @topk_gate.all_experts(%logits: tensor<3x4x!stat>) -> (tensor<3x4x!stat>, tensor<3x4xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 2.0}
      : (tensor<3x4x!stat>) -> (tensor<3x4x!stat>, tensor<3x4xi32>)
  return %weights, %indices : tensor<3x4x!stat>, tensor<3x4xi32>
}

func.func @topk_gate.one_expert_per_token(%logits: tensor<3x4x!stat>)
    -> (tensor<3x1x!stat>, tensor<3x1xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 1, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<3x4x!stat>) -> (tensor<3x1x!stat>, tensor<3x1xi32>)
  return %weights, %indices : tensor<3x1x!stat>, tensor<3x1xi32>
}

func.func @topk_gate.one_token(%logits: tensor<1x6x!stat>) -> (tensor<1x3x!stat>, tensor<1x3xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<1x6x!stat>) -> tensor<1x6x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 3, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<1x6x!stat>) -> (tensor<1x3x!stat>, tensor<1x3xi32>)
  return %weights, %indices : tensor<1x3x!stat>, tensor<1x3xi32>
}

func.func @topk_gate.one_expert(%logits: tensor<5x1x!stat>) -> (tensor<5x1x!stat>, tensor<5x1xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<5x1x!stat>) -> tensor<5x1x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 1, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<5x1x!stat>) -> (tensor<5x1x!stat>, tensor<5x1xi32>)
  return %weights, %indices : tensor<5x1x!stat>, tensor<5x1xi32>
}

// The weights are the scores without the bias.
func.func @topk_gate.bias_decides(%logits: tensor<4x4x!stat>,
    %bias: tensor<4x!stat> {moe.draw = "normal(3)", moe.no_gradient})
    -> (tensor<4x2x!stat>, tensor<4x2xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<4x4x!stat>) -> tensor<4x4x!stat>
  %weights, %indices = moe.topk_gate %scores, %bias {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<4x4x!stat>, tensor<4x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32>)
  return %weights, %indices : tensor<4x2x!stat>, tensor<4x2xi32>
}

func.func @topk_gate.many_experts(%logits: tensor<37x128x!stat>)
    -> (tensor<37x8x!stat>, tensor<37x8xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<37x128x!stat>) -> tensor<37x128x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 8, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<37x128x!stat>) -> (tensor<37x8x!stat>, tensor<37x8xi32>)
  return %weights, %indices : tensor<37x8x!stat>, tensor<37x8xi32>
}

func.func @topk_gate.many_experts_sigmoid(%logits: tensor<21x64x!stat>,
    %bias: tensor<64x!stat> {moe.draw = "normal(0.1)", moe.no_gradient})
    -> (tensor<21x6x!stat>, tensor<21x6xi32> {moe.no_gradient}) {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<21x64x!stat>) -> tensor<21x64x!stat>
  %weights, %indices = moe.topk_gate %scores, %bias {top_k = 6, norm_topk_prob = true, routed_scaling_factor = 2.5}
      : (tensor<21x64x!stat>, tensor<64x!stat>) -> (tensor<21x6x!stat>, tensor<21x6xi32>)
  return %weights, %indices : tensor<21x6x!stat>, tensor<21x6xi32>
}

// Of equal scores the lower index wins.
func.func @topk_gate.ties(%logits: tensor<23x8x!stat> {moe.draw = "steps(3)"})
    -> (tensor<23x3x!stat>, tensor<23x3xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<23x8x!stat>) -> tensor<23x8x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 3, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<23x8x!stat>) -> (tensor<23x3x!stat>, tensor<23x3xi32>)
  return %weights, %indices : tensor<23x3x!stat>, tensor<23x3xi32>
}

func.func @topk_gate.ties_sigmoid(%logits: tensor<23x16x!stat> {moe.draw = "steps(2)"})
    -> (tensor<23x4x!stat>, tensor<23x4xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<23x16x!stat>) -> tensor<23x16x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<23x16x!stat>) -> (tensor<23x4x!stat>, tensor<23x4xi32>)
  return %weights, %indices : tensor<23x4x!stat>, tensor<23x4xi32>
}

func.func @topk_gate.all_equal(%logits: tensor<5x9x!stat> {moe.draw = "constant(1)"})
    -> (tensor<5x4x!stat>, tensor<5x4xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<5x9x!stat>) -> tensor<5x9x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<5x9x!stat>) -> (tensor<5x4x!stat>, tensor<5x4xi32>)
  return %weights, %indices : tensor<5x4x!stat>, tensor<5x4xi32>
}

func.func @topk_gate.bias_breaks_ties(%logits: tensor<6x8x!stat> {moe.draw = "constant(1)"},
    %bias: tensor<8x!stat> {moe.draw = "normal", moe.no_gradient})
    -> (tensor<6x2x!stat>, tensor<6x2xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<6x8x!stat>) -> tensor<6x8x!stat>
  %weights, %indices = moe.topk_gate %scores, %bias {top_k = 2, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<6x8x!stat>, tensor<8x!stat>) -> (tensor<6x2x!stat>, tensor<6x2xi32>)
  return %weights, %indices : tensor<6x2x!stat>, tensor<6x2xi32>
}

// Some scores are 0 in float32, and equal then.
func.func @topk_gate.extreme_logits(%logits: tensor<9x8x!stat> {moe.draw = "extreme(1e4)"})
    -> (tensor<9x2x!stat>, tensor<9x2xi32> {moe.no_gradient}) attributes {moe.not_smooth} {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<9x8x!stat>) -> tensor<9x8x!stat>
  %weights, %indices = moe.topk_gate %scores {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<9x8x!stat>) -> (tensor<9x2x!stat>, tensor<9x2xi32>)
  return %weights, %indices : tensor<9x2x!stat>, tensor<9x2xi32>
}

func.func @plan_routing.uniform(%indices: tensor<19x2xi32> {moe.draw = "experts(6)"})
    -> (tensor<7xi32> {moe.no_gradient}, tensor<38xi32> {moe.no_gradient}, tensor<19x2xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<19x2xi32>) -> (tensor<7xi32>, tensor<38xi32>, tensor<19x2xi32>)
  return %offsets, %permutation, %inverse : tensor<7xi32>, tensor<38xi32>, tensor<19x2xi32>
}

func.func @plan_routing.skewed(%indices: tensor<40x2xi32> {moe.draw = "skewed(8)"})
    -> (tensor<9xi32> {moe.no_gradient}, tensor<80xi32> {moe.no_gradient}, tensor<40x2xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<40x2xi32>) -> (tensor<9xi32>, tensor<80xi32>, tensor<40x2xi32>)
  return %offsets, %permutation, %inverse : tensor<9xi32>, tensor<80xi32>, tensor<40x2xi32>
}

// Every token to the same experts.
func.func @plan_routing.together(%indices: tensor<33x2xi32> {moe.draw = "together(5)"})
    -> (tensor<6xi32> {moe.no_gradient}, tensor<66xi32> {moe.no_gradient}, tensor<33x2xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<33x2xi32>) -> (tensor<6xi32>, tensor<66xi32>, tensor<33x2xi32>)
  return %offsets, %permutation, %inverse : tensor<6xi32>, tensor<66xi32>, tensor<33x2xi32>
}

func.func @plan_routing.expert_without_rows(%indices: tensor<21x3xi32> {moe.draw = "without(7, 2)"})
    -> (tensor<8xi32> {moe.no_gradient}, tensor<63xi32> {moe.no_gradient}, tensor<21x3xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<21x3xi32>) -> (tensor<8xi32>, tensor<63xi32>, tensor<21x3xi32>)
  return %offsets, %permutation, %inverse : tensor<8xi32>, tensor<63xi32>, tensor<21x3xi32>
}

func.func @plan_routing.one_token(%indices: tensor<1x2xi32> {moe.draw = "experts(4)"})
    -> (tensor<5xi32> {moe.no_gradient}, tensor<2xi32> {moe.no_gradient}, tensor<1x2xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  return %offsets, %permutation, %inverse : tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>
}

func.func @plan_routing.all_experts(%indices: tensor<6x4xi32> {moe.draw = "experts(4)"})
    -> (tensor<5xi32> {moe.no_gradient}, tensor<24xi32> {moe.no_gradient}, tensor<6x4xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<6x4xi32>) -> (tensor<5xi32>, tensor<24xi32>, tensor<6x4xi32>)
  return %offsets, %permutation, %inverse : tensor<5xi32>, tensor<24xi32>, tensor<6x4xi32>
}

func.func @plan_routing.one_expert(%indices: tensor<9x1xi32> {moe.draw = "experts(1)"})
    -> (tensor<2xi32> {moe.no_gradient}, tensor<9xi32> {moe.no_gradient}, tensor<9x1xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<9x1xi32>) -> (tensor<2xi32>, tensor<9xi32>, tensor<9x1xi32>)
  return %offsets, %permutation, %inverse : tensor<2xi32>, tensor<9xi32>, tensor<9x1xi32>
}

func.func @plan_routing.many_rows(%indices: tensor<700x4xi32> {moe.draw = "skewed(64)"})
    -> (tensor<65xi32> {moe.no_gradient}, tensor<2800xi32> {moe.no_gradient}, tensor<700x4xi32> {moe.no_gradient}) {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<700x4xi32>) -> (tensor<65xi32>, tensor<2800xi32>, tensor<700x4xi32>)
  return %offsets, %permutation, %inverse : tensor<65xi32>, tensor<2800xi32>, tensor<700x4xi32>
}

func.func @dispatch.weighted_expert_without_rows(%x: tensor<3x3x!storage>,
    %indices: tensor<3x2xi32> {moe.draw = "without(4, 2)"}, %w: tensor<3x2x!stat>) -> tensor<6x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<3x3x!storage>, tensor<6xi32>, tensor<3x2xi32>, tensor<3x2x!stat>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.weighted_expert_without_rows(%rows: tensor<6x3x!storage>,
    %indices: tensor<3x2xi32> {moe.draw = "without(4, 2)"}, %w: tensor<3x2x!stat>) -> tensor<3x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<3x2xi32>, tensor<3x2x!stat>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.weighted_together(%x: tensor<3x3x!storage>, %indices: tensor<3x1xi32> {moe.draw = "together(3)"},
    %w: tensor<3x1x!stat>) -> tensor<3x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>, tensor<3x1x!stat>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @combine.weighted_together(%rows: tensor<3x3x!storage>, %indices: tensor<3x1xi32> {moe.draw = "together(3)"},
    %w: tensor<3x1x!stat>) -> tensor<3x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>, tensor<3x1x!stat>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.weighted_all_experts(%x: tensor<2x3x!storage>, %indices: tensor<2x3xi32> {moe.draw = "experts(3)"},
    %w: tensor<2x3x!stat>) -> tensor<6x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<2x3x!storage>, tensor<6xi32>, tensor<2x3xi32>, tensor<2x3x!stat>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.weighted_all_experts(%rows: tensor<6x3x!storage>,
    %indices: tensor<2x3xi32> {moe.draw = "experts(3)"}, %w: tensor<2x3x!stat>) -> tensor<2x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<2x3xi32>, tensor<2x3x!stat>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @dispatch.weighted_one_token(%x: tensor<1x3x!storage>, %indices: tensor<1x2xi32> {moe.draw = "experts(4)"},
    %w: tensor<1x2x!stat>) -> tensor<2x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<1x3x!storage>, tensor<2xi32>, tensor<1x2xi32>, tensor<1x2x!stat>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @combine.weighted_one_token(%rows: tensor<2x3x!storage>, %indices: tensor<1x2xi32> {moe.draw = "experts(4)"},
    %w: tensor<1x2x!stat>) -> tensor<1x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<2x3x!storage>, tensor<2xi32>, tensor<1x2xi32>, tensor<1x2x!stat>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}

func.func @dispatch.weighted_skewed(%x: tensor<45x40x!storage>, %indices: tensor<45x4xi32> {moe.draw = "skewed(9)"},
    %w: tensor<45x4x!stat>) -> tensor<180x40x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<45x4xi32>) -> (tensor<10xi32>, tensor<180xi32>, tensor<45x4xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<45x40x!storage>, tensor<180xi32>, tensor<45x4xi32>, tensor<45x4x!stat>) -> tensor<180x40x!storage>
  return %y : tensor<180x40x!storage>
}

func.func @combine.weighted_skewed(%rows: tensor<180x40x!storage>, %indices: tensor<45x4xi32> {moe.draw = "skewed(9)"},
    %w: tensor<45x4x!stat>) -> tensor<45x40x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<45x4xi32>) -> (tensor<10xi32>, tensor<180xi32>, tensor<45x4xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<180x40x!storage>, tensor<180xi32>, tensor<45x4xi32>, tensor<45x4x!stat>) -> tensor<45x40x!storage>
  return %y : tensor<45x40x!storage>
}

func.func @dispatch.plain_expert_without_rows(%x: tensor<3x3x!storage>,
    %indices: tensor<3x2xi32> {moe.draw = "without(4, 2)"}) -> tensor<6x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<3x3x!storage>, tensor<6xi32>, tensor<3x2xi32>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.plain_expert_without_rows(%rows: tensor<6x3x!storage>,
    %indices: tensor<3x2xi32> {moe.draw = "without(4, 2)"}) -> tensor<3x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<3x2xi32>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.plain_together(%x: tensor<3x3x!storage>, %indices: tensor<3x1xi32> {moe.draw = "together(3)"})
    -> tensor<3x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @combine.plain_together(%rows: tensor<3x3x!storage>, %indices: tensor<3x1xi32> {moe.draw = "together(3)"})
    -> tensor<3x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.plain_all_experts(%x: tensor<2x3x!storage>, %indices: tensor<2x3xi32> {moe.draw = "experts(3)"})
    -> tensor<6x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<2x3x!storage>, tensor<6xi32>, tensor<2x3xi32>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.plain_all_experts(%rows: tensor<6x3x!storage>, %indices: tensor<2x3xi32> {moe.draw = "experts(3)"})
    -> tensor<2x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<2x3xi32>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @dispatch.plain_one_token(%x: tensor<1x3x!storage>, %indices: tensor<1x2xi32> {moe.draw = "experts(4)"})
    -> tensor<2x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<1x3x!storage>, tensor<2xi32>, tensor<1x2xi32>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @combine.plain_one_token(%rows: tensor<2x3x!storage>, %indices: tensor<1x2xi32> {moe.draw = "experts(4)"})
    -> tensor<1x3x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<2x3x!storage>, tensor<2xi32>, tensor<1x2xi32>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}

func.func @dispatch.plain_skewed(%x: tensor<45x40x!storage>, %indices: tensor<45x4xi32> {moe.draw = "skewed(9)"})
    -> tensor<180x40x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<45x4xi32>) -> (tensor<10xi32>, tensor<180xi32>, tensor<45x4xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<45x40x!storage>, tensor<180xi32>, tensor<45x4xi32>) -> tensor<180x40x!storage>
  return %y : tensor<180x40x!storage>
}

func.func @combine.plain_skewed(%rows: tensor<180x40x!storage>, %indices: tensor<45x4xi32> {moe.draw = "skewed(9)"})
    -> tensor<45x40x!storage> {
  %offsets, %permutation, %inverse = moe.plan_routing %indices
      : (tensor<45x4xi32>) -> (tensor<10xi32>, tensor<180xi32>, tensor<45x4xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<180x40x!storage>, tensor<180xi32>, tensor<45x4xi32>) -> tensor<45x40x!storage>
  return %y : tensor<45x40x!storage>
}

func.func @expert_load.uniform(%offsets: tensor<7xi32> {moe.draw = "offsets(50)"})
    -> (tensor<6xi32> {moe.no_gradient}) {
  %load = moe.expert_load %offsets : (tensor<7xi32>) -> tensor<6xi32>
  return %load : tensor<6xi32>
}

func.func @expert_load.expert_without_rows(%offsets: tensor<6xi32> {moe.draw = "offsets_without(20, 0)"})
    -> (tensor<5xi32> {moe.no_gradient}) {
  %load = moe.expert_load %offsets : (tensor<6xi32>) -> tensor<5xi32>
  return %load : tensor<5xi32>
}

func.func @expert_load.one_expert(%offsets: tensor<5xi32> {moe.draw = "offsets_one(9, 3)"})
    -> (tensor<4xi32> {moe.no_gradient}) {
  %load = moe.expert_load %offsets : (tensor<5xi32>) -> tensor<4xi32>
  return %load : tensor<4xi32>
}

func.func @update_selection_bias.uneven(%bias: tensor<6x!stat> {moe.draw = "normal(0.1)"},
    %load: tensor<6xi32> {moe.draw = "load(60)"}) -> tensor<6x!stat> attributes {moe.no_gradient} {
  %y = moe.update_selection_bias %bias, %load {rate = 1.0e-3} : (tensor<6x!stat>, tensor<6xi32>) -> tensor<6x!stat>
  return %y : tensor<6x!stat>
}

// sign(0) = 0: nothing changes.
func.func @update_selection_bias.even(%bias: tensor<5x!stat> {moe.draw = "normal(0.1)"},
    %load: tensor<5xi32> {moe.draw = "constant(7)"}) -> tensor<5x!stat> attributes {moe.no_gradient} {
  %y = moe.update_selection_bias %bias, %load {rate = 1.0e-3} : (tensor<5x!stat>, tensor<5xi32>) -> tensor<5x!stat>
  return %y : tensor<5x!stat>
}

func.func @update_selection_bias.many_experts(%bias: tensor<64x!stat> {moe.draw = "normal(0.1)"},
    %load: tensor<64xi32> {moe.draw = "load(512)"}) -> tensor<64x!stat> attributes {moe.no_gradient} {
  %y = moe.update_selection_bias %bias, %load {rate = 1.0e-3} : (tensor<64x!stat>, tensor<64xi32>) -> tensor<64x!stat>
  return %y : tensor<64x!stat>
}

// A step whose gradients are not finite is not taken, and moves no bias.
func.func @update_selection_bias.bad_step(%bias: tensor<6x!stat> {moe.draw = "normal(0.1)"},
    %load: tensor<6xi32> {moe.draw = "load(60)"}) -> tensor<6x!stat> attributes {moe.no_gradient} {
  %norm = arith.constant dense<0x7F800000> : tensor<!stat>
  %y = moe.update_selection_bias %bias, %load, %norm {rate = 1.0e-3}
      : (tensor<6x!stat>, tensor<6xi32>, tensor<!stat>) -> tensor<6x!stat>
  return %y : tensor<6x!stat>
}
