//===- ExpandMath.cpp - Transcendental functions as polynomials ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/ExpandMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe::target {

namespace {

/// Builds expressions on values that are all scalars or all vectors of one shape.
struct Expression {
  ImplicitLocOpBuilder &b;
  Type floatType; ///< f32 or f64, or a vector of it.

  Type elementType() const { return getElementTypeOrSelf(floatType); }
  bool isDouble() const { return elementType().isF64(); }
  Type intType() const { return withElement(b.getIntegerType(isDouble() ? 64 : 32)); }
  Type withElement(Type element) const {
    auto vector = dyn_cast<VectorType>(floatType);
    return vector ? vector.clone(element) : element;
  }

  Value constant(Type type, TypedAttr element) const {
    if (auto vector = dyn_cast<VectorType>(type))
      element = DenseElementsAttr::get(vector, {Attribute(element)});
    return arith::ConstantOp::create(b, element);
  }
  Value real(double value) const { return constant(floatType, b.getFloatAttr(elementType(), value)); }
  Value integer(int64_t value) const {
    return constant(intType(), b.getIntegerAttr(getElementTypeOrSelf(intType()), value));
  }

  Value add(Value x, Value y) const { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) const { return arith::DivFOp::create(b, x, y); }
  Value neg(Value x) const { return arith::NegFOp::create(b, x); }
  Value fma(Value x, Value y, Value z) const { return math::FmaOp::create(b, x, y, z); }
  Value bits(Value x) const { return arith::BitcastOp::create(b, intType(), x); }
  Value fromBits(Value x) const { return arith::BitcastOp::create(b, floatType, x); }
  Value addInt(Value x, Value y) const { return arith::AddIOp::create(b, x, y); }
  Value subInt(Value x, Value y) const { return arith::SubIOp::create(b, x, y); }
  Value andInt(Value x, Value y) const { return arith::AndIOp::create(b, x, y); }
  Value xorInt(Value x, Value y) const { return arith::XOrIOp::create(b, x, y); }
  Value shiftLeft(Value x, int64_t by) const { return arith::ShLIOp::create(b, x, integer(by)); }
  Value shiftRight(Value x, int64_t by) const { return arith::ShRSIOp::create(b, x, integer(by)); }
  Value select(Value condition, Value x, Value y) const { return arith::SelectOp::create(b, condition, x, y); }
  Value compare(arith::CmpFPredicate predicate, Value x, Value y) const {
    return arith::CmpFOp::create(b, predicate, x, y);
  }

  /// Horner's rule: coefficients from the highest power to the constant.
  Value polynomial(Value x, ArrayRef<double> coefficients) const {
    Value result = real(coefficients.front());
    for (double coefficient : coefficients.drop_front())
      result = fma(result, x, real(coefficient));
    return result;
  }

  unsigned mantissaBits() const { return isDouble() ? 52 : 23; }
  int64_t exponentBias() const { return isDouble() ? 1023 : 127; }

  /// The nearest integer to x · y: as a float and, modulo a constant, in the low bits of the second value. Adding
  /// 1.5 · 2^mantissa rounds, and unlike a conversion it is defined for NaN.
  std::pair<Value, Value> roundedProduct(Value x, Value y) const {
    Value magic = real(isDouble() ? 0x1.8p52 : 0x1.8p23);
    Value shifted = fma(x, y, magic);
    return {sub(shifted, magic), subInt(bits(shifted), bits(magic))};
  }

