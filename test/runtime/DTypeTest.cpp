//===- DTypeTest.cpp - Element types, sizes and rounding ---------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/DType.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

using namespace moe::format;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The value of a 16-bit float, from the definition of IEEE 754 formats.
double decode(std::uint16_t bits, int mantissaBits) {
  const int exponentBits = 15 - mantissaBits, bias = (1 << (exponentBits - 1)) - 1;
  const int exponent = bits >> mantissaBits & ((1 << exponentBits) - 1);
  const int mantissa = bits & ((1 << mantissaBits) - 1);
  double magnitude;
  if (exponent == (1 << exponentBits) - 1)
    magnitude = mantissa ? std::numeric_limits<double>::quiet_NaN() : kInfinity;
  else if (exponent == 0)
    magnitude = std::ldexp(mantissa, 1 - bias - mantissaBits);
  else
    magnitude = std::ldexp(mantissa + (1 << mantissaBits), exponent - bias - mantissaBits);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/// Every value maps to itself, every midpoint between neighbours to the even one.
void checkAllValues(std::uint16_t (*encode)(double), int mantissaBits) {
  const unsigned infinity = ((1u << (15 - mantissaBits)) - 1) << mantissaBits;
  for (unsigned bits = 0; bits <= infinity; ++bits) {
    const double value = decode(static_cast<std::uint16_t>(bits), mantissaBits);
    ASSERT_EQ(encode(value), bits);
    ASSERT_EQ(encode(-value), bits | 0x8000);
    if (bits + 1 >= infinity)
      continue;
    const double next = decode(static_cast<std::uint16_t>(bits + 1), mantissaBits), middle = (value + next) / 2;
    ASSERT_EQ(encode(middle), bits + (bits & 1)) << bits;
    ASSERT_EQ(encode(std::nextafter(middle, 0.0)), bits) << bits;
    ASSERT_EQ(encode(std::nextafter(middle, kInfinity)), bits + 1) << bits;
  }
  const double largest = decode(static_cast<std::uint16_t>(infinity - 1), mantissaBits);
  const double unit = largest - decode(static_cast<std::uint16_t>(infinity - 2), mantissaBits);
  EXPECT_EQ(encode(largest + unit / 2), infinity);
  EXPECT_EQ(encode(std::nextafter(largest + unit / 2, 0.0)), infinity - 1);
  EXPECT_EQ(encode(std::numeric_limits<double>::max()), infinity);
  EXPECT_EQ(encode(std::numeric_limits<double>::denorm_min()), 0u);
  EXPECT_TRUE(std::isnan(decode(encode(std::numeric_limits<double>::quiet_NaN()), mantissaBits)));
}

TEST(DType, BF16RoundsToNearestEven) { checkAllValues(encodeBF16, 7); }
TEST(DType, F16RoundsToNearestEven) { checkAllValues(encodeF16, 10); }

// What was stored reads back as it was, whatever its bits.
TEST(DType, DecodesAllHalves) {
  for (auto [dtype, mantissaBits] : {std::pair(DType::bf16, 7), std::pair(DType::f16, 10)})
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
      const auto stored = static_cast<std::uint16_t>(bits);
      const double value = decodeFloat(reinterpret_cast<const std::byte *>(&stored), dtype);
      const double wanted = decode(stored, mantissaBits);
      ASSERT_TRUE(std::isnan(wanted) ? std::isnan(value) : value == wanted && std::signbit(value) == std::signbit(wanted))
          << bits;
    }
}

TEST(DType, DecodesWholeFloats) {
  const float single = 0.1f;
  const double twice = 0.1;
  EXPECT_EQ(decodeFloat(reinterpret_cast<const std::byte *>(&single), DType::f32), 0.1f);
  EXPECT_EQ(decodeFloat(reinterpret_cast<const std::byte *>(&twice), DType::f64), 0.1);
}

template <typename T> T encodedAs(double value, DType dtype) {
  EXPECT_EQ(byteSize(dtype), sizeof(T));
  std::byte bytes[sizeof(T)];
  encode(value, dtype, bytes);
  T result;
  std::memcpy(&result, bytes, sizeof(T));
  return result;
}

TEST(DType, EncodesEveryType) {
  EXPECT_EQ(encodedAs<float>(0.1, DType::f32), 0.1f);
  EXPECT_EQ(encodedAs<double>(0.1, DType::f64), 0.1);
  EXPECT_EQ(encodedAs<std::uint16_t>(1.0, DType::bf16), 0x3f80);
  EXPECT_EQ(encodedAs<std::uint16_t>(1.0, DType::f16), 0x3c00);
  EXPECT_EQ(encodedAs<std::int32_t>(-7.9, DType::i32), -7);
  EXPECT_EQ(encodedAs<std::int64_t>(1e30, DType::i64), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(encodedAs<std::int8_t>(-1000, DType::i8), -128);
  EXPECT_EQ(encodedAs<std::uint8_t>(-1, DType::u8), 0);
}

TEST(DType, Sizes) {
  const std::int64_t shape[] = {8, 128}, empty[] = {0, 1 << 20}, negative[] = {2, -1};
  const std::int64_t huge[] = {std::int64_t{1} << 31, std::int64_t{1} << 31};
  EXPECT_EQ(byteSize(DType::f32, shape), 4096u);
  EXPECT_EQ(byteSize(DType::f32, {}), 4u);
  EXPECT_EQ(byteSize(DType::f32, empty), 0u);
  EXPECT_EQ(byteSize(DType::f32, negative), std::nullopt);
  EXPECT_EQ(byteSize(DType::i8, huge), std::uint64_t{1} << 62);
  EXPECT_EQ(byteSize(DType::bf16, huge), std::nullopt);
  EXPECT_EQ(byteSize(static_cast<DType>(77), shape), std::nullopt);
  EXPECT_EQ(toString(DType::bf16, shape), "bf16[8,128]");
  EXPECT_EQ(toString(DType::i32, {}), "i32[]");
}

} // namespace
