//===- ExpandMath.h - Transcendental functions as polynomials ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Generated code has no libm. These expansions use only additions, products, fused multiply-adds, selects and integer
/// operations, so they work on scalars and on vectors of any width and give every lane the bits a scalar would get.
///
/// | function | type | error | valid |
/// |---|---|---|---|
/// | exp | f32 | ≤ 1.5 ulp | everywhere, subnormal results included |
/// | exp | f64 | ≤ 1.5 ulp | everywhere |
/// | log | f32 | ≤ 1.5 ulp | everywhere; 0 gives −inf, negative numbers give NaN |
/// | log | f64 | ≤ 1.5 ulp | normal numbers, 0, inf, NaN |
/// | sin, cos | f64 | ≤ 1e-15 absolute | abs(x) ≤ 1e6 |
/// | sin, cos | f32 | through f64, correctly rounded but for rare ties | abs(x) ≤ 1e6 |
/// | rsqrt | any | 1 / sqrt(x), both correctly rounded | everywhere |
///
/// test/passes/Target/CPU/MathTest.cpp measures them against the C library.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_EXPANDMATH_H
#define PASSES_TARGET_CPU_EXPANDMATH_H

#include "mlir/IR/Operation.h"

namespace mlir::moe::cpu {

/// Expands the math ops inside `root`; emits an error at each one that has neither an expansion nor an instruction.
LogicalResult expandMath(Operation *root);

/// Makes `a * b + c` one math.fma wherever the product has no other use.
void formFusedMultiplyAdds(Operation *root);

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_EXPANDMATH_H