  /// 2^exponent for a normal result.
  Value powerOfTwo(Value exponent) const {
    return fromBits(shiftLeft(addInt(exponent, integer(exponentBias())), mantissaBits()));
  }
};

/// exp(x) = 2^n · exp(r) with n = round(x / ln 2), r = x − n · ln 2 in two steps (Cody and Waite 1980). The polynomials
/// are Cephes' expf and the Taylor series (remainder below 2^-57 for |r| ≤ ln(2)/2). 2^n is applied in two factors, so
/// that subnormal and overflowing results come out right.
Value expandExp(const Expression &e, Value x) {
  bool isDouble = e.isDouble();
  Value limit = e.real(isDouble ? 1000 : 130); // Far beyond overflow, and 2^(n/2) is still a normal number.
  x = e.select(e.compare(arith::CmpFPredicate::OGT, x, limit), limit, x);
  Value low = e.real(isDouble ? -1000 : -130);
  x = e.select(e.compare(arith::CmpFPredicate::OLT, x, low), low, x);

  auto [n, exponent] = e.roundedProduct(x, e.real(0x1.71547652b82fep0)); // log2(e)
  Value negative = e.neg(n);
  Value r = e.fma(negative, e.real(isDouble ? 0x1.62e42fefa39efp-1 : 0.693359375), x);
  r = e.fma(negative, e.real(isDouble ? 0x1.abc9e3b39803fp-56 : -2.12194440e-4), r);

  Value tail;
  if (isDouble)
    tail = e.polynomial(r, {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                            1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5});
  else
    tail = e.polynomial(
        r, {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
  Value y = e.add(e.fma(tail, e.mul(r, r), r), e.real(1));
  Value half = e.shiftRight(exponent, 1);
  return e.mul(e.mul(y, e.powerOfTwo(half)), e.powerOfTwo(e.subInt(exponent, half)));
}

/// log(x) = k · ln 2 + log(m) with m in [√½, √2). Cephes' logf and FreeBSD's e_log.c.
Value expandLog(const Expression &e, Value x) {
  bool isDouble = e.isDouble();
  Value smallest = e.real(isDouble ? 0x1p-1022 : 0x1p-126);
  Value isSubnormal = e.compare(arith::CmpFPredicate::OLT, x, smallest);
  Value normal = e.select(isSubnormal, e.mul(x, e.real(isDouble ? 0x1p54 : 0x1p25)), x);

  // Subtracting the bits of √½ makes the exponent field k and leaves m's fraction.
  Value rootHalf = e.integer(isDouble ? 0x3fe6a09e667f3bcd : 0x3f3504f3);
  Value shifted = e.subInt(e.bits(normal), rootHalf);
  Value exponent = e.shiftRight(shifted, e.mantissaBits());
  exponent = e.addInt(exponent, e.select(isSubnormal, e.integer(isDouble ? -54 : -25), e.integer(0)));
  Value m = e.fromBits(e.addInt(e.andInt(shifted, e.integer(isDouble ? 0xfffffffffffff : 0x7fffff)), rootHalf));
  Value k = arith::SIToFPOp::create(e.b, e.floatType, exponent);
  Value f = e.sub(m, e.real(1));

  Value y;
  if (isDouble) {
    Value s = e.div(f, e.add(f, e.real(2)));
    Value z = e.mul(s, s);
    Value r = e.mul(z, e.polynomial(z, {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                                        2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                                        6.666666666666735130e-01}));
    Value halfSquare = e.mul(e.mul(f, f), e.real(0.5));
    Value low = e.fma(s, e.add(halfSquare, r), e.mul(k, e.real(1.90821492927058770002e-10)));
    y = e.fma(k, e.real(6.93147180369123816490e-01), e.neg(e.sub(e.sub(halfSquare, low), f)));
  } else {
    Value z = e.mul(f, f);
    y = e.mul(e.mul(f, z),
              e.polynomial(f, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                               -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1}));
    y = e.fma(k, e.real(-2.12194440e-4), y);
    y = e.fma(z, e.real(-0.5), y);
    y = e.fma(k, e.real(0.693359375), e.add(f, y));
  }

  Value zero = e.real(0);
  Value infinity = e.real(std::numeric_limits<double>::infinity());
  // Infinity and NaN are their own logarithms; the rest is an ordinary number.
  y = e.select(e.compare(arith::CmpFPredicate::OLT, x, infinity), y, x);
  y = e.select(e.compare(arith::CmpFPredicate::OLT, x, zero), e.real(std::numeric_limits<double>::quiet_NaN()), y);
  return e.select(e.compare(arith::CmpFPredicate::OEQ, x, zero), e.neg(infinity), y);
}

/// sin(x), or cos(x) = sin(x + π/2): r = x − n · π/2 in two steps, whose products are exact in the fused multiply-add,
/// then FreeBSD's k_sin.c and k_cos.c by the parity of n, and the sign by its second bit.
Value expandSinCos(const Expression &e, Value x, bool isCos) {
  auto [n, quadrant] = e.roundedProduct(x, e.real(0x1.45f306dc9c883p-1)); // 2/π
  Value negative = e.neg(n);
  Value r = e.fma(negative, e.real(0x1.921fb54442d18p0), x);
  r = e.fma(negative, e.real(0x1.1a62633145c07p-54), r);
  if (isCos)
    quadrant = e.addInt(quadrant, e.integer(1));

  Value z = e.mul(r, r);
  Value sinTail =
      e.polynomial(z, {1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
                       -1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01});
  Value sine = e.fma(e.mul(r, z), sinTail, r);
  Value cosTail =
      e.polynomial(z, {-1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
                       2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02});
  Value cosine = e.fma(e.mul(z, z), cosTail, e.fma(z, e.real(-0.5), e.real(1)));

  Value zero = e.integer(0);
  Value isOdd = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, e.andInt(quadrant, e.integer(1)), zero);
  Value magnitude = e.select(isOdd, cosine, sine);
  Value sign = e.shiftLeft(e.andInt(quadrant, e.integer(2)), 62);
  return e.fromBits(e.xorInt(e.bits(magnitude), sign));
}

/// The expansion of `op`, or null if there is none.
Value expand(ImplicitLocOpBuilder &b, Operation *op) {
  Type element = getElementTypeOrSelf(op->getResult(0));
  if (!element.isF32() && !element.isF64())
    return nullptr;
  Expression e{b, op->getResult(0).getType()};
  Value x = op->getOperand(0);
  if (isa<math::ExpOp>(op))
    return expandExp(e, x);
  if (isa<math::LogOp>(op))
    return expandLog(e, x);
  if (isa<math::RsqrtOp>(op))
    return e.div(e.real(1), math::SqrtOp::create(b, x));
  if (isa<math::SinOp, math::CosOp>(op)) {
    if (e.isDouble())
      return expandSinCos(e, x, isa<math::CosOp>(op));
    Expression wide{b, e.withElement(b.getF64Type())};
    Value result = expandSinCos(wide, arith::ExtFOp::create(b, wide.floatType, x), isa<math::CosOp>(op));
    return arith::TruncFOp::create(b, e.floatType, result);
  }
  return nullptr;
}

/// Whether every target has instructions for `op`.
bool isInstruction(Operation *op) {
  return isa<math::FmaOp, math::SqrtOp, math::AbsFOp, math::AbsIOp, math::CopySignOp, math::FloorOp, math::CeilOp,
             math::TruncOp, math::RoundEvenOp, math::CountLeadingZerosOp, math::CountTrailingZerosOp, math::CtPopOp>(
      op);
}

} // namespace

