//===- Rules.cpp - What each op computes --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Reference/Rules.h"

using namespace mlir::moe::reference;

template <typename Number> const Rules<Number> &Rules<Number>::get() {
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

template <typename Number> const typename Rules<Number>::Rule *Rules<Number>::lookup(llvm::StringRef opName) const {
  auto it = rules.find(opName);
  return it == rules.end() ? nullptr : &it->second;
}

template class mlir::moe::reference::Rules<double>;
template class mlir::moe::reference::Rules<Bounded>;
