//===- Draw.h - Random values for inputs --------------------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_CONFORMANCE_DRAW_H
#define LIB_COMPILER_CONFORMANCE_DRAW_H

#include "lib/Compiler/Reference/Tensor.h"

#include <random>

namespace mlir::moe::conformance {

using reference::NamedTensors;
using reference::Tensor;

/// Random values that depend on a name only.
class Draw {
public:
  explicit Draw(StringRef name);

  Tensor normal(ArrayRef<int64_t> shape, double deviation = 1.0, double mean = 0.0);
  Tensor uniform(ArrayRef<int64_t> shape, double low, double high);
  /// Integers in [0, limit).
  Tensor integers(ArrayRef<int64_t> shape, int64_t limit);
  /// An index below `limit`.
  int64_t index(int64_t limit);
  /// An index below the number of weights, drawn in proportion to them.
  int64_t weighted(ArrayRef<double> weights);

private:
  std::mt19937_64 engine;
};

} // namespace mlir::moe::conformance

#endif // LIB_COMPILER_CONFORMANCE_DRAW_H
