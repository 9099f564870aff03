//===- ElementwiseRules.cpp - Arithmetic on elements --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rules.h"

using namespace mlir::moe;
using namespace mlir::moe::reference;

/// A rule that applies `function` to pairs of elements.
template <typename Number, typename Function> static auto binary(Function function) {
  return [function](auto, Operands<Number> operands, Results<Number> results) {
    for (auto [result, lhs, rhs] : llvm::zip_equal(results[0].values, operands[0].values, operands[1].values))
      result = function(lhs, rhs);
  };
}

template <typename Number> void mlir::moe::reference::addElementwiseRules(Rules<Number> &rules) {
  rules.template add<AddOp>(binary<Number>([](Number lhs, Number rhs) { return lhs + rhs; }));
  rules.template add<MultiplyOp>(binary<Number>([](Number lhs, Number rhs) { return lhs * rhs; }));
  rules.template add<DivideOp>(binary<Number>([](Number lhs, Number rhs) { return lhs / rhs; }));

  rules.template add<NegateOp>([](NegateOp op, Operands<Number> operands, Results<Number> results) {
    for (auto [result, input] : llvm::zip_equal(results[0].values, operands[0].values))
      result = -input;
  });

  rules.template add<CastOp>([](CastOp op, Operands<Number> operands, Results<Number> results) {
    llvm::copy(operands[0].values, results[0].values.begin());
  });
  rules.template add<SumOp>([](SumOp op, Operands<Number> operands, Results<Number> results) {
    for (Number value : operands[0].values)
      results[0][0] += value;
  });

  rules.template add<BroadcastOp>([](BroadcastOp op, Operands<Number> operands, Results<Number> results) {
    llvm::fill(results[0].values, operands[0][0]);
  });
}

template void mlir::moe::reference::addElementwiseRules(Rules<double> &);
template void mlir::moe::reference::addElementwiseRules(Rules<Bounded> &);
