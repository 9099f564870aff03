//===- RoutingRules.cpp - Routing, dispatch, experts, balance -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rules.h"

#include <cmath>

using namespace mlir::moe;
using namespace mlir::moe::reference;
using llvm::ArrayRef;
using llvm::MutableArrayRef;
using llvm::seq;

//===----------------------------------------------------------------------===//
// Router
//===----------------------------------------------------------------------===//

static void routerScores(RouterScoresOp op, Operands operands, Results results) {
  const Tensor &logits = operands[0];
  for (int64_t t : seq(logits.rows())) {
    double lse = logSumExp(logits.row(t));
    for (auto [score, logit] : llvm::zip_equal(results[0].row(t), logits.row(t)))
      score = op.getScoringFunc() == ScoringFunc::softmax ? std::exp(logit - lse) : sigmoid(logit);
  }
}

static void routerScoresBackward(RouterScoresBackwardOp op, Operands operands, Results results) {
  const Tensor &scores = operands[0], &gradient = operands[1];
  for (int64_t t : seq(scores.rows())) {
    ArrayRef<double> s = scores.row(t), g = gradient.row(t);
    double mean = dot(s, g);
    for (int64_t e : seq(scores.columns()))
      results[0].row(t)[e] =
          op.getScoringFunc() == ScoringFunc::softmax ? s[e] * (g[e] - mean) : g[e] * s[e] * (1.0 - s[e]);
  }
}

/// Keeps the sum of a token's scores from being zero.
static constexpr double kMinScoreSum = 1e-20;

static void topKGate(TopKGateOp op, Operands operands, Results results) {
  const Tensor &scores = operands[0];
  Tensor &weights = results[0], &indices = results[1];
  for (int64_t t : seq(scores.rows())) {
    ArrayRef<double> s = scores.row(t);
    auto order = llvm::to_vector(seq(scores.columns()));
    auto rank = [&](int64_t e) { return op.getSelectionBias() ? s[e] + operands[1][e] : s[e]; };
    llvm::sort(order, [&](int64_t a, int64_t b) { return std::pair(-rank(a), a) < std::pair(-rank(b), b); });
    double sum = kMinScoreSum;
    for (int64_t k : seq(weights.columns())) {
      indices.row(t)[k] = order[k];
      sum += s[order[k]];
    }
    double factor = op.getRoutedScalingFactor().convertToDouble() / (op.getNormTopkProb() ? sum : 1.0);
    for (int64_t k : seq(weights.columns()))
      weights.row(t)[k] = factor * s[order[k]];
  }
}

