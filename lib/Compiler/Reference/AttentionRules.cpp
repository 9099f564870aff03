//===- AttentionRules.cpp - Rotary embedding, attention, caches -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rounding.h"
#include "lib/Compiler/Reference/Rules.h"

using namespace mlir::moe;
using namespace mlir::moe::reference;
using llvm::ArrayRef;
using llvm::MutableArrayRef;
using llvm::seq;

template <typename Number>
static void sequencePositions(SequencePositionsOp op, Operands<Number> operands, Results<Number> results) {
  for (int64_t t : seq(results[0].size()))
    results[0][t] = t % op.getSequenceLength();
}

template <typename Number> static void ropeTable(RopeTableOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &positions = operands[0];
  TensorOf<Number> &cos = results[0], &sin = results[1];
  double theta = op.getTheta().convertToDouble();
  for (int64_t t : seq(cos.rows()))
    for (int64_t j : seq(cos.columns())) {
      double angle = static_cast<int64_t>(positions[t]) * std::pow(theta, -static_cast<double>(j) / cos.columns());
      cos.row(t)[j] = std::cos(angle);
      sin.row(t)[j] = std::sin(angle);
    }
}

template <typename Number> static void rope(RopeOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &cos = operands[1], &sin = operands[2];
  int64_t half = cos.columns();
  double sign = op.getInverse() ? -1.0 : 1.0;
  for (int64_t t : seq(input.rows()))
    for (int64_t head = 0; head < input.columns(); head += 2 * half)
      for (int64_t j : seq(half)) {
        Number x1 = input.row(t)[head + j], x2 = input.row(t)[head + half + j];
        Number c = cos.row(t)[j], s = sign * sin.row(t)[j];
        results[0].row(t)[head + j] = x1 * c - x2 * s;
        results[0].row(t)[head + half + j] = x2 * c + x1 * s;
      }
}

namespace {
/// The head `h` of row `t` of a tensor [T, heads·size].
template <typename Number> struct Heads {
  int64_t size;
  ArrayRef<Number> operator()(const TensorOf<Number> &tensor, int64_t t, int64_t h) const {
    return tensor.row(t).slice(h * size, size);
  }
  MutableArrayRef<Number> operator()(TensorOf<Number> &tensor, int64_t t, int64_t h) const {
    return tensor.row(t).slice(h * size, size);
  }
};

/// Grouped-query attention with the head counts of an op.
template <typename Number> struct HeadLayout {
  template <typename OpT>
  HeadLayout(OpT op, const TensorOf<Number> &query)
      : heads(op.getNumHeads()),
        group(op.getNumHeads() / op.getNumKvHeads()), slice{query.columns() / static_cast<int64_t>(op.getNumHeads())},
        scale(1.0 / sqrt(Number(slice.size))) {}

  int64_t heads, group;
  Heads<Number> slice;
  Number scale;
};
} // namespace

static bool isBF16(mlir::Value value) { return mlir::getElementTypeOrSelf(value.getType()).isBF16(); }

/// result = softmax(scores)·values, where `value(j)` is row j; returns log Σ exp(scores).
template <typename Number>
static Number attend(ArrayRef<Number> scores, llvm::function_ref<ArrayRef<Number>(int64_t)> value,
                     MutableArrayRef<Number> result, bool isBF16) {
  Number lse = logSumExp(scores);
  for (auto [j, score] : llvm::enumerate(scores))
    addScaled(result, toProductOperand(exp(score - lse), isBF16), value(j));
  return lse;
}

/// Calls `function(t, h, first)` for every query token t and head h; the token sees first … t. `positions` is null if a
/// sequence is one document.
template <typename OpT, typename Number>
static void forEachQuery(OpT op, const TensorOf<Number> &query, const TensorOf<Number> *positions,
                         llvm::function_ref<void(int64_t, int64_t, int64_t)> function) {
  for (int64_t t : seq(query.rows())) {
    int64_t first = t - t % static_cast<int64_t>(op.getSequenceLength());
    if (positions)
      first = std::max(first, t - toInteger((*positions)[t]));
    for (int64_t h : seq<int64_t>(op.getNumHeads()))
      function(t, h, first);
  }
}

