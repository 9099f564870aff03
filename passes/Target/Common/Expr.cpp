//===- Expr.cpp - Values with operators -------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/Expr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

namespace mlir::moe::target {

static bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

/// Broadcasts whichever is the scalar, so that both are vectors or both scalars.
static void unify(Expr &lhs, Expr &rhs) {
  auto left = dyn_cast<VectorType>(lhs.getType()), right = dyn_cast<VectorType>(rhs.getType());
  if (left && !right)
    rhs = rhs.splat(left.getDimSize(0));
  else if (right && !left)
    lhs = lhs.splat(right.getDimSize(0));
}

template <typename FloatOp, typename IntOp>
static Value createBinary(ImplicitLocOpBuilder &builder, Value lhs, Value rhs) {
  return isFloat(lhs) ? builder.createOrFold<FloatOp>(lhs, rhs) : builder.createOrFold<IntOp>(lhs, rhs);
}

static Value createCompare(ImplicitLocOpBuilder &builder, arith::CmpFPredicate floats, arith::CmpIPredicate integers,
                           Value lhs, Value rhs) {
  return isFloat(lhs) ? builder.createOrFold<arith::CmpFOp>(floats, lhs, rhs)
                      : builder.createOrFold<arith::CmpIOp>(integers, lhs, rhs);
}

std::optional<int64_t> Expr::getConstant() const {
  APInt number;
  return matchPattern(value, m_ConstantInt(&number)) ? std::optional<int64_t>(number.getSExtValue()) : std::nullopt;
}

Expr Expr::constant(double number) const {
  Type type = getElementTypeOrSelf(getType());
  TypedAttr attribute = isa<FloatType>(type) ? TypedAttr(builder->getFloatAttr(type, number))
                                             : TypedAttr(builder->getIntegerAttr(type, static_cast<int64_t>(number)));
  return {*builder, arith::ConstantOp::create(*builder, attribute)};
}

Expr operator+(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createBinary<arith::AddFOp, arith::AddIOp>(*lhs.builder, lhs, rhs)};
}
Expr operator-(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createBinary<arith::SubFOp, arith::SubIOp>(*lhs.builder, lhs, rhs)};
}
Expr operator*(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createBinary<arith::MulFOp, arith::MulIOp>(*lhs.builder, lhs, rhs)};
}
Expr operator/(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createBinary<arith::DivFOp, arith::DivUIOp>(*lhs.builder, lhs, rhs)};
}
Expr operator%(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createBinary<arith::RemFOp, arith::RemUIOp>(*lhs.builder, lhs, rhs)};
}
Expr operator&(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, lhs.builder->createOrFold<arith::AndIOp>(Value(lhs), Value(rhs))};
}
Expr operator^(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, lhs.builder->createOrFold<arith::XOrIOp>(Value(lhs), Value(rhs))};
}
Expr operator<(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createCompare(*lhs.builder, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt, lhs, rhs)};
}
Expr operator>(Expr lhs, Expr rhs) { return rhs < lhs; }
Expr operator==(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createCompare(*lhs.builder, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq, lhs, rhs)};
}
Expr operator!=(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return {*lhs.builder, createCompare(*lhs.builder, arith::CmpFPredicate::ONE, arith::CmpIPredicate::ne, lhs, rhs)};
}

// Compare and select is one instruction on x86, IEEE maximum is several.
Expr max(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return isFloat(lhs) ? select(lhs > rhs, lhs, rhs)
                      : Expr(*lhs.builder, lhs.builder->createOrFold<arith::MaxSIOp>(Value(lhs), Value(rhs)));
}
Expr min(Expr lhs, Expr rhs) {
  unify(lhs, rhs);
  return isFloat(lhs) ? select(lhs < rhs, lhs, rhs)
                      : Expr(*lhs.builder, lhs.builder->createOrFold<arith::MinSIOp>(Value(lhs), Value(rhs)));
}

Expr fma(Expr lhs, Expr rhs, Expr addend) {
  unify(lhs, rhs);
  unify(lhs, addend);
  unify(rhs, addend);
  ImplicitLocOpBuilder &builder = *lhs.builder;
  if (isa<VectorType>(lhs.getType()))
    return {builder, vector::FMAOp::create(builder, Value(lhs), Value(rhs), Value(addend))};
  return {builder, math::FmaOp::create(builder, Value(lhs), Value(rhs), Value(addend))};
}

Expr exp(Expr input) { return {*input.builder, math::ExpOp::create(*input.builder, Value(input))}; }
Expr log(Expr input) { return {*input.builder, math::LogOp::create(*input.builder, Value(input))}; }

Expr select(Expr condition, Expr ifTrue, Expr ifFalse) {
  unify(ifTrue, ifFalse);
  unify(condition, ifTrue);
  unify(condition, ifFalse);
  return {*condition.builder,
          condition.builder->createOrFold<arith::SelectOp>(Value(condition), Value(ifTrue), Value(ifFalse))};
}

Expr Expr::toIndex() const {
  return {*builder, builder->createOrFold<arith::IndexCastOp>(builder->getIndexType(), value)};
}
Expr Expr::toI32() const { return {*builder, builder->createOrFold<arith::IndexCastOp>(builder->getI32Type(), value)}; }
Expr Expr::splat(int64_t width) const {
  return {*builder, vector::BroadcastOp::create(*builder, VectorType::get(width, getType()), value)};
}
Expr Expr::extract(int64_t lane) const { return {*builder, vector::ExtractOp::create(*builder, value, lane)}; }

} // namespace mlir::moe::target
