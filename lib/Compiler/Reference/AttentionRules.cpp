//===- AttentionRules.cpp - Rotary embedding, attention, caches -*- C++ -*-===//
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

static void sequencePositions(SequencePositionsOp op, Operands operands, Results results) {
  for (int64_t t : seq(results[0].size()))
    results[0][t] = t % op.getSequenceLength();
}

static void ropeTable(RopeTableOp op, Operands operands, Results results) {
  const Tensor &positions = operands[0];
  Tensor &cos = results[0], &sin = results[1];
  double theta = op.getTheta().convertToDouble();
  for (int64_t t : seq(cos.rows()))
    for (int64_t j : seq(cos.columns())) {
      double angle = positions[t] * std::pow(theta, -static_cast<double>(j) / cos.columns());
      cos.row(t)[j] = std::cos(angle);
      sin.row(t)[j] = std::sin(angle);
    }
}

static void rope(RopeOp op, Operands operands, Results results) {
  const Tensor &input = operands[0], &cos = operands[1], &sin = operands[2];
  int64_t half = cos.columns();
  double sign = op.getInverse() ? -1.0 : 1.0;
  for (int64_t t : seq(input.rows()))
    for (int64_t head = 0; head < input.columns(); head += 2 * half)
      for (int64_t j : seq(half)) {
        double x1 = input.row(t)[head + j], x2 = input.row(t)[head + half + j];
        double c = cos.row(t)[j], s = sign * sin.row(t)[j];
        results[0].row(t)[head + j] = x1 * c - x2 * s;
        results[0].row(t)[head + half + j] = x2 * c + x1 * s;
      }
}

namespace {
/// The head `h` of row `t` of a tensor [T, heads·size].
struct Heads {
  int64_t size;
  ArrayRef<double> operator()(const Tensor &tensor, int64_t t, int64_t h) const {
    return tensor.row(t).slice(h * size, size);
  }
  MutableArrayRef<double> operator()(Tensor &tensor, int64_t t, int64_t h) const {
    return tensor.row(t).slice(h * size, size);
  }
};

/// Grouped-query attention with the head counts of an op.
struct HeadLayout {
  template <typename OpT>
  HeadLayout(OpT op, const Tensor &query)
      : heads(op.getNumHeads()),
        group(op.getNumHeads() / op.getNumKvHeads()), slice{query.columns() / static_cast<int64_t>(op.getNumHeads())},
        scale(1.0 / std::sqrt(slice.size)) {}

  int64_t heads, group;
  Heads slice;
  double scale;
};
} // namespace

/// result = softmax(scores)·values, where `value(j)` is row j; returns log Σ exp(scores).
static double attend(ArrayRef<double> scores, llvm::function_ref<ArrayRef<double>(int64_t)> value,
                     MutableArrayRef<double> result) {
  double lse = logSumExp(scores);
  for (auto [j, score] : llvm::enumerate(scores))
    addScaled(result, std::exp(score - lse), value(j));
  return lse;
}

/// Calls `function(t, h, first)` for every query token t and head h; the token sees first … t. `positions` is null if a
/// sequence is one document.
template <typename OpT>
static void forEachQuery(OpT op, const Tensor &query, const Tensor *positions,
                         llvm::function_ref<void(int64_t, int64_t, int64_t)> function) {
  for (int64_t t : seq(query.rows())) {
    int64_t first = t - t % static_cast<int64_t>(op.getSequenceLength());
    if (positions)
      first = std::max(first, t - static_cast<int64_t>((*positions)[t]));
    for (int64_t h : seq<int64_t>(op.getNumHeads()))
      function(t, h, first);
  }
}

