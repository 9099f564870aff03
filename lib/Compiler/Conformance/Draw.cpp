//===- Draw.cpp - Random values for inputs ------------------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/Draw.h"

#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace mlir::moe::conformance;

Draw::Draw(StringRef name) : engine(llvm::xxh3_64bits(name)) {}

/// Every element from `distribution`, in order.
template <typename Distribution>
static Tensor fill(ArrayRef<int64_t> shape, std::mt19937_64 &engine, Distribution distribution) {
  Tensor tensor(shape);
  for (double &value : tensor.values)
    value = distribution(engine);
  return tensor;
}

Tensor Draw::normal(ArrayRef<int64_t> shape, double deviation, double mean) {
  return fill(shape, engine, std::normal_distribution<double>(mean, deviation));
}

Tensor Draw::uniform(ArrayRef<int64_t> shape, double low, double high) {
  return fill(shape, engine, std::uniform_real_distribution<double>(low, high));
}

Tensor Draw::integers(ArrayRef<int64_t> shape, int64_t limit) {
  return fill(shape, engine, std::uniform_int_distribution<int64_t>(0, limit - 1));
}

int64_t Draw::index(int64_t limit) { return std::uniform_int_distribution<int64_t>(0, limit - 1)(engine); }

int64_t Draw::weighted(ArrayRef<double> weights) {
  return std::discrete_distribution<int64_t>(weights.begin(), weights.end())(engine);
}
