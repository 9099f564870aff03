//===- Rounding.h - What storing does to a value ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_REFERENCE_ROUNDING_H
#define LIB_COMPILER_REFERENCE_ROUNDING_H

#include "lib/Compiler/Reference/Bounded.h"

namespace mlir::moe::reference {

/// The nearest number of 8 significant bits, to even if there are two. Infinite from 2¹²⁸ on; small numbers keep 8
/// bits.
inline double roundToBF16(double value) {
  int exponent;
  double digits = std::nearbyint(std::ldexp(std::frexp(value, &exponent), 8));
  double rounded = std::ldexp(digits, exponent - 8);
  return std::abs(rounded) < 0x1p128 ? rounded : std::copysign(std::numeric_limits<double>::infinity(), value);
}

/// A target that fuses does not round what it does not store, and what it computes a little differently may be rounded
/// the other way: it differs by one unit in the last place, 2⁻⁷. What is exact and fits stays exact.
inline Bounded roundToBF16(const Bounded &number) {
  double rounded = roundToBF16(number.value());
  if (number.error() == 0.0 && rounded == number.value())
    return number;
  return Bounded(rounded).widened(number.error() + 0x1p-7 * std::abs(number.value()));
}

inline double roundToFloat32(double value) { return static_cast<float>(value); }
/// Keeps its value, which the error is relative to.
inline Bounded roundToFloat32(const Bounded &number) {
  if (number.error() == 0.0 && roundToFloat32(number.value()) == number.value())
    return number;
  return number.widened(Bounded::kUnitRoundoff * std::abs(number.value()));
}

/// A factor that an op computes for itself and multiplies with what is stored in bf16: tensor cores take both in that
/// type. The reference does not round it.
inline double toProductOperand(double factor, bool isBF16) { return factor; }
inline Bounded toProductOperand(const Bounded &factor, bool isBF16) {
  return isBF16 ? factor.widened(0x1p-8 * std::abs(factor.value())) : factor;
}

} // namespace mlir::moe::reference

#endif // LIB_COMPILER_REFERENCE_ROUNDING_H
