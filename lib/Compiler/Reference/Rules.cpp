//===- Rules.cpp - What each op computes --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rules.h"

#include <cmath>

using namespace mlir::moe::reference;

const Rules &Rules::get() {
  static const Rules rules = [] {
    Rules rules;
    addElementwiseRules(rules);
    addDenseRules(rules);
    addAttentionRules(rules);
    addRoutingRules(rules);
    addTrainingRules(rules);
    return rules;
  }();
  return rules;
}

const Rules::Rule *Rules::lookup(llvm::StringRef opName) const {
  auto it = rules.find(opName);
  return it == rules.end() ? nullptr : &it->second;
}

double mlir::moe::reference::logSumExp(llvm::ArrayRef<double> x) {
  double largest = *llvm::max_element(x), sum = 0.0;
  for (double value : x)
    sum += std::exp(value - largest);
  return largest + std::log(sum);
}

double mlir::moe::reference::sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
