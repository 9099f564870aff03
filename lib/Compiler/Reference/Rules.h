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
///   rules.template add<NegateOp>([](NegateOp op, Operands<Number> operands, Results<Number> results) {
///     for (auto [result, input] : llvm::zip_equal(results[0].values, operands[0].values))
///       result = -input;
///   });
///
/// `Number` is double, or Bounded to learn what error float32 makes of the same computation; so a rule adds up sums
/// with +=, whose terms have no order, and calls exp, log and sqrt without std.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_REFERENCE_RULES_H
#define LIB_COMPILER_REFERENCE_RULES_H

#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Reference/Bounded.h"
#include "lib/Compiler/Reference/Tensor.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>
#include <functional>
#include <type_traits>

namespace mlir::moe::reference {

/// The operands of an op in order; absent optional ones are left out.
template <typename Number> class Operands {
public:
  using Tensor = TensorOf<Number>;
  explicit Operands(ArrayRef<const Tensor *> tensors) : tensors(tensors) {}
  const Tensor &operator[](unsigned index) const { return *tensors[index]; }
  unsigned size() const { return tensors.size(); }

private:
  ArrayRef<const Tensor *> tensors;
};

/// Zeros of the right shape, to be filled.
template <typename Number> using Results = MutableArrayRef<TensorOf<Number>>;

template <typename Number> class Rules {
public:
  using Rule = std::function<void(Operation *, Operands<Number>, Results<Number>)>;

  /// The rules of all ops.
  static const Rules &get();

  /// Null if the op has none.
  const Rule *lookup(StringRef opName) const;

  template <typename OpT, typename Function> void add(Function rule) {
    rules[OpT::getOperationName()] = [rule](Operation *op, Operands<Number> operands, Results<Number> results) {
      rule(cast<OpT>(op), operands, results);
    };
  }

private:
  llvm::StringMap<Rule> rules;
};

template <typename Number> void addElementwiseRules(Rules<Number> &rules);
template <typename Number> void addDenseRules(Rules<Number> &rules);
template <typename Number> void addAttentionRules(Rules<Number> &rules);
template <typename Number> void addRoutingRules(Rules<Number> &rules);
template <typename Number> void addTrainingRules(Rules<Number> &rules);

using std::exp, std::log, std::sqrt;

inline bool isFinite(double number) { return std::isfinite(number); }
inline bool isFinite(const Bounded &number) { return std::isfinite(number.value()); }
/// Indices and positions are numbers, too.
template <typename Number> int64_t toInteger(const Number &number) { return static_cast<int64_t>(number); }

/// Σ a_i·b_i.
template <typename Number> Number dot(ArrayRef<Number> a, ArrayRef<Number> b) {
  Number sum = 0.0;
  for (auto [x, y] : llvm::zip_equal(a, b))
    sum += x * y;
  return sum;
}
/// y += factor · x.
template <typename Number>
void addScaled(MutableArrayRef<Number> y, std::type_identity_t<Number> factor, ArrayRef<Number> x) {
  for (auto [to, from] : llvm::zip_equal(y, x))
    to += factor * from;
}
/// log Σ exp(x_i).
template <typename Number> Number logSumExp(ArrayRef<Number> x) {
  Number largest = *llvm::max_element(x), sum = 0.0;
  for (const Number &value : x)
    sum += exp(value - largest);
  return largest + log(sum);
}
template <typename Number> Number sigmoid(const Number &x) {
  // Of two equal forms the one that cannot overflow.
  return x < 0.0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x));
}

} // namespace mlir::moe::reference

#endif // LIB_COMPILER_REFERENCE_RULES_H
