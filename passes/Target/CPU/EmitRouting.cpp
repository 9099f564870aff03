//===- EmitRouting.cpp - The choice of experts ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/KernelBuilder.h"

#include <limits>

using namespace mlir::moe_kernel;

namespace mlir::moe::cpu {

/// moe.topk_gate adds this to the sum of the chosen scores.
static constexpr double kSumEpsilon = 1e-20;

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

namespace {
struct RouteEmitter {
  RouteEmitter(RouteOp op, EmitterContext &context)
      : op(op), b(context), tokens(op.getLogits().getType().getDimSize(0)),
        experts(op.getLogits().getType().getDimSize(1)), topK(op.getTopK()), logits(b.operand(op.getLogits())),
        bias(op.getSelectionBias() ? b.operand(op.getSelectionBias()) : Value()), scores(b.result(op.getScores())),
        weights(b.result(op.getWeights())), indices(b.result(op.getIndices())),
        selection(b.allocate(b.roundUp(experts))) {}

  /// The scores of the row at `start`, into the result and, with the bias, into `selection`.
  void emitSoftmax(Expr start);
  void emitElementwise(Expr start);
  void storeScore(Expr start, Expr column, Expr score);
  /// The index of the largest of `selection`; the lowest such index, whatever the values are.
  Expr emitArgMax();
  void emitToken(Expr token);

  Expr forColumns(Expr initial, function_ref<Expr(Expr column, Expr mask, Expr carried)> body);
  Expr columnMask(Expr column) { return b.tailMask(column, b.index(experts)); }

