//===- Rules.h - What each op computes ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A rule computes the results of one op from its operands. To add one for a new op, add it to the group it belongs to:
///
///   rules.add<NegateOp>([](NegateOp op, Operands operands, Results results) {
///     for (auto [result, input] : llvm::zip_equal(results[0].values, operands[0].values))
///       result = -input;
///   });
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_REFERENCE_RULES_H
#define LIB_COMPILER_REFERENCE_RULES_H

#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Reference/Tensor.h"
#include "llvm/ADT/StringMap.h"

#include <functional>

namespace mlir::moe::reference {

/// The operands of an op in order; absent optional ones are left out.
class Operands {
public:
  explicit Operands(ArrayRef<const Tensor *> tensors) : tensors(tensors) {}
  const Tensor &operator[](unsigned index) const { return *tensors[index]; }
  unsigned size() const { return tensors.size(); }

private:
  ArrayRef<const Tensor *> tensors;
};

/// Zeros of the right shape, to be filled.
using Results = MutableArrayRef<Tensor>;

class Rules {
public:
  using Rule = std::function<void(Operation *, Operands, Results)>;

  /// The rules of all ops.
  static const Rules &get();

  /// Null if the op has none.
  const Rule *lookup(StringRef opName) const;

  template <typename OpT, typename Function> void add(Function rule) {
    rules[OpT::getOperationName()] = [rule](Operation *op, Operands operands, Results results) {
      rule(cast<OpT>(op), operands, results);
    };
  }

private:
  llvm::StringMap<Rule> rules;
};

void addElementwiseRules(Rules &rules);
void addDenseRules(Rules &rules);
void addAttentionRules(Rules &rules);
void addRoutingRules(Rules &rules);
void addTrainingRules(Rules &rules);

/// Σ a_i·b_i.
inline double dot(ArrayRef<double> a, ArrayRef<double> b) {
  double sum = 0.0;
  for (auto [x, y] : llvm::zip_equal(a, b))
    sum += x * y;
  return sum;
}
/// y += factor · x.
inline void addScaled(MutableArrayRef<double> y, double factor, ArrayRef<double> x) {
  for (auto [to, from] : llvm::zip_equal(y, x))
    to += factor * from;
}
/// log Σ exp(x_i).
double logSumExp(ArrayRef<double> x);
double sigmoid(double x);

} // namespace mlir::moe::reference

#endif // LIB_COMPILER_REFERENCE_RULES_H