LogicalResult expandMath(Operation *root) {
  bool anyFailed = false;
  IRRewriter rewriter(root->getContext());
  root->walk([&](Operation *op) {
    if (!isa<math::MathDialect>(op->getDialect()) || isInstruction(op))
      return;
    ImplicitLocOpBuilder builder(op->getLoc(), op);
    if (Value expansion = expand(builder, op)) {
      rewriter.replaceOp(op, expansion);
      return;
    }
    op->emitOpError() << "has no expansion; there are exp, log, sin, cos and rsqrt of f32 and f64";
    anyFailed = true;
  });
  return failure(anyFailed);
}

void formFusedMultiplyAdds(Operation *root) {
  IRRewriter rewriter(root->getContext());
  auto getProduct = [](Value value) {
    auto product = value.getDefiningOp<arith::MulFOp>();
    return product && product->hasOneUse() ? product : arith::MulFOp();
  };
  root->walk([&](Operation *op) {
    if (!isa<arith::AddFOp, arith::SubFOp>(op))
      return;
    bool isSub = isa<arith::SubFOp>(op);
    Value lhs = op->getOperand(0), rhs = op->getOperand(1);
    rewriter.setInsertionPoint(op);
    auto negate = [&](Value value) -> Value {
      return isSub ? arith::NegFOp::create(rewriter, op->getLoc(), value) : value;
    };
    if (arith::MulFOp product = getProduct(lhs)) {
      rewriter.replaceOpWithNewOp<math::FmaOp>(op, product.getLhs(), product.getRhs(), negate(rhs));
      rewriter.eraseOp(product);
    } else if (arith::MulFOp product = getProduct(rhs)) {
      rewriter.replaceOpWithNewOp<math::FmaOp>(op, negate(product.getLhs()), product.getRhs(), lhs);
      rewriter.eraseOp(product);
    }
  });
}

} // namespace mlir::moe::target
