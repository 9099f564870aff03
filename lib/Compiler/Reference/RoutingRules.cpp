//===- RoutingRules.cpp - Routing, dispatch, experts, balance -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rules.h"

using namespace mlir::moe;
using namespace mlir::moe::reference;
using llvm::ArrayRef;
using llvm::MutableArrayRef;
using llvm::seq;

//===----------------------------------------------------------------------===//
// Router
//===----------------------------------------------------------------------===//

template <typename Number>
static void routerScores(RouterScoresOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &logits = operands[0];
  for (int64_t t : seq(logits.rows())) {
    Number lse = logSumExp(logits.row(t));
    for (auto [score, logit] : llvm::zip_equal(results[0].row(t), logits.row(t)))
      score = op.getScoringFunc() == ScoringFunc::softmax ? exp(logit - lse) : sigmoid(logit);
  }
}

template <typename Number>
static void routerScoresBackward(RouterScoresBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &scores = operands[0], &gradient = operands[1];
  for (int64_t t : seq(scores.rows())) {
    ArrayRef<Number> s = scores.row(t), g = gradient.row(t);
    Number mean = dot(s, g);
    for (int64_t e : seq(scores.columns()))
      results[0].row(t)[e] =
          op.getScoringFunc() == ScoringFunc::softmax ? s[e] * (g[e] - mean) : g[e] * s[e] * (1.0 - s[e]);
  }
}

/// Keeps the sum of a token's scores from being zero.
static constexpr double kMinScoreSum = 1e-20;

template <typename Number> static void topKGate(TopKGateOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &scores = operands[0];
  TensorOf<Number> &weights = results[0], &indices = results[1];
  for (int64_t t : seq(scores.rows())) {
    ArrayRef<Number> s = scores.row(t);
    auto order = llvm::to_vector(seq(scores.columns()));
    auto rank = [&](int64_t e) { return op.getSelectionBias() ? s[e] + operands[1][e] : s[e]; };
    llvm::sort(order, [&](int64_t a, int64_t b) { return std::pair(-rank(a), a) < std::pair(-rank(b), b); });
    Number sum = kMinScoreSum;
    for (int64_t k : seq(weights.columns())) {
      indices.row(t)[k] = order[k];
      sum += s[order[k]];
    }
    Number factor = op.getRoutedScalingFactor().convertToDouble() / (op.getNormTopkProb() ? sum : 1.0);
    for (int64_t k : seq(weights.columns()))
      weights.row(t)[k] = factor * s[order[k]];
  }
}

// w_k = c·s_k/Σs: ∂s_k = c·(g_k − Σ_j g_j·s_j/Σs)/Σs.
template <typename Number>
static void topKGateBackward(TopKGateBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &scores = operands[0], &indices = operands[1], &gradient = operands[2];
  for (int64_t t : seq(scores.rows())) {
    ArrayRef<Number> s = scores.row(t), chosen = indices.row(t), g = gradient.row(t);
    Number sum = kMinScoreSum, weighted = 0.0;
    for (auto [e, gradient] : llvm::zip_equal(chosen, g)) {
      sum += s[e];
      weighted += gradient * s[e];
    }
    for (auto [e, gradient] : llvm::zip_equal(chosen, g))
      results[0].row(t)[e] = op.getRoutedScalingFactor().convertToDouble() *
                             (op.getNormTopkProb() ? (gradient - weighted / sum) / sum : gradient);
  }
}

//===----------------------------------------------------------------------===//
// Rows grouped by expert
//===----------------------------------------------------------------------===//

template <typename Number>
static void planRouting(PlanRoutingOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &indices = operands[0];
  TensorOf<Number> &offsets = results[0], &permutation = results[1], &inverse = results[2];
  int64_t row = 0;
  for (int64_t e : seq(offsets.size() - 1)) {
    for (int64_t f : seq(indices.size()))
      if (indices[f] == e) {
        permutation[row] = f;
        inverse[f] = row++;
      }
    offsets[e + 1] = row;
  }
}

template <typename Number> static void dispatch(DispatchOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &permutation = operands[1];
  int64_t perToken = permutation.size() / input.rows();
  for (int64_t row : seq(permutation.size())) {
    int64_t f = permutation[row];
    addScaled(results[0].row(row), op.getWeights() ? operands[3][f] : 1.0, input.row(f / perToken));
  }
}

template <typename Number> static void combine(CombineOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &rows = operands[0], &inverse = operands[2];
  int64_t perToken = inverse.size() / results[0].rows();
  for (int64_t f : seq(inverse.size()))
    addScaled(results[0].row(f / perToken), op.getWeights() ? operands[3][f] : 1.0, rows.row(inverse[f]));
}

template <typename Number> static void routedDot(RoutedDotOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &tokens = operands[0], &rows = operands[1], &inverse = operands[2];
  int64_t perToken = inverse.size() / tokens.rows();
  for (int64_t f : seq(inverse.size()))
    results[0][f] = dot(tokens.row(f / perToken), rows.row(inverse[f]));
}

template <typename Number>
static void groupedMatmul(GroupedMatmulOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &lhs = operands[0], &rhs = operands[1], &offsets = operands[2];
  TensorOf<Number> &result = results[0];
  for (int64_t e : seq(offsets.size() - 1))
    for (int64_t row : seq<int64_t>(offsets[e], offsets[e + 1])) {
      ArrayRef<Number> a = lhs.row(row);
      int64_t depth = a.size();
      if (op.getRagged() == RaggedDim::contraction)
        for (int64_t i : seq(depth))
          addScaled(result.row(e * depth + i), a[i], rhs.row(row));
      else if (op.getTransposeRhs())
        for (int64_t j : seq(result.columns()))
          result.row(row)[j] = dot(a, rhs.row(e * result.columns() + j));
      else
        for (int64_t i : seq(depth))
          addScaled(result.row(row), a[i], rhs.row(e * depth + i));
    }
}

