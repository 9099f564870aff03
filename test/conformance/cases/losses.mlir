// Losses: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @balance_loss.softmax(%logits: tensor<3x4x!stat>, %load: tensor<4xi32> {moe.draw = "load(6)"})
    -> tensor<!stat> {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %loss = moe.balance_loss %scores, %load {alpha = 0.5} : (tensor<3x4x!stat>, tensor<4xi32>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @balance_loss.sigmoid(%logits: tensor<3x4x!stat>, %load: tensor<4xi32> {moe.draw = "load(6)"})
    -> tensor<!stat> {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %loss = moe.balance_loss %scores, %load {alpha = 0.5} : (tensor<3x4x!stat>, tensor<4xi32>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

// No gradient is left but what rounding makes.
func.func @balance_loss.even_load(%logits: tensor<5x4x!stat>, %load: tensor<4xi32> {moe.draw = "constant(3)"})
    -> tensor<!stat> {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>}
      : (tensor<5x4x!stat>) -> tensor<5x4x!stat>
  %loss = moe.balance_loss %scores, %load {alpha = 0.5} : (tensor<5x4x!stat>, tensor<4xi32>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @balance_loss.one_token(%logits: tensor<1x3x!stat>, %load: tensor<3xi32> {moe.draw = "load(2)"})
    -> tensor<!stat> {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<1x3x!stat>) -> tensor<1x3x!stat>
  %loss = moe.balance_loss %scores, %load {alpha = 0.5} : (tensor<1x3x!stat>, tensor<3xi32>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @balance_loss.many_experts(%logits: tensor<65x64x!stat>, %load: tensor<64xi32> {moe.draw = "load(260)"})
    -> tensor<!stat> {
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>}
      : (tensor<65x64x!stat>) -> tensor<65x64x!stat>
  %loss = moe.balance_loss %scores, %load {alpha = 0.5} : (tensor<65x64x!stat>, tensor<64xi32>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @cross_entropy.some_weights_zero(%logits: tensor<4x5x!storage>,
    %targets: tensor<1x4xi32> {moe.draw = "index(5)"},
    %weights: tensor<1x4x!stat> {moe.draw = "weights", moe.no_gradient})
    -> (tensor<!stat>, tensor<4x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<4x5x!storage>, tensor<1x4xi32>, tensor<1x4x!stat>) -> (tensor<!stat>, tensor<4x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<4x!stat>
}

func.func @cross_entropy.all_weights_zero(%logits: tensor<3x4x!storage>,
    %targets: tensor<1x3xi32> {moe.draw = "index(4)"},
    %weights: tensor<1x3x!stat> {moe.draw = "constant(0)", moe.no_gradient})
    -> (tensor<!stat>, tensor<3x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<3x4x!storage>, tensor<1x3xi32>, tensor<1x3x!stat>) -> (tensor<!stat>, tensor<3x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<3x!stat>
}

func.func @cross_entropy.one_token(%logits: tensor<1x3x!storage>, %targets: tensor<1x1xi32> {moe.draw = "index(3)"},
    %weights: tensor<1x1x!stat> {moe.draw = "constant(1)", moe.no_gradient})
    -> (tensor<!stat>, tensor<1x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<1x3x!storage>, tensor<1x1xi32>, tensor<1x1x!stat>) -> (tensor<!stat>, tensor<1x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<1x!stat>
}

func.func @cross_entropy.vocabulary_of_one(%logits: tensor<2x1x!storage>,
    %targets: tensor<1x2xi32> {moe.draw = "index(1)"},
    %weights: tensor<1x2x!stat> {moe.draw = "constant(1)", moe.no_gradient})
    -> (tensor<!stat>, tensor<2x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<2x1x!storage>, tensor<1x2xi32>, tensor<1x2x!stat>) -> (tensor<!stat>, tensor<2x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<2x!stat>
}

func.func @cross_entropy.large_vocabulary(%logits: tensor<9x1003x!storage>,
    %targets: tensor<1x9xi32> {moe.draw = "index(1003)"},
    %weights: tensor<1x9x!stat> {moe.draw = "weights", moe.no_gradient})
    -> (tensor<!stat>, tensor<9x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<9x1003x!storage>, tensor<1x9xi32>, tensor<1x9x!stat>) -> (tensor<!stat>, tensor<9x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<9x!stat>
}

// Losses of 0 and of 10000.
func.func @cross_entropy.extreme_logits(%logits: tensor<13x17x!storage> {moe.draw = "extreme(1e4)"},
    %targets: tensor<1x13xi32> {moe.draw = "index(17)"},
    %weights: tensor<1x13x!stat> {moe.draw = "weights", moe.no_gradient})
    -> (tensor<!stat>, tensor<13x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<13x17x!storage>, tensor<1x13xi32>, tensor<1x13x!stat>) -> (tensor<!stat>, tensor<13x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<13x!stat>
}

func.func @cross_entropy.equal_logits(%logits: tensor<6x40x!storage> {moe.draw = "constant(3)"},
    %targets: tensor<1x6xi32> {moe.draw = "index(40)"},
    %weights: tensor<1x6x!stat> {moe.draw = "weights", moe.no_gradient})
    -> (tensor<!stat>, tensor<6x!stat> {moe.no_gradient}) {
  %loss, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<6x40x!storage>, tensor<1x6xi32>, tensor<1x6x!stat>) -> (tensor<!stat>, tensor<6x!stat>)
  return %loss, %lse : tensor<!stat>, tensor<6x!stat>
}

func.func @linear_cross_entropy.some_weights_zero(%hidden: tensor<4x8x!storage>, %weight: tensor<5x8x!storage>,
    %targets: tensor<1x4xi32> {moe.draw = "index(5)"},
    %weights: tensor<1x4x!stat> {moe.draw = "weights", moe.no_gradient}) -> tensor<!stat> {
  %loss = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<4x8x!storage>, tensor<5x8x!storage>, tensor<1x4xi32>, tensor<1x4x!stat>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @linear_cross_entropy.all_weights_zero(%hidden: tensor<3x8x!storage>, %weight: tensor<4x8x!storage>,
    %targets: tensor<1x3xi32> {moe.draw = "index(4)"},
    %weights: tensor<1x3x!stat> {moe.draw = "constant(0)", moe.no_gradient}) -> tensor<!stat> {
  %loss = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<3x8x!storage>, tensor<4x8x!storage>, tensor<1x3xi32>, tensor<1x3x!stat>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @linear_cross_entropy.one_token(%hidden: tensor<1x16x!storage>, %weight: tensor<3x16x!storage>,
    %targets: tensor<1x1xi32> {moe.draw = "index(3)"},
    %weights: tensor<1x1x!stat> {moe.draw = "weights", moe.no_gradient}) -> tensor<!stat> {
  %loss = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<1x16x!storage>, tensor<3x16x!storage>, tensor<1x1xi32>, tensor<1x1x!stat>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @linear_cross_entropy.vocabulary_of_one(%hidden: tensor<2x8x!storage>, %weight: tensor<1x8x!storage>,
    %targets: tensor<1x2xi32> {moe.draw = "index(1)"},
    %weights: tensor<1x2x!stat> {moe.draw = "weights", moe.no_gradient}) -> tensor<!stat> {
  %loss = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<2x8x!storage>, tensor<1x8x!storage>, tensor<1x2xi32>, tensor<1x2x!stat>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @linear_cross_entropy.odd_sizes(%hidden: tensor<37x24x!storage>, %weight: tensor<61x24x!storage>,
    %targets: tensor<1x37xi32> {moe.draw = "index(61)"},
    %weights: tensor<1x37x!stat> {moe.draw = "weights", moe.no_gradient}) -> tensor<!stat> {
  %loss = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<37x24x!storage>, tensor<61x24x!storage>, tensor<1x37xi32>, tensor<1x37x!stat>) -> tensor<!stat>
  return %loss : tensor<!stat>
}

func.func @linear_cross_entropy.several_tiles(%hidden: tensor<150x64x!storage>, %weight: tensor<200x64x!storage>,
    %targets: tensor<1x150xi32> {moe.draw = "index(200)"},
    %weights: tensor<1x150x!stat> {moe.draw = "weights", moe.no_gradient}) -> tensor<!stat> {
  %loss = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<150x64x!storage>, tensor<200x64x!storage>, tensor<1x150xi32>, tensor<1x150x!stat>) -> tensor<!stat>
  return %loss : tensor<!stat>
}
