//===- DType.h - Element types and shapes -----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_FORMAT_DTYPE_H
#define MOE_RUNTIME_FORMAT_DTYPE_H

#include "runtime/format/artifact_generated.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace moe::format {

using ShapeVector = flatbuffers::Vector<std::int64_t>;

/// Whether `dtype` is one that this build knows; the FlatBuffers verifier does not look at enumerators.
bool isKnown(DType dtype);
bool isFloat(DType dtype);
/// Bytes of one element; 0 if unknown.
std::size_t byteSize(DType dtype);
/// "f32".
std::string_view toString(DType dtype);
/// "f32[8,128]"; "f32[]" for a scalar.
std::string toString(DType dtype, std::span<const std::int64_t> shape);

/// The product of `shape`: 1 for rank 0. None if a dimension is negative or the product exceeds 2^63 - 1.
std::optional<std::uint64_t> numElements(std::span<const std::int64_t> shape);
/// Bytes of a dense tensor. None if `numElements` has none, `dtype` is unknown, or the size exceeds 2^63 - 1.
std::optional<std::uint64_t> byteSize(DType dtype, std::span<const std::int64_t> shape);

inline std::span<const std::int64_t> toSpan(const ShapeVector &shape) { return {shape.data(), shape.size()}; }

/// Bytes of a validated variable or port.
template <typename T> std::size_t byteSize(const T &typed) {
  return byteSize(typed.dtype(), toSpan(*typed.shape())).value_or(0);
}
/// The type of a variable or port: "f32[8,128]".
template <typename T> std::string typeString(const T &typed) { return toString(typed.dtype(), toSpan(*typed.shape())); }

/// Writes `value` as one element at `destination`, rounded to nearest even (floating point) or toward zero and
/// saturated (integers).
void encode(double value, DType dtype, std::byte *destination);

/// The element at `source`, of a floating-point type.
double decodeFloat(const std::byte *source, DType dtype);

/// Round to nearest even; NaN stays NaN, overflow gives infinity. Rounds once from double.
std::uint16_t encodeBF16(double value);
std::uint16_t encodeF16(double value);

} // namespace moe::format

#endif // MOE_RUNTIME_FORMAT_DTYPE_H
