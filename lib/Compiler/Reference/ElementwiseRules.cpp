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
template <typename Function> static auto binary(Function function) {
  return [function](auto, Operands operands, Results results) {
    for (auto [result, lhs, rhs] : llvm::zip_equal(results[0].values, operands[0].values, operands[1].values))
      result = function(lhs, rhs);
  };
}

void mlir::moe::reference::addElementwiseRules(Rules &rules) {
  rules.add<AddOp>(binary([](double lhs, double rhs) { return lhs + rhs; }));
  rules.add<MultiplyOp>(binary([](double lhs, double rhs) { return lhs * rhs; }));
  rules.add<DivideOp>(binary([](double lhs, double rhs) { return lhs / rhs; }));

  rules.add<NegateOp>([](NegateOp op, Operands operands, Results results) {
    for (auto [result, input] : llvm::zip_equal(results[0].values, operands[0].values))
      result = -input;
  });

  rules.add<CastOp>([](CastOp op, Operands operands, Results results) { llvm::copy(operands[0].values, results[0].values.begin()); });
  rules.add<SumOp>([](SumOp op, Operands operands, Results results) {
    for (double value : operands[0].values)
      results[0][0] += value;
  });

  rules.add<BroadcastOp>(
      [](BroadcastOp op, Operands operands, Results results) { llvm::fill(results[0].values, operands[0][0]); });
}
