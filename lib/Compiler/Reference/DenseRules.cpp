//===- DenseRules.cpp - Embedding, projections, norms, activations -*- C++ -*-===//
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

template <typename Number> static void embedding(EmbeddingOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &table = operands[0], &indices = operands[1];
  for (int64_t t : seq(indices.size()))
    llvm::copy(table.row(indices[t]), results[0].row(t).begin());
}

template <typename Number>
static void embeddingBackward(EmbeddingBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &indices = operands[0], &gradient = operands[1];
  for (int64_t t : seq(indices.size()))
    addScaled(results[0].row(indices[t]), 1.0, gradient.row(t));
}

template <typename Number> static void linear(LinearOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &weight = operands[1];
  for (int64_t t : seq(input.rows()))
    for (int64_t j : seq(weight.rows()))
      results[0].row(t)[j] = dot(input.row(t), weight.row(j));
}

template <typename Number> static void matmul(MatmulOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &lhs = operands[0], &rhs = operands[1];
  TensorOf<Number> &result = results[0];
  int64_t depth = lhs.dim(op.getTransposeLhs() ? 0 : 1);
  for (int64_t i : seq(result.rows()))
    for (int64_t k : seq(depth)) {
      Number a = op.getTransposeLhs() ? lhs.row(k)[i] : lhs.row(i)[k];
      for (int64_t j : seq(result.columns()))
        result.row(i)[j] += a * (op.getTransposeRhs() ? rhs.row(j)[k] : rhs.row(k)[j]);
    }
}

/// 1/√(mean(x²) + eps).
template <typename Number> static Number inverseRMS(ArrayRef<Number> x, double eps) {
  return 1.0 / sqrt(dot(x, x) / x.size() + eps);
}

template <typename Number> static void rmsNorm(RMSNormOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &weight = operands[1];
  int64_t n = weight.size();
  for (int64_t start = 0; start < input.size(); start += n) {
    ArrayRef<Number> x = ArrayRef(input.values).slice(start, n);
    Number scale = inverseRMS(x, op.getEps().convertToDouble());
    for (int64_t j : seq(n))
      results[0][start + j] = x[j] * scale * weight[j];
  }
}

// With x̂ = r·x and r = 1/rms: ∂w = Σ g·x̂ and ∂x = r·(g·w − x̂·mean(g·w·x̂)).
template <typename Number>
static void rmsNormBackward(RMSNormBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &weight = operands[1], &gradient = operands[2];
  int64_t n = weight.size();
  for (int64_t start = 0; start < input.size(); start += n) {
    ArrayRef<Number> x = ArrayRef(input.values).slice(start, n), g = ArrayRef(gradient.values).slice(start, n);
    Number scale = inverseRMS(x, op.getEps().convertToDouble()), mean = 0.0;
    for (int64_t j : seq(n)) {
      results[1][j] += g[j] * x[j] * scale;
      mean += g[j] * weight[j] * x[j] * scale / n;
    }
    for (int64_t j : seq(n))
      results[0][start + j] = scale * (g[j] * weight[j] - x[j] * scale * mean);
  }
}

template <typename Number>
static void gatedActivation(GatedActivationOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0];
  int64_t n = results[0].columns();
  for (int64_t r : seq(input.rows()))
    for (int64_t j : seq(n)) {
      Number gate = input.row(r)[j], up = input.row(r)[n + j];
      results[0].row(r)[j] = gate * sigmoid(gate) * up;
    }
}

// silu'(x) = σ(x)·(1 + x·(1 − σ(x))).
template <typename Number>
static void gatedActivationBackward(GatedActivationBackwardOp op, Operands<Number> operands, Results<Number> results) {
  const TensorOf<Number> &input = operands[0], &gradient = operands[1];
  int64_t n = gradient.columns();
  for (int64_t r : seq(input.rows()))
    for (int64_t j : seq(n)) {
      Number gate = input.row(r)[j], up = input.row(r)[n + j], g = gradient.row(r)[j], s = sigmoid(gate);
      results[0].row(r)[j] = g * up * s * (1.0 + gate * (1.0 - s));
      results[0].row(r)[n + j] = g * gate * s;
    }
}

template <typename Number> void mlir::moe::reference::addDenseRules(Rules<Number> &rules) {
  rules.template add<EmbeddingOp>(embedding<Number>);
  rules.template add<EmbeddingBackwardOp>(embeddingBackward<Number>);
  rules.template add<LinearOp>(linear<Number>);
  rules.template add<MatmulOp>(matmul<Number>);
  rules.template add<RMSNormOp>(rmsNorm<Number>);
  rules.template add<RMSNormBackwardOp>(rmsNormBackward<Number>);
  rules.template add<GatedActivationOp>(gatedActivation<Number>);
  rules.template add<GatedActivationBackwardOp>(gatedActivationBackward<Number>);
}

template void mlir::moe::reference::addDenseRules(Rules<double> &);
template void mlir::moe::reference::addDenseRules(Rules<Bounded> &);
