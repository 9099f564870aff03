//===- LayerFloorTest.cpp - The least time that a layer can take -===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Bench/LayerFloor.h"

#include <gtest/gtest.h>

#include <array>

namespace moe::engine {
namespace {

// One H100 80GB: bf16, and bytes read and written by a copy.
constexpr Ceilings kH100 = {796e12, 3.0e12};
constexpr double kElementBytes = 2;

struct Row {
  const char *name;
  LayerSizes sizes;
  std::array<double, 6> microseconds;
};

constexpr std::array<std::int64_t, 6> kTokens = {1, 256, 1024, 2048, 8192, 32768};
// Forward, worked out by hand from the same definition with ceilings of three digits.
constexpr Row kRows[] = {
    {"qwen3-30b-a3b", {2048, 768, 128, 8}, {25, 413, 446, 489, 876, 3503}},
    {"olmoe", {2048, 1024, 64, 8}, {34, 280, 315, 361, 1134, 4536}},
    {"mixtral-8x7b", {4096, 14336, 8, 2}, {235, 954, 998, 1825, 7301, 29203}},
    {"gpt-oss-20b", {2880, 2880, 32, 4}, {66, 541, 572, 613, 2122, 8489}},
    {"deepseek-v3", {7168, 2048, 256, 8}, {235, 7550, 7661, 7806, 8674, 30344}},
};

TEST(LayerFloor, IsThatOfThreeKernels) {
  for (const Row &row : kRows)
    for (std::size_t i = 0; i < kTokens.size(); ++i) {
      const double floor = floorSeconds(forwardWork(row.sizes, kTokens[i], kElementBytes), kH100) * 1e6;
      EXPECT_NEAR(floor, row.microseconds[i], 0.5 + 0.003 * row.microseconds[i]) << row.name << " " << kTokens[i];
    }
}

// 6·T·K·d·n forward, twice as much again backward.
TEST(LayerFloor, CountsProducts) {
  const LayerSizes sizes = {2048, 768, 128, 8};
  const double products = 8192.0 * 8 * 2048 * 768;
  EXPECT_DOUBLE_EQ(totalFlops(forwardWork(sizes, 8192, kElementBytes)), 6 * products);
  EXPECT_DOUBLE_EQ(totalFlops(forwardBackwardWork(sizes, 8192, kElementBytes)), 18 * products);
}

// With so many tokens that only products count, the floor is three times that of the forward pass but for combines.
TEST(LayerFloor, OfGradients) {
  const LayerSizes sizes = {4096, 14336, 8, 2};
  const auto forward = forwardWork(sizes, 32768, kElementBytes), both = forwardBackwardWork(sizes, 32768, kElementBytes);
  ASSERT_EQ(forward.size(), 3u);
  ASSERT_EQ(both.size(), 8u);
  const double combine = kH100.secondsOf(forward[2].flops, forward[2].bytes);
  EXPECT_NEAR(floorSeconds(both, kH100), 3 * floorSeconds(forward, kH100) - combine, 1e-9);
  // One token: its experts' weights are read twice (once for each direction), and all gradients of weights are written.
  const double d = 4096, n = 14336;
  double bytes = 0;
  for (const KernelWork &kernel : forwardBackwardWork(sizes, 1, kElementBytes))
    bytes += kernel.bytes;
  EXPECT_NEAR(bytes, kElementBytes * (2 * 2 * 3 * d * n + 8 * 3 * d * n), 1e-3 * bytes);
}

} // namespace
} // namespace moe::engine
