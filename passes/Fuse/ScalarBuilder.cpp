//===- ScalarBuilder.cpp - Builds the scalar arithmetic of kernels --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/ScalarBuilder.h"

#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::moe {

Value ScalarBuilder::extend(Value element) {
  Type type = computeType(element.getType());
  return type == element.getType() ? element : createOrFold<arith::ExtFOp>(type, element);
}

Value ScalarBuilder::round(Value value, Type type) {
  if (value.getType() == type)
    return value;
  return createOrFold<arith::TruncFOp>(type, value);
}

Value ScalarBuilder::constant(Type type, double value) {
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(*this, getFloatAttr(type, value));
  return arith::ConstantOp::create(*this, getIntegerAttr(type, static_cast<int64_t>(value)));
}

Value ScalarBuilder::exp(Value a) { return math::ExpOp::create(*this, a); }
Value ScalarBuilder::log(Value a) { return math::LogOp::create(*this, a); }
Value ScalarBuilder::sqrt(Value a) { return math::SqrtOp::create(*this, a); }

Value ScalarBuilder::isFiniteNorm(Value norm) {
  Value infinity = constant(norm.getType(), std::numeric_limits<double>::infinity());
  return arith::CmpFOp::create(*this, arith::CmpFPredicate::OLT, norm, infinity);
}

Value ScalarBuilder::sigmoid(Value a) {
  Value one = constant(a.getType(), 1.0);
  return div(one, add(one, exp(neg(a))));
}

Value ScalarBuilder::swiglu(Value gate, Value up) { return mul(mul(gate, sigmoid(gate)), up); }

std::pair<Value, Value> ScalarBuilder::swigluBackward(Value gate, Value up, Value gradient) {
  Value s = sigmoid(gate), one = constant(gate.getType(), 1.0);
  Value slope = mul(s, add(one, mul(gate, sub(one, s))));
  return {mul(gradient, mul(up, slope)), mul(gradient, mul(gate, s))};
}

} // namespace mlir::moe
