//===- Bounded.h - Numbers that carry their rounding error ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, section 3.3). A number is its value
/// in float64 and a bound of the error that it has where the same operations are done in float32: each operation passes
/// on the errors of its operands and adds its own, with u = 2⁻²⁴ and η = 2⁻¹²⁶ (results below may be flushed to zero):
///
///   a + b, a − b, a · b, a / b, √a    u·|result| + η
///   sum += term                       u·Σ|terms|, because a target may add them in any order
///   exp(a)                            (|a| + 4)·u·|result| + η: the exponent is a·log₂e, rounded; 4 roundings after it
///   log(a)                            4·u·|result| + u
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_REFERENCE_BOUNDED_H
#define LIB_COMPILER_REFERENCE_BOUNDED_H

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

namespace mlir::moe::reference {

class Bounded {
public:
  static constexpr double kUnitRoundoff = 0x1p-24, kUnderflow = 0x1p-126;

  /// An exact value.
  template <typename Arithmetic, typename = std::enable_if_t<std::is_arithmetic_v<Arithmetic>>>
  Bounded(Arithmetic value) : Bounded(static_cast<double>(value), 0.0) {}
  Bounded() : Bounded(0.0) {}
  /// `error` from the operands, and one of its own after it.
  static Bounded rounded(double value, double error, double roundings = 1.0) {
    return Bounded(value, error + roundings * kUnitRoundoff * std::abs(value) + kUnderflow);
  }
  /// The same value with more error.
  Bounded widened(double by) const { return Bounded(exact, bound + by); }

  double value() const { return exact; }
  double error() const { return bound; }

  /// Indices and counts are numbers, too. They are exact.
  template <std::integral Integer> operator Integer() const { return static_cast<Integer>(exact); }

  Bounded operator-() const { return Bounded(-exact, bound); }
  Bounded &operator+=(const Bounded &term) {
    double terms = magnitude + term.magnitude;
    *this = Bounded(exact + term.exact, bound + term.bound + kUnitRoundoff * terms);
    magnitude = terms;
    return *this;
  }

private:
  Bounded(double value, double error) : exact(value), bound(error), magnitude(std::abs(value)) {}

  double exact, bound;
  double magnitude; ///< Σ|terms| of a sum, else |value|.
};

/// An operator with a number that has an error on at least one side.
template <typename Lhs, typename Rhs>
concept BoundedOperands = (std::is_same_v<Lhs, Bounded> &&
                           (std::is_same_v<Rhs, Bounded> || std::is_arithmetic_v<Rhs>)) ||
                          (std::is_same_v<Rhs, Bounded> && std::is_arithmetic_v<Lhs>);

template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs> Bounded operator+(const Lhs &lhs, const Rhs &rhs) {
  Bounded a(lhs), b(rhs);
  return Bounded::rounded(a.value() + b.value(), a.error() + b.error());
}
template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs> Bounded operator-(const Lhs &lhs, const Rhs &rhs) { return lhs + -Bounded(rhs); }
template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs> Bounded operator*(const Lhs &lhs, const Rhs &rhs) {
  Bounded a(lhs), b(rhs);
  return Bounded::rounded(a.value() * b.value(),
                          std::abs(a.value()) * b.error() + a.error() * std::abs(b.value()) + a.error() * b.error());
}
template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs> Bounded operator/(const Lhs &lhs, const Rhs &rhs) {
  Bounded a(lhs), b(rhs);
  double quotient = a.value() / b.value(), least = std::abs(b.value()) - b.error();
  // A divisor that may be zero bounds nothing.
  double error =
      least > 0.0 ? (a.error() + std::abs(quotient) * b.error()) / least : std::numeric_limits<double>::infinity();
  return Bounded::rounded(quotient, error);
}
template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs>
bool operator==(const Lhs &lhs, const Rhs &rhs) { return Bounded(lhs).value() == Bounded(rhs).value(); }
template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs>
bool operator<(const Lhs &lhs, const Rhs &rhs) { return Bounded(lhs).value() < Bounded(rhs).value(); }
template <typename Lhs, typename Rhs>
requires BoundedOperands<Lhs, Rhs>
bool operator>(const Lhs &lhs, const Rhs &rhs) { return rhs < lhs; }

inline Bounded sqrt(const Bounded &x) {
  double root = std::sqrt(x.value());
  return Bounded::rounded(root, root - std::sqrt(std::max(x.value() - x.error(), 0.0)));
}
inline Bounded exp(const Bounded &x) {
  double power = std::exp(x.value());
  // An exponent without a bound may still have a power with one: 0.
  double error = power == 0.0 ? 0.0 : power * std::expm1(x.error());
  return Bounded::rounded(power, error, std::abs(x.value()) + 4.0);
}
inline Bounded log(const Bounded &x) {
  double least = x.value() - x.error();
  double error = least > 0.0 ? x.error() / least : std::numeric_limits<double>::infinity();
  return Bounded::rounded(std::log(x.value()), error + Bounded::kUnitRoundoff, 4.0);
}

} // namespace mlir::moe::reference

#endif // LIB_COMPILER_REFERENCE_BOUNDED_H
