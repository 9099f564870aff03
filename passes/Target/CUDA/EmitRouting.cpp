//===- EmitRouting.cpp - The choice of experts ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Routes from logits that are in memory. Where the logits are computed in the same launch, see EmitRouter.cpp.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/CUDA/TokenChoice.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

/// moe.topk_gate adds this to the sum of the chosen scores.
static constexpr double kSumEpsilon = 1e-20;

LaunchShape emitRoute(RouteOp op, EmitterContext &context) {
  BlockBuilder b(context);
  auto [tokens, experts] = std::pair(op.getLogits().getType().getDimSize(0), op.getLogits().getType().getDimSize(1));
  Value logits = b.operand(op.getLogits());
  TokenChoice choice(b, op, experts);
  int64_t blocks = choice.lanes.forToken(tokens, [&, experts = experts](Expr token) {
    TokenChoice::Token only{token, choice.lanes.load(logits, token * experts), Expr()};
    choice.emit(only);
  });
  return {{blocks, 1, 1}, {b.threads, 1, 1}, 0};
}

LaunchShape emitRouteBackward(RouteBackwardOp op, EmitterContext &context) {
  BlockBuilder b(context);
  auto shape = op.getScores().getType().getShape();
  TokenLanes lanes{b, shape[1]};
  int64_t topK = op.getIndices().getType().getDimSize(1);
  double factor = op.getRoutedScalingFactor().convertToDouble();
  Value scores = b.operand(op.getScores()), indices = b.operand(op.getIndices());
  Value weightsGradient = b.operand(op.getWeightsGradient()), logitsGradient = b.result(op.getLogitsGradient());
  Value given = op.getScoresGradient() ? b.operand(op.getScoresGradient()) : Value();

  auto emitToken = [&](Expr token) {
    Expr start = token * lanes.experts, chosenStart = token * topK;
    LaneValues gradients(lanes.getCount(), b.real(0));
    if (given)
      gradients = lanes.load(given, start);

    // weight_k = factor · s_k / (Σ s + ε)  →  ds_k = factor · (g_k − Σ g·s / (Σ s + ε)) / (Σ s + ε)
    auto expertOf = [&](Expr k) { return b.load(indices, chosenStart + k); };
    Expr sum, mean;
    if (op.getNormTopkProb()) {
      SmallVector<Expr> sums =
          b.loop(b.index(0), b.index(topK), 1, {b.real(0), b.real(0)}, [&](Expr k, ArrayRef<Expr> carried) {
            Expr score = b.load(scores, start + expertOf(k).toIndex());
            Expr gradient = b.load(weightsGradient, chosenStart + k);
            return SmallVector<Expr>{carried[0] + score, carried[1] + gradient * score};
          });
      sum = sums[0] + kSumEpsilon;
      mean = sums[1] / sum;
    }
    gradients = b.loop(b.index(0), b.index(topK), 1, gradients, [&](Expr k, ArrayRef<Expr> carried) {
      Expr gradient = b.load(weightsGradient, chosenStart + k), expert = expertOf(k);
      if (op.getNormTopkProb())
        gradient = (gradient - mean) / sum;
      LaneValues next;
      for (auto [i, value] : llvm::enumerate(carried))
        next.push_back(select(lanes.expert(i).toI32() == expert, value + gradient * factor, value));
      return next;
    });

    LaneValues scoresHere = lanes.load(scores, start);
    bool softmax = op.getScoring() == RouteScoring::softmax;
    Expr inner = b.real(0);
    if (softmax) {
      for (auto [score, gradient] : llvm::zip_equal(scoresHere, gradients))
        inner = fma(score, gradient, inner);
      inner = b.sumLanes(inner);
    }
    LaneValues results;
    for (auto [score, gradient] : llvm::zip_equal(scoresHere, gradients))
      results.push_back(softmax                                    ? score * (gradient - inner)
                        : op.getScoring() == RouteScoring::sigmoid ? gradient * score * (1 - score)
                                                                   : gradient);
    lanes.store(results, logitsGradient, start);
  };
  int64_t blocks = lanes.forToken(shape[0], emitToken);
  return {{blocks, 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