template <typename Number>
static void weightedGatedActivation(WeightedGatedActivationOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &permutation = operands[1], &weights = operands[3];
  int64_t n = results[0].columns();
  for (int64_t row : seq(input.rows()))
    for (int64_t j : seq(n)) {
      Number gate = input.row(row)[j], up = input.row(row)[n + j];
      results[0].row(row)[j] = weights[permutation[row]] * (gate * sigmoid(gate) * up);
    }
}

// For p = w·a with a = gate·σ(gate)·up and its gradient g: ∂a = w·g and ∂w = Σ g·a.
template <typename Number>
static void weightedGatedActivationBackward(WeightedGatedActivationBackwardOp op, Operands<Number> operands,
                                            Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &gradient = operands[1], &permutation = operands[2],
                         &weights = operands[4];
  int64_t n = gradient.columns();
  for (int64_t row : seq(input.rows())) {
    int64_t f = permutation[row];
    for (int64_t j : seq(n)) {
      Number gate = input.row(row)[j], up = input.row(row)[n + j], g = gradient.row(row)[j], s = sigmoid(gate);
      Number activation = gate * s * up, weighted = weights[f] * g;
      results[0].row(row)[j] = weights[f] * activation;
      results[1].row(row)[j] = weighted * up * s * (1.0 + gate * (1.0 - s));
      results[1].row(row)[n + j] = weighted * gate * s;
      results[2][f] += g * activation;
    }
  }
}

//===----------------------------------------------------------------------===//
// Balance
//===----------------------------------------------------------------------===//

template <typename Number> static void expertLoad(ExpertLoadOp op, Operands<Number> operands, Results<Number> results) {
  for (int64_t e : seq(results[0].size()))
    results[0][e] = operands[0][e + 1] - operands[0][e];
}

/// α·E·f_e/T for every expert e: the loss is its product with the normalised scores, summed over tokens.
template <typename Number>
static std::vector<Number> balanceFactors(const TensorOf<Number> &scores, const TensorOf<Number> &load,
                                          const llvm::APFloat &alpha) {
  Number total = 0.0;
  for (Number rows : load.values)
    total += rows;
  Number scale = alpha.convertToDouble() * load.size() / (total * scores.rows());
  std::vector<Number> factors;
  for (Number rows : load.values)
    factors.push_back(scale * rows);
  return factors;
}

template <typename Number> static Number sum(ArrayRef<Number> x) {
  Number result = 0.0;
  for (Number value : x)
    result += value;
  return result;
}

template <typename Number>
static void balanceLoss(BalanceLossOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &scores = operands[0], &load = operands[1];
  auto factors = balanceFactors(scores, load, op.getAlpha());
  for (int64_t t : seq(scores.rows()))
    results[0][0] += dot<Number>(factors, scores.row(t)) / sum(scores.row(t));
}

template <typename Number>
static void balanceLossBackward(BalanceLossBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &scores = operands[0], &load = operands[1];
  Number g = operands[2][0];
  auto factors = balanceFactors(scores, load, op.getAlpha());
  for (int64_t t : seq(scores.rows())) {
    Number total = sum(scores.row(t)), mean = dot<Number>(factors, scores.row(t)) / total;
    for (int64_t e : seq(scores.columns()))
      results[0].row(t)[e] = g * (factors[e] - mean) / total;
  }
}

template <typename Number>
static void updateSelectionBias(UpdateSelectionBiasOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &bias = operands[0], &load = operands[1];
  Number mean = sum<Number>(load.values) / load.size(), rate = op.getRate().convertToDouble();
  if (op.getGradNorm() && !isfinite(operands[2][0]))
    rate = 0.0;
  for (int64_t e : seq(bias.size())) {
    Number difference = mean - load[e];
    results[0][e] = bias[e] + rate * ((difference > 0.0) - (difference < 0.0));
  }
}

template <typename Number> void mlir::moe::reference::addRoutingRules(Rules<Number> &rules) {
  rules.template add<RouterScoresOp>(routerScores<Number>);
  rules.template add<RouterScoresBackwardOp>(routerScoresBackward<Number>);
  rules.template add<TopKGateOp>(topKGate<Number>);
  rules.template add<TopKGateBackwardOp>(topKGateBackward<Number>);
  rules.template add<PlanRoutingOp>(planRouting<Number>);
  rules.template add<DispatchOp>(dispatch<Number>);
  rules.template add<CombineOp>(combine<Number>);
  rules.template add<RoutedDotOp>(routedDot<Number>);
  rules.template add<GroupedMatmulOp>(groupedMatmul<Number>);
  rules.template add<WeightedGatedActivationOp>(weightedGatedActivation<Number>);
  rules.template add<WeightedGatedActivationBackwardOp>(weightedGatedActivationBackward<Number>);
  rules.template add<ExpertLoadOp>(expertLoad<Number>);
  rules.template add<BalanceLossOp>(balanceLoss<Number>);
  rules.template add<BalanceLossBackwardOp>(balanceLossBackward<Number>);
  rules.template add<UpdateSelectionBiasOp>(updateSelectionBias<Number>);
}

template void mlir::moe::reference::addRoutingRules(Rules<double> &);
template void mlir::moe::reference::addRoutingRules(Rules<Bounded> &);
