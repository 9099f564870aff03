//===- EmitRouting.cpp - The choice of experts ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A warp takes a token; lane l holds the experts l, l + 32, … in registers.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/EmitStructured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include <limits>

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

/// moe.topk_gate adds this to the sum of the chosen scores.
static constexpr double kSumEpsilon = 1e-20;
static constexpr double kNever = -std::numeric_limits<double>::infinity();

namespace {
/// A value for each expert of this lane.
using LaneValues = SmallVector<Expr>;

/// The experts of a lane, for one token of `experts` scores.
struct TokenLanes {
  BlockBuilder &b;
  int64_t experts;

  int64_t getCount() const { return llvm::divideCeil(experts, kWarpSize); }
  Expr expert(int64_t i) const { return b.lane + i * kWarpSize; }
  /// Null if it is certain.
  Expr exists(int64_t i) const { return (i + 1) * kWarpSize <= experts ? Expr() : expert(i) < experts; }
  LaneValues load(Value memory, Expr start) const;
  void store(ArrayRef<Expr> values, Value memory, Expr start) const;
  /// Runs `body` for the token of each warp; returns the blocks that this takes.
  int64_t forToken(int64_t tokens, function_ref<void(Expr)> body) const;
};

LaneValues TokenLanes::load(Value memory, Expr start) const {
  return llvm::map_to_vector(llvm::seq<int64_t>(getCount()),
                             [&](int64_t i) { return b.loadOrZero(memory, start + expert(i), exists(i)); });
}

void TokenLanes::store(ArrayRef<Expr> values, Value memory, Expr start) const {
  for (auto [i, value] : llvm::enumerate(values))
    b.ifThen(exists(i), [&, value = value, i = i] { b.store(value, memory, start + expert(i)); });
}

int64_t TokenLanes::forToken(int64_t tokens, function_ref<void(Expr)> body) const {
  Expr token = b.block * b.warps + b.warp;
  b.ifThen(tokens % b.warps == 0 ? Expr() : token < tokens, [&] { body(token); });
  return llvm::divideCeil(tokens, b.warps);
}

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

struct RouteEmitter {
  RouteEmitter(RouteOp op, EmitterContext &context)
      : op(op), b(context), tokens(op.getLogits().getType().getDimSize(0)),
        lanes{b, op.getLogits().getType().getDimSize(1)}, topK(op.getTopK()), logits(b.operand(op.getLogits())),
        bias(op.getSelectionBias() ? b.operand(op.getSelectionBias()) : Value()), scores(b.result(op.getScores())),
        weights(b.result(op.getWeights())), indices(b.result(op.getIndices())) {}

  void emitToken(Expr token);
  LaneValues emitSoftmax(LaneValues values);
  LaneValues emitSigmoid(LaneValues values);

  /// The expert with the largest selection value; of several, the lowest. Values that do not compare are passed over.
  struct Choice {
    Expr value, expert, score;
  };
  Choice emitArgMax(ArrayRef<Expr> selection, ArrayRef<Expr> scores);

  RouteOp op;
  BlockBuilder b;
  int64_t tokens;
  TokenLanes lanes;
  int64_t topK;
  Value logits, bias, scores, weights, indices;
};
} // namespace

LaneValues RouteEmitter::emitSigmoid(LaneValues values) {
  for (Expr &value : values)
    value = 1 / (1 + exp(0 - value));
  return values;
}

LaneValues RouteEmitter::emitSoftmax(LaneValues values) {
  Expr largest = b.real(std::numeric_limits<float>::lowest()), sum = b.real(0);
  auto orElse = [&](int64_t i, Expr value, Expr otherwise) {
    Expr exists = lanes.exists(i);
    return exists ? select(exists, value, otherwise) : value;
  };
  for (auto [i, value] : llvm::enumerate(values))
    largest = orElse(i, max(value, largest), largest);
  largest = b.maxLanes(largest);
  for (auto [i, value] : llvm::enumerate(values)) {
    value = exp(value - largest);
    sum = sum + orElse(i, value, b.real(0));
  }
  sum = b.sumLanes(sum);
  for (Expr &value : values)
    value = value / sum;
  return values;
}

RouteEmitter::Choice RouteEmitter::emitArgMax(ArrayRef<Expr> selection, ArrayRef<Expr> scores) {
  Choice best{b.real(kNever), b.lane.toI32(), scores[0]};
  for (auto [i, value] : llvm::enumerate(selection)) {
    Expr larger = value > best.value;
    best = {select(larger, value, best.value), select(larger, lanes.expert(i).toI32(), best.expert),
            select(larger, scores[i], best.score)};
  }
  for (int64_t distance = kWarpSize / 2; distance > 0; distance /= 2) {
    Choice other{b.shuffleXor(best.value, distance), b.shuffleXor(best.expert, distance),
                 b.shuffleXor(best.score, distance)};
    Expr isTie = (other.value == best.value) & (other.expert < best.expert);
    Expr wins = b.wrap(arith::OrIOp::create(b.builder, other.value > best.value, isTie));
    best = {select(wins, other.value, best.value), select(wins, other.expert, best.expert),
            select(wins, other.score, best.score)};
  }
  return best;
}

void RouteEmitter::emitToken(Expr token) {
  Expr start = token * lanes.experts, chosenStart = token * topK;
  LaneValues values = lanes.load(logits, start);
  LaneValues scoresHere = op.getScoring() == RouteScoring::softmax   ? emitSoftmax(values)
                          : op.getScoring() == RouteScoring::sigmoid ? emitSigmoid(values)
                                                                     : values;
  lanes.store(scoresHere, scores, start);

  LaneValues selection = scoresHere;
  if (bias)
    for (auto [value, addend] : llvm::zip_equal(selection, lanes.load(bias, b.index(0))))
      value = value + addend;
  for (auto [i, value] : llvm::enumerate(selection))
    if (Expr exists = lanes.exists(i))
      value = select(exists, value, b.real(kNever));

  // Lane k % 32 writes choice k, and scales its weight once the sum is known.
  SmallVector<Expr> carried = selection;
  carried.push_back(b.real(0));
  Expr sum = b.loop(b.index(0), b.index(topK), 1, carried, [&](Expr k, ArrayRef<Expr> carried) {
    Choice choice = emitArgMax(carried.drop_back(), scoresHere);
    b.ifThen(k % kWarpSize == b.lane, [&] {
      b.store(choice.expert, indices, chosenStart + k);
      b.store(choice.score, weights, chosenStart + k);
    });
    SmallVector<Expr> next;
    for (auto [i, value] : llvm::enumerate(carried.drop_back()))
      next.push_back(select(lanes.expert(i).toI32() == choice.expert, b.real(kNever), value));
    next.push_back(carried.back() + choice.score);
    return next;
  }).back();
  b.forLanes(topK, [&](Expr k) {
    Expr weight = b.load(weights, chosenStart + k);
    if (op.getNormTopkProb())
      weight = weight / (sum + kSumEpsilon);
    b.store(weight * op.getRoutedScalingFactor().convertToDouble(), weights, chosenStart + k);
  });
}

LaunchShape emitRoute(RouteOp op, EmitterContext &context) {
  RouteEmitter emitter(op, context);
  int64_t blocks = emitter.lanes.forToken(emitter.tokens, [&](Expr token) { emitter.emitToken(token); });
  return {{blocks, 1, 1}, {emitter.b.threads, 1, 1}, 0};
}

//===----------------------------------------------------------------------===//
// route_backward
//===----------------------------------------------------------------------===//

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
