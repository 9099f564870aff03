// Losses: cases of the conformance suite, see docs/conformance.md.

!storage = f32
!stat = f32

func.func @balance_loss.softmax(%logits: tensor<3x4x!stat>) -> tensor<!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %load = arith.constant dense<[2, 0, 1, 3]> : tensor<4xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<3x4x!stat>, tensor<4xi32>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @balance_loss.sigmoid(%logits: tensor<3x4x!stat>) -> tensor<!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<3x4x!stat>) -> tensor<3x4x!stat>
  %load = arith.constant dense<[2, 0, 1, 3]> : tensor<4xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<3x4x!stat>, tensor<4xi32>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @balance_loss.all_to_one_expert(%logits: tensor<4x3x!stat>) -> tensor<!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<4x3x!stat>) -> tensor<4x3x!stat>
  %load = arith.constant dense<[4, 0, 0]> : tensor<3xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<4x3x!stat>, tensor<3xi32>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @balance_loss.one_token(%logits: tensor<1x3x!stat>) -> tensor<!stat> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<1x3x!stat>) -> tensor<1x3x!stat>
  %load = arith.constant dense<[1, 0, 1]> : tensor<3xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<1x3x!stat>, tensor<3xi32>) -> tensor<!stat>
  return %y : tensor<!stat>
}

func.func @cross_entropy.some_weights_zero(%logits: tensor<4x5x!storage>) -> tensor<!stat> {
  %targets = arith.constant dense<[[0, 4], [2, 2]]> : tensor<2x2xi32>
  %weights = arith.constant dense<[[1.0, 0.0], [0.5, 2.0]]> : tensor<2x2x!stat>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<4x5x!storage>, tensor<2x2xi32>, tensor<2x2x!stat>) -> (tensor<!stat>, tensor<4x!stat>)
  return %y : tensor<!stat>
}

func.func @cross_entropy.all_weights_zero(%logits: tensor<3x4x!storage>) -> tensor<!stat> {
  %targets = arith.constant dense<[[0, 1, 2]]> : tensor<1x3xi32>
  %weights = arith.constant dense<[[0.0, 0.0, 0.0]]> : tensor<1x3x!stat>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<3x4x!storage>, tensor<1x3xi32>, tensor<1x3x!stat>) -> (tensor<!stat>, tensor<3x!stat>)
  return %y : tensor<!stat>
}

func.func @cross_entropy.one_token(%logits: tensor<1x3x!storage>) -> tensor<!stat> {
  %targets = arith.constant dense<[[1]]> : tensor<1x1xi32>
  %weights = arith.constant dense<[[1.0]]> : tensor<1x1x!stat>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<1x3x!storage>, tensor<1x1xi32>, tensor<1x1x!stat>) -> (tensor<!stat>, tensor<1x!stat>)
  return %y : tensor<!stat>
}

func.func @cross_entropy.vocabulary_of_one(%logits: tensor<2x1x!storage>) -> tensor<!stat> {
  %targets = arith.constant dense<[[0, 0]]> : tensor<1x2xi32>
  %weights = arith.constant dense<[[1.0, 1.0]]> : tensor<1x2x!stat>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<2x1x!storage>, tensor<1x2xi32>, tensor<1x2x!stat>) -> (tensor<!stat>, tensor<2x!stat>)
  return %y : tensor<!stat>
}
