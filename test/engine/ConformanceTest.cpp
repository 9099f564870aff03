//===- ConformanceTest.cpp - Comparing outputs under tolerances -----------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Conformance/Compare.h"
#include "test/engine/EngineTest.h"

#include <array>
#include <cmath>
#include <limits>

namespace moe::engine {
namespace {

template <typename T> std::span<const std::byte> bytesOf(const std::vector<T> &values) {
  return std::as_bytes(std::span(values));
}

TensorView view(const char *dtype, std::span<const std::byte> bytes) { return {dtype, {}, bytes}; }

/// The share of its tolerance that the worst of some float32 elements uses.
double shareOf(const std::vector<float> &actual, const std::vector<double> &expected,
               const std::vector<float> &tolerances) {
  const TensorView tolerance = view("F32", bytesOf(tolerances));
  Result<WorstElement> worst =
      compareOutput("y", format::DType::f32, bytesOf(actual), view("F64", bytesOf(expected)), &tolerance);
  EXPECT_TRUE(worst.ok()) << worst.status().message();
  return worst ? worst->share() : -1;
}

TEST(Compare, EachElementHasItsTolerance) {
  EXPECT_EQ(shareOf({1, 2}, {1, 2}, {0, 0}), 0);
  EXPECT_EQ(shareOf({1.5f, 2.5f}, {1, 2}, {1, 2}), 0.5);
  EXPECT_EQ(shareOf({1, 2.5f}, {1, 2}, {0, 0.25f}), 2);
}

TEST(Compare, WhatMustBeEqualIs) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(shareOf({std::nextafter(1.0f, 2.0f)}, {1}, {0}), infinity);
  EXPECT_EQ(shareOf({std::nanf("")}, {1}, {1e30f}), infinity);
  const std::vector<std::int32_t> actual = {7, -1}, expected = {7, 3};
  Result<WorstElement> worst =
      compareOutput("i", format::DType::i32, bytesOf(actual), view("I32", bytesOf(expected)), nullptr);
  ASSERT_TRUE(worst.ok());
  EXPECT_EQ(worst->share(), infinity);
  EXPECT_EQ(worst->index, 1);
  EXPECT_EQ(worst->actual, -1);
}

TEST(Compare, BF16IsTheUpperHalfOfFloat32) {
  const std::vector<std::uint16_t> actual = {0x3f80, 0xc040}; // 1, -3
  const std::vector<double> expected = {1, -2};
  const std::vector<float> tolerances = {0, 4};
  const TensorView tolerance = view("F32", bytesOf(tolerances));
  Result<WorstElement> worst =
      compareOutput("y", format::DType::bf16, bytesOf(actual), view("F64", bytesOf(expected)), &tolerance);
  ASSERT_TRUE(worst.ok());
  EXPECT_EQ(worst->share(), 0.25);
}

TEST(Compare, SizesThatDoNotFitAreACorruptFile) {
  const std::vector<float> actual = {1, 2};
  const std::vector<double> expected = {1};
  Result<WorstElement> worst =
      compareOutput("y", format::DType::f32, bytesOf(actual), view("F64", bytesOf(expected)), nullptr);
  ASSERT_FALSE(worst.ok());
  EXPECT_EQ(worst.status().code(), ErrorCode::corruptFile);
}

} // namespace
} // namespace moe::engine
