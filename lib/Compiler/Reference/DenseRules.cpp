//===- DenseRules.cpp - Embedding, projections, norms, activations -*- C++ -*-===//
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

static void embedding(EmbeddingOp op, Operands operands, Results results) {
  const Tensor &table = operands[0], &indices = operands[1];
  for (int64_t t : seq(indices.size()))
    llvm::copy(table.row(indices[t]), results[0].row(t).begin());
}

static void embeddingBackward(EmbeddingBackwardOp op, Operands operands, Results results) {
  const Tensor &indices = operands[0], &gradient = operands[1];
  for (int64_t t : seq(indices.size()))
    addScaled(results[0].row(indices[t]), 1.0, gradient.row(t));
}

static void linear(LinearOp op, Operands operands, Results results) {
  const Tensor &input = operands[0], &weight = operands[1];
  for (int64_t t : seq(input.rows()))
    for (int64_t j : seq(weight.rows()))
      results[0].row(t)[j] = dot(input.row(t), weight.row(j));
}

static void matmul(MatmulOp op, Operands operands, Results results) {
  const Tensor &lhs = operands[0], &rhs = operands[1];
  Tensor &result = results[0];
  int64_t depth = lhs.dim(op.getTransposeLhs() ? 0 : 1);
  for (int64_t i : seq(result.rows()))
    for (int64_t k : seq(depth)) {
      double a = op.getTransposeLhs() ? lhs.row(k)[i] : lhs.row(i)[k];
      for (int64_t j : seq(result.columns()))
        result.row(i)[j] += a * (op.getTransposeRhs() ? rhs.row(j)[k] : rhs.row(k)[j]);
    }
}

/// 1/√(mean(x²) + eps).
static double inverseRMS(ArrayRef<double> x, double eps) { return 1.0 / std::sqrt(dot(x, x) / x.size() + eps); }

static void rmsNorm(RMSNormOp op, Operands operands, Results results) {
  const Tensor &input = operands[0], &weight = operands[1];
  int64_t n = weight.size();
  for (int64_t start = 0; start < input.size(); start += n) {
    ArrayRef<double> x = ArrayRef(input.values).slice(start, n);
    double scale = inverseRMS(x, op.getEps().convertToDouble());
    for (int64_t j : seq(n))
      results[0][start + j] = x[j] * scale * weight[j];
  }
}

// With x̂ = r·x and r = 1/rms: ∂w = Σ g·x̂ and ∂x = r·(g·w − x̂·mean(g·w·x̂)).
static void rmsNormBackward(RMSNormBackwardOp op, Operands operands, Results results) {
  const Tensor &input = operands[0], &weight = operands[1], &gradient = operands[2];
  int64_t n = weight.size();
  for (int64_t start = 0; start < input.size(); start += n) {
    ArrayRef<double> x = ArrayRef(input.values).slice(start, n), g = ArrayRef(gradient.values).slice(start, n);
    double scale = inverseRMS(x, op.getEps().convertToDouble()), mean = 0.0;
    for (int64_t j : seq(n)) {
      results[1][j] += g[j] * x[j] * scale;
      mean += g[j] * weight[j] * x[j] * scale / n;
    }
    for (int64_t j : seq(n))
      results[0][start + j] = scale * (g[j] * weight[j] - x[j] * scale * mean);
  }
}

static void gatedActivation(GatedActivationOp op, Operands operands, Results results) {
  const Tensor &input = operands[0];
  int64_t n = results[0].columns();
  for (int64_t r : seq(input.rows()))
    for (int64_t j : seq(n)) {
      double gate = input.row(r)[j], up = input.row(r)[n + j];
      results[0].row(r)[j] = gate * sigmoid(gate) * up;
    }
}

// silu'(x) = σ(x)·(1 + x·(1 − σ(x))).
static void gatedActivationBackward(GatedActivationBackwardOp op, Operands operands, Results results) {
  const Tensor &input = operands[0], &gradient = operands[1];
  int64_t n = gradient.columns();
  for (int64_t r : seq(input.rows()))
    for (int64_t j : seq(n)) {
      double gate = input.row(r)[j], up = input.row(r)[n + j], g = gradient.row(r)[j], s = sigmoid(gate);
      results[0].row(r)[j] = g * up * s * (1.0 + gate * (1.0 - s));
      results[0].row(r)[n + j] = g * gate * s;
    }
}

void mlir::moe::reference::addDenseRules(Rules &rules) {
  rules.add<EmbeddingOp>(embedding);
  rules.add<EmbeddingBackwardOp>(embeddingBackward);
  rules.add<LinearOp>(linear);
  rules.add<MatmulOp>(matmul);
  rules.add<RMSNormOp>(rmsNorm);
  rules.add<RMSNormBackwardOp>(rmsNormBackward);
  rules.add<GatedActivationOp>(gatedActivation);
  rules.add<GatedActivationBackwardOp>(gatedActivationBackward);
}
