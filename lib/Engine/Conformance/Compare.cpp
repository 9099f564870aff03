//===- Compare.cpp - Outputs against expected values -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Conformance/Compare.h"

#include "runtime/format/DType.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace moe::engine {

template <typename T> static T load(std::span<const std::byte> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// An element of an output; float types and i32 are what cases have.
static double loadElement(format::DType dtype, std::span<const std::byte> bytes, std::size_t index) {
  switch (dtype) {
  case format::DType::f32:
    return load<float>(bytes, index);
  case format::DType::bf16:
    return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(bytes, index)} << 16);
  case format::DType::f64:
    return load<double>(bytes, index);
  case format::DType::i32:
    return load<std::int32_t>(bytes, index);
  default:
    return std::numeric_limits<double>::quiet_NaN();
  }
}

double WorstElement::error() const { return std::abs(actual - expected); }

double WorstElement::share() const {
  if (error() == 0)
    return 0;
  const double ratio = error() / tolerance;
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

Result<WorstElement> compareOutput(const std::string &name, format::DType dtype, std::span<const std::byte> actual,
                                   const TensorView &expected, const TensorView *tolerance) {
  const bool isInteger = expected.dtype == "I32";
  const std::size_t count = actual.size() / format::byteSize(dtype);
  const std::size_t expectedSize = isInteger ? sizeof(std::int32_t) : sizeof(double);
  if (expected.bytes.size() != count * expectedSize || (!isInteger && expected.dtype != "F64") ||
      (tolerance && (tolerance->dtype != "F32" || tolerance->bytes.size() != count * sizeof(float))))
    return Status(ErrorCode::corruptFile,
                  "the expected values of '" + name + "' do not fit its " + std::to_string(count) + " elements");
  WorstElement worst{name};
  for (std::size_t i = 0; i < count; ++i) {
    const double value = isInteger ? load<std::int32_t>(expected.bytes, i) : load<double>(expected.bytes, i);
    const WorstElement element{name, static_cast<std::int64_t>(i), loadElement(dtype, actual, i), value,
                               tolerance ? load<float>(tolerance->bytes, i) : 0.0};
    if (element.share() > worst.share())
      worst = element;
  }
  return worst;
}

} // namespace moe::engine
