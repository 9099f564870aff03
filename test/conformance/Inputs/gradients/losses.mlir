// Losses: the functions that gradients are checked on (see test/conformance/GradientTest.cpp).

func.func @balance_loss.softmax(%logits: tensor<3x4xf64>) -> tensor<f64> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<3x4xf64>) -> tensor<3x4xf64>
  %load = arith.constant dense<[2, 0, 1, 3]> : tensor<4xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<3x4xf64>, tensor<4xi32>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @balance_loss.sigmoid(%logits: tensor<3x4xf64>) -> tensor<f64> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<3x4xf64>) -> tensor<3x4xf64>
  %load = arith.constant dense<[2, 0, 1, 3]> : tensor<4xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<3x4xf64>, tensor<4xi32>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @balance_loss.all_to_one_expert(%logits: tensor<4x3xf64>) -> tensor<f64> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (tensor<4x3xf64>) -> tensor<4x3xf64>
  %load = arith.constant dense<[4, 0, 0]> : tensor<3xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<4x3xf64>, tensor<3xi32>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @balance_loss.one_token(%logits: tensor<1x3xf64>) -> tensor<f64> {
  %s = moe.router_scores %logits {scoring_func = #moe.scoring_func<softmax>} : (tensor<1x3xf64>) -> tensor<1x3xf64>
  %load = arith.constant dense<[1, 0, 1]> : tensor<3xi32>
  %y = moe.balance_loss %s, %load {alpha = 0.5} : (tensor<1x3xf64>, tensor<3xi32>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @cross_entropy.some_weights_zero(%logits: tensor<4x5xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[0, 4], [2, 2]]> : tensor<2x2xi32>
  %weights = arith.constant dense<[[1.0, 0.0], [0.5, 2.0]]> : tensor<2x2xf64>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<4x5xf64>, tensor<2x2xi32>, tensor<2x2xf64>) -> (tensor<f64>, tensor<4xf64>)
  return %y : tensor<f64>
}

func.func @cross_entropy.all_weights_zero(%logits: tensor<3x4xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[0, 1, 2]]> : tensor<1x3xi32>
  %weights = arith.constant dense<[[0.0, 0.0, 0.0]]> : tensor<1x3xf64>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<3x4xf64>, tensor<1x3xi32>, tensor<1x3xf64>) -> (tensor<f64>, tensor<3xf64>)
  return %y : tensor<f64>
}

func.func @cross_entropy.one_token(%logits: tensor<1x3xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[1]]> : tensor<1x1xi32>
  %weights = arith.constant dense<[[1.0]]> : tensor<1x1xf64>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<1x3xf64>, tensor<1x1xi32>, tensor<1x1xf64>) -> (tensor<f64>, tensor<1xf64>)
  return %y : tensor<f64>
}

func.func @cross_entropy.vocabulary_of_one(%logits: tensor<2x1xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[0, 0]]> : tensor<1x2xi32>
  %weights = arith.constant dense<[[1.0, 1.0]]> : tensor<1x2xf64>
  %y, %lse = moe.cross_entropy %logits, %targets, %weights
      : (tensor<2x1xf64>, tensor<1x2xi32>, tensor<1x2xf64>) -> (tensor<f64>, tensor<2xf64>)
  return %y : tensor<f64>
}

func.func @linear_cross_entropy.some_weights_zero(%hidden: tensor<4x3xf64>, %weight: tensor<5x3xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[0, 4], [2, 2]]> : tensor<2x2xi32>
  %weights = arith.constant dense<[[1.0, 0.0], [0.5, 2.0]]> : tensor<2x2xf64>
  %y = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<4x3xf64>, tensor<5x3xf64>, tensor<2x2xi32>, tensor<2x2xf64>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @linear_cross_entropy.all_weights_zero(%hidden: tensor<3x2xf64>, %weight: tensor<4x2xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[0, 1, 2]]> : tensor<1x3xi32>
  %weights = arith.constant dense<[[0.0, 0.0, 0.0]]> : tensor<1x3xf64>
  %y = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<3x2xf64>, tensor<4x2xf64>, tensor<1x3xi32>, tensor<1x3xf64>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @linear_cross_entropy.one_token(%hidden: tensor<1x4xf64>, %weight: tensor<3x4xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[1]]> : tensor<1x1xi32>
  %weights = arith.constant dense<[[1.0]]> : tensor<1x1xf64>
  %y = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<1x4xf64>, tensor<3x4xf64>, tensor<1x1xi32>, tensor<1x1xf64>) -> tensor<f64>
  return %y : tensor<f64>
}

func.func @linear_cross_entropy.vocabulary_of_one(%hidden: tensor<2x2xf64>, %weight: tensor<1x2xf64>) -> tensor<f64> {
  %targets = arith.constant dense<[[0, 0]]> : tensor<1x2xi32>
  %weights = arith.constant dense<[[1.0, 1.0]]> : tensor<1x2xf64>
  %y = moe.linear_cross_entropy %hidden, %weight, %targets, %weights
      : (tensor<2x2xf64>, tensor<1x2xf64>, tensor<1x2xi32>, tensor<1x2xf64>) -> tensor<f64>
  return %y : tensor<f64>
}
