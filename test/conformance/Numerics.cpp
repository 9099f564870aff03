//===- Numerics.cpp - Finite differences ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/conformance/Numerics.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::moe::conformance;

static constexpr double kStep = 0x1p-12;

double mlir::moe::conformance::centralDifference(function_ref<double(double)> function) {
  return (8.0 * (function(kStep) - function(-kStep)) - (function(2.0 * kStep) - function(-2.0 * kStep))) /
         (12.0 * kStep);
}

double mlir::moe::conformance::differenceTolerance(double magnitude) {
  double truncation = std::pow(kStep, 4) / 30.0 * 1e4;
  double rounding = 1.5 / kStep * 64.0 * std::numeric_limits<double>::epsilon();
  return (truncation + rounding) * magnitude;
}
