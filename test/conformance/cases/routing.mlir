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

func.func @router_scores.sigmoid_odd_size(%logits: tensor<3x5x!stat>) -> tensor<3x5x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<3x5x!stat>) -> tensor<3x5x!stat>
  return %y : tensor<3x5x!stat>
}

func.func @router_scores.sigmoid_one_expert(%logits: tensor<2x1x!stat>) -> tensor<2x1x!stat> {
  %y = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<2x1x!stat>) -> tensor<2x1x!stat>
  return %y : tensor<2x1x!stat>
}

func.func @topk_gate.normalised(%logits: tensor<4x5x!stat>) -> tensor<4x2x!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<4x5x!stat>) -> tensor<4x5x!stat>
  %w, %i = moe.topk_gate %s {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.5}
      : (tensor<4x5x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32>)
  return %w : tensor<4x2x!stat>
}

func.func @topk_gate.plain_softmax(%logits: tensor<4x5x!stat>) -> tensor<4x2x!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<4x5x!stat>) -> tensor<4x5x!stat>
  %w, %i = moe.topk_gate %s {top_k = 2, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<4x5x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32>)
  return %w : tensor<4x2x!stat>
}

// With top_k = num_experts every score has a gradient.
func.func @topk_gate.all_experts(%logits: tensor<3x4x!stat>) -> tensor<3x4x!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %w, %i = moe.topk_gate %s {top_k = 4, norm_topk_prob = true, routed_scaling_factor = 2.0}
      : (tensor<3x4x!stat>) -> (tensor<3x4x!stat>, tensor<3x4xi32>)
  return %w : tensor<3x4x!stat>
}

func.func @topk_gate.one_expert_per_token(%logits: tensor<3x4x!stat>) -> tensor<3x1x!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %w, %i = moe.topk_gate %s {top_k = 1, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<3x4x!stat>) -> (tensor<3x1x!stat>, tensor<3x1xi32>)
  return %w : tensor<3x1x!stat>
}

func.func @topk_gate.one_token(%logits: tensor<1x6x!stat>) -> tensor<1x3x!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<1x6x!stat>) -> tensor<1x6x!stat>
  %w, %i = moe.topk_gate %s {top_k = 3, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<1x6x!stat>) -> (tensor<1x3x!stat>, tensor<1x3xi32>)
  return %w : tensor<1x3x!stat>
}

// The bias chooses 3, then 1; the weights are the scores without it.
func.func @topk_gate.bias_decides(%logits: tensor<4x4x!stat>) -> tensor<4x2x!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<4x4x!stat>) -> tensor<4x4x!stat>
  %bias = arith.constant dense<[0.0, 4.0, 0.0, 8.0]> : tensor<4x!stat>
  %w, %i = moe.topk_gate %s, %bias {top_k = 2, norm_topk_prob = true, routed_scaling_factor = 1.0}
      : (tensor<4x4x!stat>, tensor<4x!stat>) -> (tensor<4x2x!stat>, tensor<4x2xi32>)
  return %w : tensor<4x2x!stat>
}

// All scores are equal, and stay equal when the argument moves.
func.func @topk_gate.bias_breaks_tied_scores(%logit: tensor<!stat>) -> tensor<2x2x!stat> {
  %logits = moe.broadcast %logit : (tensor<!stat>) -> tensor<2x4x!stat>
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<2x4x!stat>) -> tensor<2x4x!stat>
  %bias = arith.constant dense<[0.0, 1.0, 0.0, 2.0]> : tensor<4x!stat>
  %w, %i = moe.topk_gate %s, %bias {top_k = 2, norm_topk_prob = false, routed_scaling_factor = 1.0}
      : (tensor<2x4x!stat>, tensor<4x!stat>) -> (tensor<2x2x!stat>, tensor<2x2xi32>)
  return %w : tensor<2x2x!stat>
}

