//===- ScalarBuilder.h - Builds the scalar arithmetic of kernels --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_SCALARBUILDER_H
#define PASSES_FUSE_SCALARBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// For the bodies of linalg.generic ops and for epilogues: both are scalar ops that an emitter clones at its own width.
class ScalarBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  /// The type that elements of `type` are computed in: f32 for bf16, else the type itself.
  Type computeType(Type type) { return type.isBF16() ? Type(getF32Type()) : type; }
  /// An element as it is computed with, and a computed value as it is stored in a tensor of `type`: the nearest bf16,
  /// ties to even.
  Value extend(Value element);
  Value round(Value value, Type type);

  /// `value` as a constant of the float or integer type `type`.
  Value constant(Type type, double value);
  Value add(Value a, Value b) { return arith::AddFOp::create(*this, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(*this, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(*this, a, b); }
  Value div(Value a, Value b) { return arith::DivFOp::create(*this, a, b); }
  Value neg(Value a) { return arith::NegFOp::create(*this, a); }
  Value select(Value condition, Value ifTrue, Value ifFalse) {
    return arith::SelectOp::create(*this, condition, ifTrue, ifFalse);
  }
  /// Whether a norm is neither infinite nor NaN.
  Value isFiniteNorm(Value norm);
  Value exp(Value a);
  Value log(Value a);
  Value sqrt(Value a);
  /// 1 / (1 + exp(−a)).
  Value sigmoid(Value a);
  /// silu(gate) · up.
  Value swiglu(Value gate, Value up);
  /// Its gradients for gate and up. With s = sigmoid(gate): gradient·up·s·(1 + gate·(1 − s)) and gradient·gate·s.
  std::pair<Value, Value> swigluBackward(Value gate, Value up, Value gradient);
};

} // namespace mlir::moe

#endif // PASSES_FUSE_SCALARBUILDER_H
