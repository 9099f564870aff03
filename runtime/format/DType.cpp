//===- DType.cpp - Element types and shapes -------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/DType.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace moe::format {

bool isKnown(DType dtype) { return byteSize(dtype) != 0; }

bool isFloat(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f64;
}

std::size_t byteSize(DType dtype) {
  switch (dtype) {
  case DType::i8:
  case DType::u8:
    return 1;
  case DType::bf16:
  case DType::f16:
    return 2;
  case DType::f32:
  case DType::i32:
    return 4;
  case DType::f64:
  case DType::i64:
    return 8;
  }
  return 0;
}

std::string_view toString(DType dtype) { return isKnown(dtype) ? EnumNameDType(dtype) : "?"; }

std::string toString(DType dtype, std::span<const std::int64_t> shape) {
  std::string text(toString(dtype));
  text += '[';
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i ? "," : "") + std::to_string(shape[i]);
  return text + ']';
}

/// a * b, if it is at most 2^63 - 1.
static std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product;
  if (__builtin_mul_overflow(a, b, &product) || product > std::numeric_limits<std::int64_t>::max())
    return std::nullopt;
  return product;
}

std::optional<std::uint64_t> numElements(std::span<const std::int64_t> shape) {
  std::uint64_t count = 1;
  bool empty = false;
  for (std::int64_t dimension : shape) {
    if (dimension < 0)
      return std::nullopt;
    // An empty tensor is empty however large its other dimensions are, but those must be representable too.
    empty |= dimension == 0;
    auto product = multiply(count, dimension == 0 ? 1 : static_cast<std::uint64_t>(dimension));
    if (!product)
      return std::nullopt;
    count = *product;
  }
  return empty ? 0 : count;
}

std::optional<std::uint64_t> byteSize(DType dtype, std::span<const std::int64_t> shape) {
  auto count = numElements(shape);
  if (!count || !isKnown(dtype))
    return std::nullopt;
  return multiply(*count, byteSize(dtype));
}

/// Rounds to a binary format of `mantissaBits` explicit bits and exponents from `minExponent` (the least normal one) to
/// `maxExponent`, packed with the sign in bit 15.
static std::uint16_t encode16(double value, int mantissaBits, int minExponent, int maxExponent) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const std::uint16_t infinity = static_cast<std::uint16_t>((maxExponent - minExponent + 2) << mantissaBits);
  if (std::isnan(value))
    return sign | infinity | static_cast<std::uint16_t>(1 << (mantissaBits - 1));
  const double magnitude = std::fabs(value);
  if (magnitude == 0)
    return sign;
  if (std::isinf(magnitude))
    return sign | infinity;

  // `magnitude` = units * 2^(exponent - mantissaBits) with units rounded to an integer. Adding units to the exponent
  // field lets a carry out of the mantissa move to the next binade, and past the last one to infinity.
  const int exponent = std::max(std::ilogb(magnitude), minExponent);
  if (exponent > maxExponent)
    return sign | infinity;
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, mantissaBits - exponent)));
  const auto biased = static_cast<std::uint32_t>(exponent - minExponent) << mantissaBits;
  return sign | static_cast<std::uint16_t>(biased + units);
}

std::uint16_t encodeBF16(double value) {
  // What is normal before and after: the same by integer arithmetic, an order of magnitude faster. Models have many
  // parameters to initialise.
  const double magnitude = std::fabs(value);
  if (!(magnitude >= 0x1p-126 && magnitude < 0x1p127))
    return encode16(value, 7, -126, 127);
  constexpr int dropped = 52 - 7;
  const auto bits = std::bit_cast<std::uint64_t>(magnitude);
  const std::uint64_t half = (std::uint64_t{1} << (dropped - 1)) - 1 + (bits >> dropped & 1);
  const std::uint64_t rounded = ((bits + half) >> dropped) - (std::uint64_t{1023 - 127} << 7);
  return static_cast<std::uint16_t>((std::signbit(value) ? 0x8000 : 0) | rounded);
}
std::uint16_t encodeF16(double value) { return encode16(value, 10, -14, 15); }

template <typename T> static T saturate(double value) {
  if (std::isnan(value))
    return 0;
  // The bounds as doubles; max() of i64 rounds up to 2^63, which >= then excludes.
  if (value <= static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  if (value >= static_cast<double>(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

template <typename T> static void store(T value, std::byte *destination) {
  std::memcpy(destination, &value, sizeof(value));
}

void encode(double value, DType dtype, std::byte *destination) {
  switch (dtype) {
  case DType::f32:
    return store(static_cast<float>(value), destination);
  case DType::bf16:
    return store(encodeBF16(value), destination);
  case DType::f16:
    return store(encodeF16(value), destination);
  case DType::f64:
    return store(value, destination);
  case DType::i32:
    return store(saturate<std::int32_t>(value), destination);
  case DType::i64:
    return store(saturate<std::int64_t>(value), destination);
  case DType::i8:
    return store(saturate<std::int8_t>(value), destination);
  case DType::u8:
    return store(saturate<std::uint8_t>(value), destination);
  }
}

template <typename T> static T load(const std::byte *source) {
  T value;
  std::memcpy(&value, source, sizeof(value));
  return value;
}

static double decodeF16(std::uint16_t bits) {
  constexpr int mantissaBits = 10, minExponent = -14, infinity = 31;
  const int field = (bits & 0x7fff) >> mantissaBits, units = bits & ((1 << mantissaBits) - 1);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (field == infinity)
    return units ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  // Denormals have the smallest exponent and no leading one.
  const int implied = field ? 1 << mantissaBits : 0;
  return sign * std::ldexp(implied + units, minExponent + std::max(field - 1, 0) - mantissaBits);
}

double decodeFloat(const std::byte *source, DType dtype) {
  switch (dtype) {
  case DType::f32:
    return load<float>(source);
  case DType::bf16:
    return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(source)} << 16);
  case DType::f16:
    return decodeF16(load<std::uint16_t>(source));
  default:
    return load<double>(source);
  }
}

} // namespace moe::format
