//===- TrainingRules.cpp - Loss and optimizer ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rounding.h"
#include "lib/Compiler/Reference/Rules.h"

#include <algorithm>
using namespace mlir::moe;
using namespace mlir::moe::reference;
using llvm::seq;

template <typename Number>
static void crossEntropy(CrossEntropyOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &logits = operands[0], &targets = operands[1], &weights = operands[2];
  for (int64_t t : seq(logits.rows())) {
    Number lse = logSumExp(logits.row(t));
    results[0][0] += weights[t] * (lse - logits.row(t)[targets[t]]);
    results[1][t] = lse;
  }
}

template <typename Number>
static void crossEntropyBackward(CrossEntropyBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &logits = operands[0], &targets = operands[1], &weights = operands[2], &lse = operands[3];
  Number g = operands[4][0];
  for (int64_t t : seq(logits.rows()))
    for (int64_t v : seq(logits.columns()))
      results[0].row(t)[v] = g * weights[t] * (exp(logits.row(t)[v] - lse[t]) - (v == targets[t]));
}

/// Calls `visit` for each token with its row of logits, its log-sum-exp and its loss.
template <typename Number>
static void forEachTokenLoss(Operands<Number> operands,
                             llvm::function_ref<void(int64_t, llvm::ArrayRef<Number>, Number, Number)> visit) {
  const TensorOf<Number> &hidden = operands[0], &weight = operands[1], &targets = operands[2], &weights = operands[3];
  std::vector<Number> logits(weight.rows());
  for (int64_t t : seq(hidden.rows())) {
    for (int64_t v : seq(weight.rows()))
      logits[v] = dot(hidden.row(t), weight.row(v));
    Number lse = logSumExp<Number>(logits);
    visit(t, logits, lse, weights[t] * (lse - logits[targets[t]]));
  }
}

template <typename Number>
static void linearCrossEntropy(LinearCrossEntropyOp op, Operands<Number> operands, Results<Number> results) {
  auto add = [&](int64_t, llvm::ArrayRef<Number>, Number, Number loss) { results[0][0] += loss; };
  forEachTokenLoss<Number>(operands, add);
}

template <typename Number>
static void linearCrossEntropyBackward(LinearCrossEntropyBackwardOp op, Operands<Number> operands,
                                       Results<Number> results) {
  const TensorOf<Number> &hidden = operands[0], &weight = operands[1], &targets = operands[2], &weights = operands[3];
  Number g = operands[4][0];
  forEachTokenLoss<Number>(operands, [&](int64_t t, llvm::ArrayRef<Number> logits, Number lse, Number loss) {
    results[0][0] += loss;
    for (int64_t v : seq(weight.rows())) {
      Number gradient = g * weights[t] * (exp(logits[v] - lse) - (v == targets[t]));
      gradient = toProductOperand(gradient, getElementTypeOrSelf(op.getHidden().getType()).isBF16());
      addScaled(results[1].row(t), gradient, weight.row(v));
      addScaled(results[2].row(v), gradient, hidden.row(t));
    }
  });
}

template <typename Number>
static void globalNorm(GlobalNormOp op, Operands<Number> operands, Results<Number> results) {
  Number sum = 0.0;
  for (unsigned i : seq(operands.size()))
    sum += dot<Number>(operands[i].values, operands[i].values);
  results[0][0] = sqrt(sum);
}

template <typename Number> static void adamW(AdamWOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &parameter = operands[0], &gradient = operands[1], &expAvg = operands[2],
                         &expAvgSq = operands[3];
  Number norm = operands[4][0], learningRate = operands[5][0];
  Number biasCorrection1 = operands[6][0], biasCorrection2 = operands[7][0];
  Number beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble();
  Number decay = 1.0 - learningRate * op.getWeightDecay().convertToDouble();
  Number clip = std::min<Number>(1.0, op.getMaxGradNorm().convertToDouble() / (norm + 1e-6));
  const TensorOf<Number> &master = op.getMaster() ? operands[8] : parameter;
  if (!isfinite(norm)) {
    const TensorOf<Number> *old[] = {&parameter, &expAvg, &expAvgSq, &master};
    for (auto [result, value] : llvm::zip(results, old))
      result = *value;
    return;
  }
  for (int64_t i : seq(parameter.size())) {
    Number g = clip * gradient[i];
    Number m = results[1][i] = beta1 * expAvg[i] + (1.0 - beta1) * g;
    Number v = results[2][i] = beta2 * expAvgSq[i] + (1.0 - beta2) * g * g;
    results[0][i] = master[i] * decay - learningRate * (m / biasCorrection1) /
                                            (sqrt(v / biasCorrection2) + op.getEpsilon().convertToDouble());
    if (op.getMaster())
      results[3][i] = results[0][i];
  }
}

template <typename Number> void mlir::moe::reference::addTrainingRules(Rules<Number> &rules) {
  rules.template add<CrossEntropyOp>(crossEntropy<Number>);
  rules.template add<CrossEntropyBackwardOp>(crossEntropyBackward<Number>);
  rules.template add<LinearCrossEntropyOp>(linearCrossEntropy<Number>);
  rules.template add<LinearCrossEntropyBackwardOp>(linearCrossEntropyBackward<Number>);
  rules.template add<GlobalNormOp>(globalNorm<Number>);
  rules.template add<AdamWOp>(adamW<Number>);
}

template void mlir::moe::reference::addTrainingRules(Rules<double> &);
template void mlir::moe::reference::addTrainingRules(Rules<Bounded> &);