  RouteOp op;
  KernelBuilder b;
  int64_t tokens, experts, topK;
  Value logits, bias, scores, weights, indices, selection;
};
} // namespace

void RouteEmitter::storeScore(Expr start, Expr column, Expr score) {
  Expr mask = columnMask(column);
  b.storeVector(score, scores, start + column, mask);
  Expr value = bias ? score + b.loadVector(bias, column, mask) : score;
  Expr never = b.real(-std::numeric_limits<double>::infinity());
  b.storeVector(mask ? select(mask, value, never) : value, selection, column);
}

/// Sigmoid, or the logits themselves.
void RouteEmitter::emitElementwise(Expr start) {
  b.loop(experts, b.width, [&](Expr column) {
    Expr logit = b.loadVector(logits, start + column, columnMask(column));
    storeScore(start, column,
               op.getScoring() == RouteScoring::sigmoid ? b.realVector(1) / (1 + exp(0 - logit)) : logit);
  });
}

Expr RouteEmitter::forColumns(Expr initial, function_ref<Expr(Expr, Expr, Expr)> body) {
  return b.loop(b.index(0), b.index(experts), b.width, {initial}, [&](Expr column, ArrayRef<Expr> carried) {
    return SmallVector<Expr>{body(column, columnMask(column), carried[0])};
  })[0];
}

void RouteEmitter::emitSoftmax(Expr start) {
  Expr lowest = b.realVector(std::numeric_limits<float>::lowest());
  Expr largest = b.reduceMax(forColumns(lowest, [&](Expr column, Expr mask, Expr carried) {
    Expr larger = max(b.loadVector(logits, start + column, mask), carried);
    return mask ? select(mask, larger, carried) : larger;
  }));
  Expr sum = b.reduceSum(forColumns(b.realVector(0), [&](Expr column, Expr mask, Expr carried) {
    Expr power = exp(b.loadVector(logits, start + column, mask) - largest);
    b.storeVector(power, selection, column);
    return carried + (mask ? select(mask, power, b.real(0)) : power);
  }));
  b.loop(experts, b.width, [&](Expr column) { storeScore(start, column, b.loadVector(selection, column) / sum); });
}

Expr RouteEmitter::emitArgMax() {
  Expr never = b.realVector(-std::numeric_limits<double>::infinity());
  SmallVector<Expr> best =
      b.loop(b.index(0), b.index(experts), b.width, {never, b.lanes()}, [&](Expr column, ArrayRef<Expr> carried) {
        Expr value = b.loadVector(selection, column);
        Expr larger = value > carried[0];
        return SmallVector<Expr>{select(larger, value, carried[0]),
                                 select(larger, b.lanes() + column.toI32(), carried[1])};
      });
  Expr holdsMax = best[0] == b.reduceMax(best[0]);
  Expr candidates = select(holdsMax, best[1], b.i32(std::numeric_limits<int32_t>::max()));
  return b.reduce(candidates, [](Expr x, Expr y) { return min(x, y); }).extract(0);
}

void RouteEmitter::emitToken(Expr token) {
  Expr start = token * experts, chosenStart = token * topK;
  if (op.getScoring() == RouteScoring::softmax)
    emitSoftmax(start);
  else
    emitElementwise(start);

  Expr sum = b.loop(b.index(0), b.index(topK), 1, {b.real(0)}, [&](Expr k, ArrayRef<Expr> carried) {
    Expr expert = emitArgMax();
    Expr score = b.load(scores, start + expert.toIndex());
    b.store(expert, indices, chosenStart + k);
    b.store(score, weights, chosenStart + k);
    b.store(b.real(-std::numeric_limits<double>::infinity()), selection, expert.toIndex());
    return SmallVector<Expr>{carried[0] + score};
  })[0];
  b.loop(topK, 1, [&](Expr k) {
    Expr weight = b.load(weights, chosenStart + k);
    if (op.getNormTopkProb())
      weight = weight / (sum + kSumEpsilon);
    b.store(weight * op.getRoutedScalingFactor().convertToDouble(), weights, chosenStart + k);
  });
}

/// Runs `body` for the tokens of every item, `blockM` of them each; returns the number of items.
static int64_t forEachToken(KernelBuilder &b, int64_t tokens, int64_t blockM, function_ref<void(Expr)> body) {
  blockM = std::min(blockM, tokens);
  b.forEachItem([&](Expr item) {
    Expr first = item * blockM;
    b.loop(first, first + b.blockSize(first, blockM, tokens), 1, body);
  });
  return llvm::divideCeil(tokens, blockM);
}

LaunchShape emitRoute(RouteOp op, EmitterContext &context) {
  RouteEmitter emitter(op, context);
  int64_t items = forEachToken(emitter.b, emitter.tokens, context.config.getBlockM(),
                               [&](Expr token) { emitter.emitToken(token); });
  return {items, emitter.b.getScratchBytes(), 0};
}

//===----------------------------------------------------------------------===//
// route_backward
//===----------------------------------------------------------------------===//

LaunchShape emitRouteBackward(RouteBackwardOp op, EmitterContext &context) {
  KernelBuilder b(context);
  auto shape = op.getScores().getType().getShape();
  int64_t experts = shape[1], topK = op.getIndices().getType().getDimSize(1);
  double factor = op.getRoutedScalingFactor().convertToDouble();
  Value scores = b.operand(op.getScores()), indices = b.operand(op.getIndices());
  Value weightsGradient = b.operand(op.getWeightsGradient()), logitsGradient = b.result(op.getLogitsGradient());
  Value given = op.getScoresGradient() ? b.operand(op.getScoresGradient()) : Value();
  Value scoresGradient = b.allocate(b.roundUp(experts));

  auto emitToken = [&](Expr token) {
    Expr start = token * experts, chosenStart = token * topK;
    auto maskOf = [&](Expr column) { return b.tailMask(column, b.index(experts)); };
    b.loop(experts, b.width, [&](Expr column) {
      Expr gradient = given ? b.loadVector(given, start + column, maskOf(column)) : b.realVector(0);
      b.storeVector(gradient, scoresGradient, column);
    });

    // weight_k = factor · s_k / (Σ s + ε)  →  ds_k = factor · (g_k − Σ g·s / (Σ s + ε)) / (Σ s + ε)
    auto expertOf = [&](Expr k) { return b.load(indices, chosenStart + k).toIndex(); };
    Expr sum, mean;
    if (op.getNormTopkProb()) {
      SmallVector<Expr> sums =
          b.loop(b.index(0), b.index(topK), 1, {b.real(0), b.real(0)}, [&](Expr k, ArrayRef<Expr> carried) {
            Expr score = b.load(scores, start + expertOf(k)), gradient = b.load(weightsGradient, chosenStart + k);
            return SmallVector<Expr>{carried[0] + score, carried[1] + gradient * score};
          });
      sum = sums[0] + kSumEpsilon;
      mean = sums[1] / sum;
    }
    b.loop(topK, 1, [&](Expr k) {
      Expr gradient = b.load(weightsGradient, chosenStart + k), expert = expertOf(k);
      if (op.getNormTopkProb())
        gradient = (gradient - mean) / sum;
      b.store(b.load(scoresGradient, expert) + gradient * factor, scoresGradient, expert);
    });

    bool softmax = op.getScoring() == RouteScoring::softmax;
    Expr inner;
    if (softmax)
      inner = b.reduceSum(
          b.loop(b.index(0), b.index(experts), b.width, {b.realVector(0)}, [&](Expr column, ArrayRef<Expr> carried) {
            Expr score = b.loadVector(scores, start + column, maskOf(column));
            return SmallVector<Expr>{fma(score, b.loadVector(scoresGradient, column), carried[0])};
          })[0]);
    b.loop(experts, b.width, [&](Expr column) {
      Expr score = b.loadVector(scores, start + column, maskOf(column));
      Expr gradient = b.loadVector(scoresGradient, column);
      Expr result = softmax                                          ? score * (gradient - inner)
                    : op.getScoring() == RouteScoring::sigmoid ? gradient * score * (1 - score)
                                                               : gradient;
      b.storeVector(result, logitsGradient, start + column, maskOf(column));
    });
  };
  int64_t items = forEachToken(b, shape[0], context.config.getBlockM(), emitToken);
  return {items, b.getScratchBytes(), 0};
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

/// A counting sort: offsets[e + 1] counts the rows of expert e, then becomes their prefix sum; a cursor per expert
/// starts at its offset and hands out rows in order of the entries.
LaunchShape emitPlan(PlanOp op, EmitterContext &context) {
  KernelBuilder b(context);
  int64_t entries = op.getIndices().getType().getNumElements();
  int64_t experts = op.getOffsets().getType().getNumElements() - 1;
  Value indices = b.operand(op.getIndices());
  Value offsets = b.result(op.getOffsets()), permutation = b.result(op.getPermutation());
  Value inverse = b.result(op.getInverse());
  Value cursors = b.allocate(experts, b.builder.getI32Type());

  b.forEachItem([&](Expr) {
    b.loop(experts + 1, 1, [&](Expr e) { b.store(b.i32(0), offsets, e); });
    b.loop(entries, 1, [&](Expr entry) {
      Expr slot = b.load(indices, entry).toIndex() + 1;
      b.store(b.load(offsets, slot) + 1, offsets, slot);
    });
    b.loop(experts, 1, [&](Expr e) {
      Expr start = b.load(offsets, e);
      b.store(start, cursors, e);
      b.store(start + b.load(offsets, e + 1), offsets, e + 1);
    });
    b.loop(entries, 1, [&](Expr entry) {
      Expr expert = b.load(indices, entry).toIndex(), row = b.load(cursors, expert);
      b.store(row + 1, cursors, expert);
      b.store(entry.toI32(), permutation, row.toIndex());
      b.store(row, inverse, entry);
    });
  });
  return {1, b.getScratchBytes(), 0};
}

} // namespace mlir::moe::cpu
