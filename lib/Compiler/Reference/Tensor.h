//===- Tensor.h - A tensor of the reference interpreter -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_REFERENCE_TENSOR_H
#define LIB_COMPILER_REFERENCE_TENSOR_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <map>
#include <string>
#include <vector>

namespace mlir::moe::reference {

/// Row-major values, whatever the element type in the IR; integers are exact.
template <typename Number> struct TensorOf {
  SmallVector<int64_t, 4> shape;
  std::vector<Number> values;

  TensorOf() = default;
  explicit TensorOf(ArrayRef<int64_t> shape) : shape(shape), values(llvm::product_of(shape)) {}
  TensorOf(ArrayRef<int64_t> shape, std::vector<Number> values) : shape(shape), values(std::move(values)) {}
  static TensorOf scalar(Number value) { return TensorOf({}, {value}); }

  int64_t size() const { return values.size(); }
  int64_t dim(unsigned index) const { return shape[index]; }
  /// The size of the last dimension, and how often it occurs: any tensor is a matrix of rows.
  int64_t columns() const { return shape.back(); }
  int64_t rows() const { return size() / columns(); }

  Number &operator[](int64_t index) { return values[index]; }
  const Number &operator[](int64_t index) const { return values[index]; }
  MutableArrayRef<Number> row(int64_t index) {
    return MutableArrayRef<Number>(values).slice(index * columns(), columns());
  }
  ArrayRef<Number> row(int64_t index) const { return ArrayRef<Number>(values).slice(index * columns(), columns()); }
};

/// In float64.
using Tensor = TensorOf<double>;

/// Inputs and outputs of an entry point by `moe.name`, variables by symbol name.
using NamedTensors = std::map<std::string, Tensor>;

} // namespace mlir::moe::reference

#endif // LIB_COMPILER_REFERENCE_TENSOR_H
