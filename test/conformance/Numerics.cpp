//===- Numerics.cpp - Random values and finite differences ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/conformance/Numerics.h"

#include "llvm/Support/xxhash.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::moe::conformance;

static constexpr double kStep = 0x1p-12;

Draw::Draw(StringRef name) : engine(llvm::xxh3_64bits(name)) {}

Tensor Draw::normal(ArrayRef<int64_t> shape, double deviation, double mean) {
  std::normal_distribution<double> distribution(mean, deviation);
  Tensor tensor(shape);
  for (double &value : tensor.values)
    value = distribution(engine);
  return tensor;
}

Tensor Draw::integers(ArrayRef<int64_t> shape, int64_t limit) {
  Tensor tensor(shape);
  for (double &value : tensor.values)
    value = index(limit);
  return tensor;
}

int64_t Draw::index(int64_t limit) { return std::uniform_int_distribution<int64_t>(0, limit - 1)(engine); }

double mlir::moe::conformance::centralDifference(function_ref<double(double)> function) {
  return (8.0 * (function(kStep) - function(-kStep)) - (function(2.0 * kStep) - function(-2.0 * kStep))) /
         (12.0 * kStep);
}

double mlir::moe::conformance::differenceTolerance(double magnitude) {
  double truncation = std::pow(kStep, 4) / 30.0 * 1e4;
  double rounding = 1.5 / kStep * 64.0 * std::numeric_limits<double>::epsilon();
  return (truncation + rounding) * magnitude;
}
