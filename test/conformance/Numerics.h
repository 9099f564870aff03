//===- Numerics.h - Finite differences --------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_CONFORMANCE_NUMERICS_H
#define TEST_CONFORMANCE_NUMERICS_H

#include "lib/Compiler/Conformance/Draw.h"

namespace mlir::moe::conformance {

/// The derivative of `function` at 0 by the central difference of fourth order with step h = 2⁻¹², whose error is at
/// most h⁴/30·|f⁽⁵⁾| from the step and 3/2·ε'/h from rounding, where ε' is the error of one value.
double centralDifference(function_ref<double(double)> function);

/// The largest error of `centralDifference` if the values of the function are sums of terms with absolute values adding
/// up to `magnitude`: a fifth derivative up to 10⁴ times as large (rows of norm 0.2 in a norm reach that), values exact
/// to 64 roundings of float64 (the depth of the computation). Comes to 6e-11 · magnitude.
double differenceTolerance(double magnitude);

} // namespace mlir::moe::conformance

#endif // TEST_CONFORMANCE_NUMERICS_H
