// RUN: %moe-opt %s -moe-fuse-routing | FileCheck %s

!tx = tensor<8x4xf32>
!tk = tensor<8x2xf32>
!ti = tensor<8x2xi32>

// The balance loss reads the scores that route computes.
// CHECK-LABEL: func.func @route(
// CHECK-SAME: %[[LOGITS:.*]]: tensor<8x4xf32>, %[[BIAS:.*]]: tensor<4xf32>, %[[LOAD:.*]]: tensor<4xi32>)
func.func @route(%logits: !tx, %bias: tensor<4xf32>, %load: tensor<4xi32>) -> (!tk, !ti, tensor<f32>) {
  // CHECK-NOT: moe.router_scores
  // CHECK: %[[SCORES:.*]], %[[WEIGHTS:.*]], %[[INDICES:.*]] = moe_kernel.route %[[LOGITS]], %[[BIAS]]
  // CHECK-SAME: scoring = #moe_kernel.scoring<sigmoid>, top_k = 2
  // CHECK: moe.balance_loss %[[SCORES]], %[[LOAD]]
  // CHECK: return %[[WEIGHTS]], %[[INDICES]]
  %scores = moe.router_scores %logits {scoring_func = #moe.scoring_func<sigmoid>} : (!tx) -> !tx
  %w, %i = moe.topk_gate %scores, %bias {top_k = 2 : i64, norm_topk_prob = true, routed_scaling_factor = 1.0 : f64}
      : (!tx, tensor<4xf32>) -> (!tk, !ti)
  %loss = moe.balance_loss %scores, %load {alpha = 1.0e-3 : f64} : (!tx, tensor<4xi32>) -> tensor<f32>
  return %w, %i, %loss : !tk, !ti, tensor<f32>
}

// Without a balance loss.
// CHECK-LABEL: func.func @route_backward(
// CHECK-SAME: %[[SCORES:.*]]: tensor<8x4xf32>, %[[INDICES:.*]]: tensor<8x2xi32>, %[[DW:.*]]: tensor<8x2xf32>)
func.func @route_backward(%scores: !tx, %i: !ti, %dw: !tk) -> !tx {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.route_backward %[[SCORES]], %[[INDICES]], %[[DW]] {
  // CHECK-NEXT: return %[[R]]
  %ds = moe.topk_gate_backward %scores, %i, %dw {norm_topk_prob = true, routed_scaling_factor = 1.0 : f64} : (!tx, !ti, !tk) -> !tx
  %dl = moe.router_scores_backward %scores, %ds {scoring_func = #moe.scoring_func<softmax>} : (!tx, !tx) -> !tx
  return %dl : !tx
}

// The gradient of the balance loss, on either side of the sum, becomes an operand.
// CHECK-LABEL: func.func @with_balance(
// CHECK-SAME: %[[SCORES:.*]]: tensor<8x4xf32>, %[[INDICES:.*]]: tensor<8x2xi32>, %[[DW:.*]]: tensor<8x2xf32>, %[[BALANCE:.*]]: tensor<8x4xf32>)
func.func @with_balance(%scores: !tx, %i: !ti, %dw: !tk, %balance: !tx) -> !tx {
  // CHECK-NEXT: %[[R:.*]] = moe_kernel.route_backward %[[SCORES]], %[[INDICES]], %[[DW]], %[[BALANCE]]
  // CHECK-NEXT: return %[[R]]
  %ds = moe.topk_gate_backward %scores, %i, %dw {norm_topk_prob = true, routed_scaling_factor = 1.0 : f64} : (!tx, !ti, !tk) -> !tx
  %sum = moe.add %balance, %ds : !tx
  %dl = moe.router_scores_backward %scores, %sum {scoring_func = #moe.scoring_func<softmax>} : (!tx, !tx) -> !tx
  return %dl : !tx
}

// A choice from other scores is not the choice whose gradient this is.
// CHECK-LABEL: func.func @other_scores(
func.func @other_scores(%scores: !tx, %others: !tx, %i: !ti, %dw: !tk) -> !tx {
  // CHECK: moe.topk_gate_backward
  // CHECK: moe.router_scores_backward
  %ds = moe.topk_gate_backward %others, %i, %dw {norm_topk_prob = true, routed_scaling_factor = 1.0 : f64} : (!tx, !ti, !tk) -> !tx
  %dl = moe.router_scores_backward %scores, %ds {scoring_func = #moe.scoring_func<softmax>} : (!tx, !tx) -> !tx
  return %dl : !tx
}
