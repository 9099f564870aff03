//===- Gradient.h - The gradient function of a case ---------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_CONFORMANCE_GRADIENT_H
#define LIB_COMPILER_CONFORMANCE_GRADIENT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::moe::conformance {

inline constexpr StringLiteral kNoGradientAttr = "moe.no_gradient", kNotSmoothAttr = "moe.not_smooth";

/// Whether an argument has a gradient, and whether gradients start from a result: floats without `moe.no_gradient`.
bool isDifferentiableArgument(func::FuncOp func, unsigned index);
bool isDifferentiableResult(func::FuncOp func, unsigned index);

/// Whether a case has a gradient: some argument and some result are differentiable, and the function is not marked with
/// `moe.no_gradient`.
bool hasGradient(func::FuncOp func);

/// Adds, after @f(x) -> y, the function @f.gradient(x, gradient.y) -> gradient.x.
FailureOr<func::FuncOp> buildGradient(func::FuncOp func);

} // namespace mlir::moe::conformance

#endif // LIB_COMPILER_CONFORMANCE_GRADIENT_H