// w_k = c·s_k/Σs: ∂s_k = c·(g_k − Σ_j g_j·s_j/Σs)/Σs.
static void topKGateBackward(TopKGateBackwardOp op, Operands operands, Results results) {
  const Tensor &scores = operands[0], &indices = operands[1], &gradient = operands[2];
  for (int64_t t : seq(scores.rows())) {
    ArrayRef<double> s = scores.row(t), chosen = indices.row(t), g = gradient.row(t);
    double sum = kMinScoreSum, weighted = 0.0;
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

static void planRouting(PlanRoutingOp op, Operands operands, Results results) {
  const Tensor &indices = operands[0];
  Tensor &offsets = results[0], &permutation = results[1], &inverse = results[2];
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

static void dispatch(DispatchOp op, Operands operands, Results results) {
  const Tensor &input = operands[0], &permutation = operands[1];
  int64_t perToken = permutation.size() / input.rows();
  for (int64_t row : seq(permutation.size())) {
    int64_t f = permutation[row];
    addScaled(results[0].row(row), op.getWeights() ? operands[3][f] : 1.0, input.row(f / perToken));
  }
}

static void combine(CombineOp op, Operands operands, Results results) {
  const Tensor &rows = operands[0], &inverse = operands[2];
  int64_t perToken = inverse.size() / results[0].rows();
  for (int64_t f : seq(inverse.size()))
    addScaled(results[0].row(f / perToken), op.getWeights() ? operands[3][f] : 1.0, rows.row(inverse[f]));
}

static void routedDot(RoutedDotOp op, Operands operands, Results results) {
  const Tensor &tokens = operands[0], &rows = operands[1], &inverse = operands[2];
  int64_t perToken = inverse.size() / tokens.rows();
  for (int64_t f : seq(inverse.size()))
    results[0][f] = dot(tokens.row(f / perToken), rows.row(inverse[f]));
}

static void groupedMatmul(GroupedMatmulOp op, Operands operands, Results results) {
  const Tensor &lhs = operands[0], &rhs = operands[1], &offsets = operands[2];
  Tensor &result = results[0];
  for (int64_t e : seq(offsets.size() - 1))
    for (int64_t row : seq<int64_t>(offsets[e], offsets[e + 1])) {
      ArrayRef<double> a = lhs.row(row);
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

//===----------------------------------------------------------------------===//
// Balance
//===----------------------------------------------------------------------===//

static void expertLoad(ExpertLoadOp op, Operands operands, Results results) {
  for (int64_t e : seq(results[0].size()))
    results[0][e] = operands[0][e + 1] - operands[0][e];
}

/// α·E·f_e/T for every expert e: the loss is its product with the normalised scores, summed over tokens.
static llvm::SmallVector<double> balanceFactors(const Tensor &scores, const Tensor &load, const llvm::APFloat &alpha) {
  double total = 0.0;
  for (double rows : load.values)
    total += rows;
  double scale = alpha.convertToDouble() * load.size() / (total * scores.rows());
  return llvm::map_to_vector(load.values, [&](double rows) { return scale * rows; });
}

static double sum(ArrayRef<double> x) {
  double result = 0.0;
  for (double value : x)
    result += value;
  return result;
}

static void balanceLoss(BalanceLossOp op, Operands operands, Results results) {
  const Tensor &scores = operands[0], &load = operands[1];
  auto factors = balanceFactors(scores, load, op.getAlpha());
  for (int64_t t : seq(scores.rows()))
    results[0][0] += dot(factors, scores.row(t)) / sum(scores.row(t));
}

static void balanceLossBackward(BalanceLossBackwardOp op, Operands operands, Results results) {
  const Tensor &scores = operands[0], &load = operands[1];
  double g = operands[2][0];
  auto factors = balanceFactors(scores, load, op.getAlpha());
  for (int64_t t : seq(scores.rows())) {
    double total = sum(scores.row(t)), mean = dot(factors, scores.row(t)) / total;
    for (int64_t e : seq(scores.columns()))
      results[0].row(t)[e] = g * (factors[e] - mean) / total;
  }
}

static void updateSelectionBias(UpdateSelectionBiasOp op, Operands operands, Results results) {
  const Tensor &bias = operands[0], &load = operands[1];
  double mean = sum(load.values) / load.size(), rate = op.getRate().convertToDouble();
  if (op.getGradNorm() && !std::isfinite(operands[2][0]))
    rate = 0.0;
  for (int64_t e : seq(bias.size())) {
    double difference = mean - load[e];
    results[0][e] = bias[e] + rate * ((difference > 0.0) - (difference < 0.0));
  }
}

void mlir::moe::reference::addRoutingRules(Rules &rules) {
  rules.add<RouterScoresOp>(routerScores);
  rules.add<RouterScoresBackwardOp>(routerScoresBackward);
  rules.add<TopKGateOp>(topKGate);
  rules.add<TopKGateBackwardOp>(topKGateBackward);
  rules.add<PlanRoutingOp>(planRouting);
  rules.add<DispatchOp>(dispatch);
  rules.add<CombineOp>(combine);
  rules.add<RoutedDotOp>(routedDot);
  rules.add<GroupedMatmulOp>(groupedMatmul);
  rules.add<ExpertLoadOp>(expertLoad);
  rules.add<BalanceLossOp>(balanceLoss);
  rules.add<BalanceLossBackwardOp>(balanceLossBackward);
  rules.add<UpdateSelectionBiasOp>(updateSelectionBias);
}