func.func @dispatch.weighted_expert_without_rows(%x: tensor<3x3x!storage>, %w: tensor<3x2x!stat>) -> tensor<6x3x!storage> {
  %i = arith.constant dense<[[3, 0], [0, 1], [1, 3]]> : tensor<3x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<3x3x!storage>, tensor<6xi32>, tensor<3x2xi32>, tensor<3x2x!stat>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.weighted_expert_without_rows(%rows: tensor<6x3x!storage>, %w: tensor<3x2x!stat>) -> tensor<3x3x!storage> {
  %i = arith.constant dense<[[3, 0], [0, 1], [1, 3]]> : tensor<3x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<3x2xi32>, tensor<3x2x!stat>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.plain_expert_without_rows(%x: tensor<3x3x!storage>) -> tensor<6x3x!storage> {
  %i = arith.constant dense<[[3, 0], [0, 1], [1, 3]]> : tensor<3x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<3x3x!storage>, tensor<6xi32>, tensor<3x2xi32>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.plain_expert_without_rows(%rows: tensor<6x3x!storage>) -> tensor<3x3x!storage> {
  %i = arith.constant dense<[[3, 0], [0, 1], [1, 3]]> : tensor<3x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<3x2xi32>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.weighted_all_to_one_expert(%x: tensor<3x3x!storage>, %w: tensor<3x1x!stat>) -> tensor<3x3x!storage> {
  %i = arith.constant dense<[[1], [1], [1]]> : tensor<3x1xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>, tensor<3x1x!stat>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @combine.weighted_all_to_one_expert(%rows: tensor<3x3x!storage>, %w: tensor<3x1x!stat>) -> tensor<3x3x!storage> {
  %i = arith.constant dense<[[1], [1], [1]]> : tensor<3x1xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>, tensor<3x1x!stat>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.plain_all_to_one_expert(%x: tensor<3x3x!storage>) -> tensor<3x3x!storage> {
  %i = arith.constant dense<[[1], [1], [1]]> : tensor<3x1xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @combine.plain_all_to_one_expert(%rows: tensor<3x3x!storage>) -> tensor<3x3x!storage> {
  %i = arith.constant dense<[[1], [1], [1]]> : tensor<3x1xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<3x1xi32>) -> (tensor<4xi32>, tensor<3xi32>, tensor<3x1xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<3x3x!storage>, tensor<3xi32>, tensor<3x1xi32>) -> tensor<3x3x!storage>
  return %y : tensor<3x3x!storage>
}

func.func @dispatch.weighted_all_experts(%x: tensor<2x3x!storage>, %w: tensor<2x3x!stat>) -> tensor<6x3x!storage> {
  %i = arith.constant dense<[[0, 1, 2], [2, 0, 1]]> : tensor<2x3xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<2x3x!storage>, tensor<6xi32>, tensor<2x3xi32>, tensor<2x3x!stat>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.weighted_all_experts(%rows: tensor<6x3x!storage>, %w: tensor<2x3x!stat>) -> tensor<2x3x!storage> {
  %i = arith.constant dense<[[0, 1, 2], [2, 0, 1]]> : tensor<2x3xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<2x3xi32>, tensor<2x3x!stat>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @dispatch.plain_all_experts(%x: tensor<2x3x!storage>) -> tensor<6x3x!storage> {
  %i = arith.constant dense<[[0, 1, 2], [2, 0, 1]]> : tensor<2x3xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<2x3x!storage>, tensor<6xi32>, tensor<2x3xi32>) -> tensor<6x3x!storage>
  return %y : tensor<6x3x!storage>
}

func.func @combine.plain_all_experts(%rows: tensor<6x3x!storage>) -> tensor<2x3x!storage> {
  %i = arith.constant dense<[[0, 1, 2], [2, 0, 1]]> : tensor<2x3xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<2x3xi32>) -> (tensor<4xi32>, tensor<6xi32>, tensor<2x3xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<6x3x!storage>, tensor<6xi32>, tensor<2x3xi32>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @dispatch.weighted_one_token(%x: tensor<1x3x!storage>, %w: tensor<1x2x!stat>) -> tensor<2x3x!storage> {
  %i = arith.constant dense<[[2, 0]]> : tensor<1x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse) weights(%w)
      : (tensor<1x3x!storage>, tensor<2xi32>, tensor<1x2xi32>, tensor<1x2x!stat>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @combine.weighted_one_token(%rows: tensor<2x3x!storage>, %w: tensor<1x2x!stat>) -> tensor<1x3x!storage> {
  %i = arith.constant dense<[[2, 0]]> : tensor<1x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse) weights(%w)
      : (tensor<2x3x!storage>, tensor<2xi32>, tensor<1x2xi32>, tensor<1x2x!stat>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}

func.func @dispatch.plain_one_token(%x: tensor<1x3x!storage>) -> tensor<2x3x!storage> {
  %i = arith.constant dense<[[2, 0]]> : tensor<1x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.dispatch %x plan(%permutation, %inverse)
      : (tensor<1x3x!storage>, tensor<2xi32>, tensor<1x2xi32>) -> tensor<2x3x!storage>
  return %y : tensor<2x3x!storage>
}

func.func @combine.plain_one_token(%rows: tensor<2x3x!storage>) -> tensor<1x3x!storage> {
  %i = arith.constant dense<[[2, 0]]> : tensor<1x2xi32>
  %offsets, %permutation, %inverse = moe.plan_routing %i : (tensor<1x2xi32>) -> (tensor<5xi32>, tensor<2xi32>, tensor<1x2xi32>)
  %y = moe.combine %rows plan(%permutation, %inverse)
      : (tensor<2x3x!storage>, tensor<2xi32>, tensor<1x2xi32>) -> tensor<1x3x!storage>
  return %y : tensor<1x3x!storage>
}
