//===- Expr.h - Values with operators ---------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Lets an emitter say `row * stride + column` for three arith ops. Works on index, integers and floats and on vectors
/// of them; a scalar that meets a vector is broadcast; what can be folded is folded on the way.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_EXPR_H
#define PASSES_TARGET_COMMON_EXPR_H

#include "mlir/IR/Builders.h"
#include <optional>

namespace mlir::moe::target {

class Expr {
public:
  Expr() = default;
  Expr(ImplicitLocOpBuilder &builder, Value value) : builder(&builder), value(value) {}

  operator Value() const { return value; }
  Type getType() const { return value.getType(); }
  explicit operator bool() const { return static_cast<bool>(value); }

  /// The number, if this is a constant index or integer.
  std::optional<int64_t> getConstant() const;
  /// `number` as a constant of this value's element type.
  Expr constant(double number) const;

  friend Expr operator+(Expr lhs, Expr rhs);
  friend Expr operator-(Expr lhs, Expr rhs);
  friend Expr operator*(Expr lhs, Expr rhs);
  /// Integers are taken as unsigned in `/` and `%`.
  friend Expr operator/(Expr lhs, Expr rhs);
  friend Expr operator%(Expr lhs, Expr rhs);
  friend Expr operator&(Expr lhs, Expr rhs);
  friend Expr operator^(Expr lhs, Expr rhs);
  /// Signed, ordered comparisons.
  friend Expr operator<(Expr lhs, Expr rhs);
  friend Expr operator>(Expr lhs, Expr rhs);
  friend Expr operator==(Expr lhs, Expr rhs);
  friend Expr operator!=(Expr lhs, Expr rhs);

#define MOE_EXPR_WITH_NUMBER(op)                                                                                       \
  template <typename T>                                                                                                \
  requires std::is_arithmetic_v<T>                                                                                     \
  friend Expr operator op(Expr lhs, T rhs) { return lhs op lhs.constant(rhs); }                                        \
  template <typename T>                                                                                                \
  requires std::is_arithmetic_v<T>                                                                                     \
  friend Expr operator op(T lhs, Expr rhs) { return rhs.constant(lhs) op rhs; }
  MOE_EXPR_WITH_NUMBER(+)
  MOE_EXPR_WITH_NUMBER(-)
  MOE_EXPR_WITH_NUMBER(*)
  MOE_EXPR_WITH_NUMBER(/)
  MOE_EXPR_WITH_NUMBER(%)
  MOE_EXPR_WITH_NUMBER(&)
  MOE_EXPR_WITH_NUMBER(^)
  MOE_EXPR_WITH_NUMBER(<)
  MOE_EXPR_WITH_NUMBER(>)
  MOE_EXPR_WITH_NUMBER(==)
  MOE_EXPR_WITH_NUMBER(!=)
#undef MOE_EXPR_WITH_NUMBER

  /// Signed. Of floats that do not compare (NaN), the right one.
  friend Expr max(Expr lhs, Expr rhs);
  friend Expr min(Expr lhs, Expr rhs);
  /// lhs · rhs + addend, rounded once.
  friend Expr fma(Expr lhs, Expr rhs, Expr addend);
  friend Expr exp(Expr input);
  friend Expr log(Expr input);
  friend Expr select(Expr condition, Expr ifTrue, Expr ifFalse);

  /// An integer as index, an index as i32.
  Expr toIndex() const;
  Expr toI32() const;
  /// The scalar in every lane of a vector of `width`.
  Expr splat(int64_t width) const;
  /// Lane `lane` of a vector.
  Expr extract(int64_t lane) const;

private:
  ImplicitLocOpBuilder *builder = nullptr;
  Value value;
};

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_EXPR_H
