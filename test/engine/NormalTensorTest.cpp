//===- NormalTensorTest.cpp - Random tensors on all cores --------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Bench/NormalTensor.h"

#include "runtime/format/DType.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace moe::engine {
namespace {

std::vector<double> draw(std::size_t count, format::DType dtype, double stddev, std::string_view name) {
  const std::size_t size = format::byteSize(dtype);
  std::vector<std::byte> bytes(count * size);
  drawNormal(bytes, dtype, stddev, name);
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i)
    values.push_back(format::decodeFloat(bytes.data() + i * size, dtype));
  return values;
}

// Moments within five standard errors, and the share within one and three standard deviations.
TEST(NormalTensor, IsNormal) {
  constexpr std::size_t count = 1 << 20;
  const double standardError = 1 / std::sqrt(double{count});
  for (format::DType dtype : {format::DType::f32, format::DType::bf16}) {
    const std::vector<double> values = draw(count, dtype, 0.5, "weights");
    double sum = 0, squares = 0, fourth = 0, within1 = 0, within3 = 0;
    for (double value : values) {
      const double z = value / 0.5;
      sum += z;
      squares += z * z;
      fourth += z * z * z * z;
      within1 += std::fabs(z) < 1;
      within3 += std::fabs(z) < 3;
    }
    EXPECT_NEAR(sum / count, 0, 5 * standardError);
    EXPECT_NEAR(squares / count, 1, 5 * std::sqrt(2.0) * standardError + 1e-3); // Tails end at 4.2.
    EXPECT_NEAR(fourth / count, 3, 5 * std::sqrt(96.0) * standardError + 2e-2);
    // A unit in the last place of bf16 at 1 is 2^-7, whose half the boundary may move; the density there is 0.24.
    EXPECT_NEAR(within1 / count, 0.6827, 5 * standardError + 0.24 * 0x1p-7);
    EXPECT_NEAR(within3 / count, 0.9973, 5 * standardError);
  }
}

// The same whatever the length, other values under another name, and neighbours have nothing to do with one another.
TEST(NormalTensor, DependsOnNameAndIndex) {
  const std::vector<double> all = draw(100'003, format::DType::f32, 1, "x");
  const std::vector<double> part = draw(77, format::DType::f32, 1, "x");
  EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin()));
  const std::vector<double> other = draw(77, format::DType::f32, 1, "y");
  EXPECT_NE(part, other);
  EXPECT_GT(std::set<double>(all.begin(), all.end()).size(), 50'000u); // Of 65536, 1 - exp(-1.53) are expected.
  double product = 0;
  for (std::size_t i = 1; i < all.size(); ++i)
    product += all[i] * all[i - 1];
  EXPECT_LT(std::fabs(product / static_cast<double>(all.size())), 5 / std::sqrt(1e5));
}

} // namespace
} // namespace moe::engine
