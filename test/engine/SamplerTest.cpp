//===- SamplerTest.cpp - Choosing the next token --------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Generation/Sampler.h"
#include "test/engine/EngineTest.h"

#include <cmath>
#include <limits>
#include <set>
#include <vector>

namespace moe::engine {
namespace {

/// Tokens drawn at positions 0..n-1.
std::vector<std::int32_t> draw(const std::vector<float> &logits, const SamplingOptions &options, int n) {
  std::vector<std::int32_t> tokens;
  for (int position = 0; position < n; ++position)
    tokens.push_back(*sampleToken(logits, options, position));
  return tokens;
}

std::set<std::int32_t> support(const std::vector<float> &logits, const SamplingOptions &options) {
  const std::vector<std::int32_t> tokens = draw(logits, options, 2000);
  return {tokens.begin(), tokens.end()};
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(*sampleToken(std::vector<float>{1, 3, 3, 2}, {.temperature = 0}, 0), 1);
}

TEST(Sampler, DependsOnSeedAndPosition) {
  const std::vector<float> logits(50, 0.0f);
  EXPECT_EQ(draw(logits, {.seed = 1}, 40), draw(logits, {.seed = 1}, 40));
  EXPECT_NE(draw(logits, {.seed = 1}, 40), draw(logits, {.seed = 2}, 40));
}

TEST(Sampler, FollowsTheProbabilities) {
  // Probabilities 1/7, 2/7, 4/7. With n draws the standard deviation of a frequency is below 0.5/sqrt(n); the bound is
  // five of them.
  const int n = 20000;
  const std::vector<float> logits = {0.0f, std::log(2.0f), std::log(4.0f)};
  std::vector<double> counts(3);
  for (std::int32_t token : draw(logits, {}, n))
    counts[token] += 1.0 / n;
  for (int token = 0; token < 3; ++token)
    EXPECT_NEAR(counts[token], (1 << token) / 7.0, 2.5 / std::sqrt(n));
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  const std::vector<float> logits = {0, 1, 1, 1, 0.5f};
  EXPECT_EQ(support(logits, {.topK = 2}), (std::set<std::int32_t>{1, 2}));
  EXPECT_EQ(support(logits, {.topK = 1}), (std::set<std::int32_t>{1}));
  EXPECT_EQ(support(logits, {.topK = 9}).size(), 5u);
}

TEST(Sampler, TopPKeepsTheFewestThatSuffice) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  EXPECT_EQ(support(logits, {.topP = 0.4}), (std::set<std::int32_t>{0}));
  EXPECT_EQ(support(logits, {.topP = 0.7}), (std::set<std::int32_t>{0, 1}));
  EXPECT_EQ(support(logits, {.topP = 0.9}), (std::set<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(support(logits, {.topP = 0}), (std::set<std::int32_t>{0}));
}

TEST(Sampler, LowTemperatureIsAlmostGreedy) {
  EXPECT_EQ(support({0, 1, 0.9f}, {.temperature = 0.001}), (std::set<std::int32_t>{1}));
}

TEST(Sampler, InfinitiesAndNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(support({-infinity, 0, -infinity}, {}), (std::set<std::int32_t>{1}));
  EXPECT_EQ(support({0, infinity, 0}, {}), (std::set<std::int32_t>{1}));
  EXPECT_FAILS(sampleToken(std::vector<float>{0, NAN}, {}, 3), ErrorCode::numerics,
               "position 3: the logit of token 1 is NaN");
}

} // namespace
} // namespace moe::engine
