//===- TrainingRules.cpp - Loss and optimizer ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rules.h"

#include <algorithm>
#include <cmath>

using namespace mlir::moe;
using namespace mlir::moe::reference;
using llvm::seq;

static void crossEntropy(CrossEntropyOp op, Operands operands, Results results) {
  const Tensor &logits = operands[0], &targets = operands[1], &weights = operands[2];
  for (int64_t t : seq(logits.rows())) {
    double lse = logSumExp(logits.row(t));
    results[0][0] += weights[t] * (lse - logits.row(t)[targets[t]]);
    results[1][t] = lse;
  }
}

static void crossEntropyBackward(CrossEntropyBackwardOp op, Operands operands, Results results) {
  const Tensor &logits = operands[0], &targets = operands[1], &weights = operands[2], &lse = operands[3];
  double g = operands[4][0];
  for (int64_t t : seq(logits.rows()))
    for (int64_t v : seq(logits.columns()))
      results[0].row(t)[v] = g * weights[t] * (std::exp(logits.row(t)[v] - lse[t]) - (v == targets[t]));
}

/// Calls `visit` for each token with its row of logits, its log-sum-exp and its loss.
static void forEachTokenLoss(Operands operands,
                             llvm::function_ref<void(int64_t, llvm::ArrayRef<double>, double, double)> visit) {
  const Tensor &hidden = operands[0], &weight = operands[1], &targets = operands[2], &weights = operands[3];
  std::vector<double> logits(weight.rows());
  for (int64_t t : seq(hidden.rows())) {
    for (int64_t v : seq(weight.rows()))
      logits[v] = dot(hidden.row(t), weight.row(v));
    double lse = logSumExp(logits);
    visit(t, logits, lse, weights[t] * (lse - logits[targets[t]]));
  }
}

static void linearCrossEntropy(LinearCrossEntropyOp op, Operands operands, Results results) {
  forEachTokenLoss(operands, [&](int64_t, llvm::ArrayRef<double>, double, double loss) { results[0][0] += loss; });
}

static void linearCrossEntropyBackward(LinearCrossEntropyBackwardOp op, Operands operands, Results results) {
  const Tensor &hidden = operands[0], &weight = operands[1], &targets = operands[2], &weights = operands[3];
  double g = operands[4][0];
  forEachTokenLoss(operands, [&](int64_t t, llvm::ArrayRef<double> logits, double lse, double loss) {
    results[0][0] += loss;
    for (int64_t v : seq(weight.rows())) {
      double gradient = g * weights[t] * (std::exp(logits[v] - lse) - (v == targets[t]));
      addScaled(results[1].row(t), gradient, weight.row(v));
      addScaled(results[2].row(v), gradient, hidden.row(t));
    }
  });
}

static void globalNorm(GlobalNormOp op, Operands operands, Results results) {
  double sum = 0.0;
  for (unsigned i : seq(operands.size()))
    sum += dot(operands[i].values, operands[i].values);
  results[0][0] = std::sqrt(sum);
}

static void adamW(AdamWOp op, Operands operands, Results results) {
  const Tensor &parameter = operands[0], &gradient = operands[1], &expAvg = operands[2], &expAvgSq = operands[3];
  double norm = operands[4][0], learningRate = operands[5][0];
  double biasCorrection1 = operands[6][0], biasCorrection2 = operands[7][0];
  double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble();
  double decay = 1.0 - learningRate * op.getWeightDecay().convertToDouble();
  double clip = std::min(1.0, op.getMaxGradNorm().convertToDouble() / (norm + 1e-6));
  const Tensor &master = op.getMaster() ? operands[8] : parameter;
  if (!std::isfinite(norm)) {
    const Tensor *old[] = {&parameter, &expAvg, &expAvgSq, &master};
    for (auto [result, value] : llvm::zip(results, old))
      result = *value;
    return;
  }
  for (int64_t i : seq(parameter.size())) {
    double g = clip * gradient[i];
    double m = results[1][i] = beta1 * expAvg[i] + (1.0 - beta1) * g;
    double v = results[2][i] = beta2 * expAvgSq[i] + (1.0 - beta2) * g * g;
    results[0][i] = master[i] * decay - learningRate * (m / biasCorrection1) /
                                               (std::sqrt(v / biasCorrection2) + op.getEpsilon().convertToDouble());
    if (op.getMaster())
      results[3][i] = results[0][i];
  }
}

void mlir::moe::reference::addTrainingRules(Rules &rules) {
  rules.add<CrossEntropyOp>(crossEntropy);
  rules.add<CrossEntropyBackwardOp>(crossEntropyBackward);
  rules.add<LinearCrossEntropyOp>(linearCrossEntropy);
  rules.add<LinearCrossEntropyBackwardOp>(linearCrossEntropyBackward);
  rules.add<GlobalNormOp>(globalNorm);
  rules.add<AdamWOp>(adamW);
}