template <typename Number> static void attention(AttentionOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &query = operands[0], &key = operands[1], &value = operands[2];
  HeadLayout<Number> layout(op, query);
  forEachQuery(op, query, operands.size() > 3 ? &operands[3] : nullptr, [&](int64_t t, int64_t h, int64_t first) {
    std::vector<Number> scores;
    for (int64_t u : llvm::seq_inclusive(first, t))
      scores.push_back(layout.scale * dot(layout.slice(query, t, h), layout.slice(key, u, h / layout.group)));
    results[1].row(t)[h] = attend<Number>(
        scores, [&](int64_t j) { return layout.slice(value, first + j, h / layout.group); },
        layout.slice(results[0], t, h), isBF16(op.getResult()));
  });
}

// With P = exp(S − lse): ∂V = Pᵀ·g, ∂P = g·Vᵀ, ∂S = P·(∂P − ⟨g, result⟩), and S = scale·Q·Kᵀ.
template <typename Number>
static void attentionBackward(AttentionBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &query = operands[0], &key = operands[1], &value = operands[2], &result = operands[3],
                         &lse = operands[4], &gradient = operands[5];
  HeadLayout<Number> layout(op, query);
  Heads<Number> slice = layout.slice;
  forEachQuery(op, query, operands.size() > 6 ? &operands[6] : nullptr, [&](int64_t t, int64_t h, int64_t first) {
    ArrayRef<Number> q = slice(query, t, h), g = slice(gradient, t, h);
    Number delta = dot(g, slice(result, t, h));
    int64_t kvHead = h / layout.group;
    for (int64_t u : llvm::seq_inclusive(first, t)) {
      ArrayRef<Number> k = slice(key, u, kvHead), v = slice(value, u, kvHead);
      Number p = exp(layout.scale * dot(q, k) - lse.row(t)[h]);
      Number scoreGradient = layout.scale * p * (dot(g, v) - delta);
      p = toProductOperand(p, isBF16(op.getQuery()));
      scoreGradient = toProductOperand(scoreGradient, isBF16(op.getQuery()));
      addScaled(slice(results[0], t, h), scoreGradient, k);
      addScaled(slice(results[1], u, kvHead), scoreGradient, q);
      addScaled(slice(results[2], u, kvHead), p, g);
    }
  });
}

/// The row of a cache [B, C, n], seen as a matrix, for position p of the sequence that row t of [B·S, n] belongs to.
template <typename Number>
static int64_t cacheRow(const TensorOf<Number> &cache, int64_t t, int64_t tokens, int64_t p) {
  int64_t sequence = t / (tokens / cache.dim(0));
  return sequence * cache.dim(1) + p;
}

template <typename Number>
static void cacheAppend(CacheAppendOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &cache = operands[0], &rows = operands[1], &positions = operands[2];
  results[0] = cache;
  for (int64_t t : seq(rows.rows()))
    llvm::copy(rows.row(t), results[0].row(cacheRow(cache, t, rows.rows(), positions[t])).begin());
}

template <typename Number>
static void cachedAttention(CachedAttentionOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &query = operands[0], &key = operands[1], &value = operands[2], &positions = operands[3];
  HeadLayout<Number> layout(op, query);
  for (int64_t t : seq(query.rows()))
    for (int64_t h : seq(layout.heads)) {
      auto row = [&](const TensorOf<Number> &cache, int64_t p) {
        return layout.slice(cache, cacheRow(cache, t, query.rows(), p), h / layout.group);
      };
      std::vector<Number> scores;
      for (int64_t p : llvm::seq_inclusive<int64_t>(0, positions[t]))
        scores.push_back(layout.scale * dot(layout.slice(query, t, h), row(key, p)));
      attend<Number>(
          scores, [&](int64_t p) { return row(value, p); }, layout.slice(results[0], t, h), isBF16(op.getResult()));
    }
}

template <typename Number> void mlir::moe::reference::addAttentionRules(Rules<Number> &rules) {
  rules.template add<SequencePositionsOp>(sequencePositions<Number>);
  rules.template add<RopeTableOp>(ropeTable<Number>);
  rules.template add<RopeOp>(rope<Number>);
  rules.template add<AttentionOp>(attention<Number>);
  rules.template add<AttentionBackwardOp>(attentionBackward<Number>);
  rules.template add<CacheAppendOp>(cacheAppend<Number>);
  rules.template add<CachedAttentionOp>(cachedAttention<Number>);
}

template void mlir::moe::reference::addAttentionRules(Rules<double> &);
template void mlir::moe::reference::addAttentionRules(Rules<Bounded> &);