static void attention(AttentionOp op, Operands operands, Results results) {
  const Tensor &query = operands[0], &key = operands[1], &value = operands[2];
  HeadLayout layout(op, query);
  forEachQuery(op, query, operands.size() > 3 ? &operands[3] : nullptr, [&](int64_t t, int64_t h, int64_t first) {
    std::vector<double> scores;
    for (int64_t u : llvm::seq_inclusive(first, t))
      scores.push_back(layout.scale * dot(layout.slice(query, t, h), layout.slice(key, u, h / layout.group)));
    results[1].row(t)[h] = attend(
        scores, [&](int64_t j) { return layout.slice(value, first + j, h / layout.group); },
        layout.slice(results[0], t, h));
  });
}

// With P = exp(S − lse): ∂V = Pᵀ·g, ∂P = g·Vᵀ, ∂S = P·(∂P − ⟨g, result⟩), and S = scale·Q·Kᵀ.
static void attentionBackward(AttentionBackwardOp op, Operands operands, Results results) {
  const Tensor &query = operands[0], &key = operands[1], &value = operands[2], &result = operands[3],
               &lse = operands[4], &gradient = operands[5];
  HeadLayout layout(op, query);
  Heads slice = layout.slice;
  forEachQuery(op, query, operands.size() > 6 ? &operands[6] : nullptr, [&](int64_t t, int64_t h, int64_t first) {
    ArrayRef<double> q = slice(query, t, h), g = slice(gradient, t, h);
    double delta = dot(g, slice(result, t, h));
    int64_t kvHead = h / layout.group;
    for (int64_t u : llvm::seq_inclusive(first, t)) {
      ArrayRef<double> k = slice(key, u, kvHead), v = slice(value, u, kvHead);
      double p = std::exp(layout.scale * dot(q, k) - lse.row(t)[h]);
      double scoreGradient = layout.scale * p * (dot(g, v) - delta);
      addScaled(slice(results[0], t, h), scoreGradient, k);
      addScaled(slice(results[1], u, kvHead), scoreGradient, q);
      addScaled(slice(results[2], u, kvHead), p, g);
    }
  });
}

/// The row of a cache [B, C, n], seen as a matrix, for position p of the sequence that row t of [B·S, n] belongs to.
static int64_t cacheRow(const Tensor &cache, int64_t t, int64_t tokens, int64_t p) {
  int64_t sequence = t / (tokens / cache.dim(0));
  return sequence * cache.dim(1) + p;
}

static void cacheAppend(CacheAppendOp op, Operands operands, Results results) {
  const Tensor &cache = operands[0], &rows = operands[1], &positions = operands[2];
  results[0] = cache;
  for (int64_t t : seq(rows.rows()))
    llvm::copy(rows.row(t), results[0].row(cacheRow(cache, t, rows.rows(), positions[t])).begin());
}

static void cachedAttention(CachedAttentionOp op, Operands operands, Results results) {
  const Tensor &query = operands[0], &key = operands[1], &value = operands[2], &positions = operands[3];
  HeadLayout layout(op, query);
  for (int64_t t : seq(query.rows()))
    for (int64_t h : seq(layout.heads)) {
      auto row = [&](const Tensor &cache, int64_t p) {
        return layout.slice(cache, cacheRow(cache, t, query.rows(), p), h / layout.group);
      };
      std::vector<double> scores;
      for (int64_t p : llvm::seq_inclusive<int64_t>(0, positions[t]))
        scores.push_back(layout.scale * dot(layout.slice(query, t, h), row(key, p)));
      attend(
          scores, [&](int64_t p) { return row(value, p); }, layout.slice(results[0], t, h));
    }
}

void mlir::moe::reference::addAttentionRules(Rules &rules) {
  rules.add<SequencePositionsOp>(sequencePositions);
  rules.add<RopeTableOp>(ropeTable);
  rules.add<RopeOp>(rope);
  rules.add<AttentionOp>(attention);
  rules.add<AttentionBackwardOp>(attentionBackward);
  rules.add<CacheAppendOp>(cacheAppend);
  rules.add<CachedAttentionOp>(cachedAttention);
}
