//===- RoutingTest.cpp - Routing kernels against plain loops ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelTest.h"

#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <numeric>
#include <span>

using namespace moe::test;

namespace {

enum Scoring { softmax, sigmoid, identity };
constexpr const char *kScoringNames[] = {"softmax", "sigmoid", "identity"};

struct RouteCase {
  int64_t tokens, experts, topK;
  Scoring scoring;
  bool hasBias, normalizes;
  double factor;
  const char *target = "cpu:host";
  const char *config = "#moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 64, block_m = 8, block_n = 64>";
};

constexpr const char *kEightLanes = "#moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 3, block_n = 32>";

const RouteCase kCases[] = {
    {1, 1, 1, softmax, false, false, 1.0},
    {20, 8, 2, softmax, false, true, 1.0},
    {20, 8, 2, sigmoid, true, true, 2.5},
    {13, 5, 5, softmax, true, false, 1.0},
    {9, 64, 8, sigmoid, true, true, 1.0},
    {7, 37, 6, softmax, false, false, 0.5},
    {3, 256, 8, sigmoid, true, true, 2.5},
    {20, 8, 2, softmax, true, true, 1.0, "cpu:x86-64-v3", kEightLanes},
    {11, 21, 4, sigmoid, false, true, 1.0, "cpu:x86-64-v3", kEightLanes},
    {13, 21, 4, identity, true, false, 1.5},
};

/// The shapes of `cases` for GPUs.
std::vector<RouteCase> forCuda(std::span<const RouteCase> shapes) {
  std::vector<RouteCase> cases(shapes.begin(), shapes.end());
  for (RouteCase &c : cases) {
    c.target = "cuda:sm_80";
    c.config = "#moe_kernel.cuda_config<threads = 128, tile_m = 1, tile_n = 1, tile_k = 1, stages = 1>";
  }
  return cases;
}

std::string nameOf(const testing::TestParamInfo<RouteCase> &info) {
  return llvm::formatv("{0}_{1}of{2}", info.index, info.param.topK, info.param.experts);
}

struct RouteTest : testing::TestWithParam<RouteCase> {
  const RouteCase &c = GetParam();
  std::string scoresType = llvm::formatv("tensor<{0}x{1}xf32>", c.tokens, c.experts);
  std::string biasType = llvm::formatv("tensor<{0}xf32>", c.experts);
  std::string weightsType = llvm::formatv("tensor<{0}x{1}xf32>", c.tokens, c.topK);
  std::string indicesType = llvm::formatv("tensor<{0}x{1}xi32>", c.tokens, c.topK);

  void SetUp() override {
    if (!CompiledKernel::canRun(c.target))
      GTEST_SKIP() << "this machine cannot run " << c.target;
  }
  std::string attributes() const {
    return llvm::formatv(
        "scoring = #moe_kernel.scoring<{0}>, norm_topk_prob = {1}, routed_scaling_factor = {2:e6} : f64",
        kScoringNames[c.scoring], c.normalizes ? "true" : "false", c.factor);
  }
  std::unique_ptr<CompiledKernel> compileForward() const {
    std::string argument = c.hasBias ? ", %b: " + biasType : "", type = c.hasBias ? ", " + biasType : "";
    return CompiledKernel::compile(llvm::formatv(R"mlir(
      moe_kernel.kernel @route(%x: {0}{1}) -> ({0}, {2}, {3}) attributes {{config = {4}} {{
        %r:3 = moe_kernel.route %x{5} {{top_k = {6} : i64, {7}} : ({0}{8}) -> ({0}, {2}, {3})
        moe_kernel.return %r#0, %r#1, %r#2 : {0}, {2}, {3}
      })mlir",
                                                 scoresType, argument, weightsType, indicesType, c.config,
                                                 c.hasBias ? ", %b" : "", c.topK, attributes(), type)
                                       .str(),
                                   c.target);
  }
};

TEST_P(RouteTest, Forward) {
  auto kernel = compileForward();
  ASSERT_TRUE(kernel);
  auto logits = randomBuffer(c.tokens * c.experts, 1), bias = randomBuffer(c.experts, 2);
  for (float &logit : logits)
    logit *= 8;
  // Equal logits and biases are ties, which the lower index wins.
  if (c.experts > 2) {
    bias[1] = bias[2];
    for (int64_t t = 0; t < c.tokens; t += 2)
      logits[t * c.experts + 2] = logits[t * c.experts + 1] = 8;
  }
  // So does a tie of experts in the same lane of different vectors.
  if (c.experts > 17) {
    bias[17] = bias[1];
    for (int64_t t = 0; t < c.tokens; ++t)
      logits[t * c.experts + 17] = logits[t * c.experts + 1] = 8;
  }
  auto scores = poisonedBuffer(c.tokens * c.experts), weights = poisonedBuffer(c.tokens * c.topK);
  Buffer<int32_t> indices(c.tokens * c.topK, -1);
  KernelBuffers buffers = {logits};
  if (c.hasBias)
    buffers.push_back(bias);
  buffers.insert(buffers.end(), {scores, weights, indices});
  runInAllWays(*kernel, buffers, scores, weights, indices);
  EXPECT_TRUE(indices.isIntact());

  std::vector<double> expectedScores, expectedWeights, scoresBound, weightsBound;
  for (int64_t t = 0; t < c.tokens; ++t) {
    const float *row = &logits[t * c.experts];
    double sum = 0, largest = *std::max_element(row, row + c.experts);
    for (int64_t e = 0; e < c.experts; ++e)
      sum += std::exp(row[e] - largest);
    for (int64_t e = 0; e < c.experts; ++e) {
      expectedScores.push_back(c.scoring == softmax   ? std::exp(row[e] - largest) / sum
                               : c.scoring == sigmoid ? 1 / (1 + std::exp(-double(row[e])))
                                                      : row[e]);
      // The difference of logits below 16 is rounded, exp amplifies that; then E additions and a division.
      scoresBound.push_back(std::abs(expectedScores.back()) * (16 + 4 + c.experts + 4) * kEpsilon);
    }
    // The choice is by the scores as rounded, so that ties and near ties are decided as the kernel sees them.
    std::vector<int32_t> order(c.experts);
    std::iota(order.begin(), order.end(), 0);
    auto key = [&](int32_t e) { return scores[t * c.experts + e] + (c.hasBias ? bias[e] : 0.0f); };
    std::sort(order.begin(), order.end(),
              [&](int32_t a, int32_t b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
    double chosen = 0;
    for (int64_t k = 0; k < c.topK; ++k) {
      EXPECT_EQ(indices[t * c.topK + k], order[k]) << "token " << t << ", choice " << k;
      chosen += scores[t * c.experts + order[k]];
    }
    for (int64_t k = 0; k < c.topK; ++k) {
      double weight = scores[t * c.experts + order[k]] * c.factor;
      expectedWeights.push_back(c.normalizes ? weight / (chosen + 1e-20) : weight);
      weightsBound.push_back(std::abs(expectedWeights.back()) * (c.topK + 4) * kEpsilon);
    }
  }
  expectWithin(scores, expectedScores, scoresBound, "scores");
  expectWithin(weights, expectedWeights, weightsBound, "weights");
}

TEST_P(RouteTest, InvalidLogitsStayInRange) {
  auto kernel = compileForward();
  ASSERT_TRUE(kernel);
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    Buffer<float> logits(c.tokens * c.experts, bad), bias(c.experts);
    auto scores = poisonedBuffer(c.tokens * c.experts), weights = poisonedBuffer(c.tokens * c.topK);
    Buffer<int32_t> indices(c.tokens * c.topK, -1);
    KernelBuffers buffers = {logits};
    if (c.hasBias)
      buffers.push_back(bias);
    buffers.insert(buffers.end(), {scores, weights, indices});
    kernel->run(buffers);
    for (int32_t index : indices)
      EXPECT_TRUE(0 <= index && index < c.experts) << index << " for logits of " << bad;
  }
}

TEST_P(RouteTest, Backward) {
  for (bool hasScoresGradient : {false, true}) {
    std::string argument = hasScoresGradient ? ", %sg: " + scoresType : "";
    auto kernel = CompiledKernel::compile(llvm::formatv(R"mlir(
      moe_kernel.kernel @route_backward(%s: {0}, %i: {1}, %wg: {2}{3}) -> {0}
          attributes {{config = {4}} {{
        %r = moe_kernel.route_backward %s, %i, %wg{5} {{{6}} : ({0}, {1}, {2}{7}) -> {0}
        moe_kernel.return %r : {0}
      })mlir",
                                                        scoresType, indicesType, weightsType, argument, c.config,
                                                        hasScoresGradient ? ", %sg" : "", attributes(),
                                                        hasScoresGradient ? ", " + scoresType : "")
                                              .str(),
                                          c.target);
    ASSERT_TRUE(kernel);
    auto scores = randomBuffer(c.tokens * c.experts, 1), weightsGradient = randomBuffer(c.tokens * c.topK, 2);
    auto scoresGradient = randomBuffer(c.tokens * c.experts, 3);
    for (float &score : scores)
      score = 0.1f + 0.8f * std::abs(score);
    Buffer<int32_t> indices(c.tokens * c.topK);
    for (int64_t t = 0; t < c.tokens; ++t)
      for (int64_t k = 0; k < c.topK; ++k)
        indices[t * c.topK + k] = (t + k) % c.experts;
    auto result = poisonedBuffer(c.tokens * c.experts);
    KernelBuffers buffers = {scores, indices, weightsGradient};
    if (hasScoresGradient)
      buffers.push_back(scoresGradient);
    buffers.push_back(result);
    runInAllWays(*kernel, buffers, result);

    std::vector<double> expected, bound;
    for (int64_t t = 0; t < c.tokens; ++t) {
      std::vector<double> gradient(c.experts), magnitude(c.experts);
      for (int64_t e = 0; e < c.experts; ++e)
        magnitude[e] = std::abs(gradient[e] = hasScoresGradient ? scoresGradient[t * c.experts + e] : 0.0);
      auto score = [&](int64_t e) { return double(scores[t * c.experts + e]); };
      double sum = 1e-20, weighted = 0, magnitudes = 0;
      for (int64_t k = 0; k < c.topK; ++k) {
        int64_t e = indices[t * c.topK + k];
        sum += score(e);
        weighted += score(e) * weightsGradient[t * c.topK + k];
        magnitudes += score(e) * std::abs(weightsGradient[t * c.topK + k]);
      }
      for (int64_t k = 0; k < c.topK; ++k) {
        int64_t e = indices[t * c.topK + k];
        double g = weightsGradient[t * c.topK + k];
        gradient[e] += c.factor * (c.normalizes ? (g - weighted / sum) / sum : g);
        magnitude[e] += c.factor * (c.normalizes ? (std::abs(g) + magnitudes / sum) / sum : std::abs(g));
      }
      double inner = 0, innerMagnitude = 0;
      for (int64_t e = 0; e < c.experts; ++e) {
        inner += gradient[e] * score(e);
        innerMagnitude += magnitude[e] * score(e);
      }
      for (int64_t e = 0; e < c.experts; ++e) {
        expected.push_back(c.scoring == softmax   ? score(e) * (gradient[e] - inner)
                           : c.scoring == sigmoid ? gradient[e] * score(e) * (1 - score(e))
                                                  : gradient[e]);
        double size = (c.scoring == identity ? 1 : score(e)) *
                      (magnitude[e] + (c.scoring == softmax ? innerMagnitude : 0));
        bound.push_back((size + 1e-30) * (2 * c.topK + c.experts + 8) * kEpsilon);
      }
    }
    expectWithin(result, expected, bound, "logits_gradient");
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RouteTest, testing::ValuesIn(kCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Cuda, RouteTest, testing::ValuesIn(forCuda(kCases)), nameOf);

struct PlanTest : testing::TestWithParam<const char *> {
  void SetUp() override {
    if (!CompiledKernel::canRun(GetParam()))
      GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
};

void testPlan(int64_t tokens, int64_t topK, int64_t experts, const std::vector<int32_t> &choice) {
  std::string indicesType = llvm::formatv("tensor<{0}x{1}xi32>", tokens, topK);
  std::string source = llvm::formatv(R"mlir(
    moe_kernel.kernel @plan(%i: {0}) -> (tensor<{1}xi32>, tensor<{2}xi32>, {0}) {{
      %r:3 = moe_kernel.plan %i : ({0}) -> (tensor<{1}xi32>, tensor<{2}xi32>, {0})
      moe_kernel.return %r#0, %r#1, %r#2 : tensor<{1}xi32>, tensor<{2}xi32>, {0}
    })mlir",
                                     indicesType, experts + 1, tokens * topK);
  auto kernel = CompiledKernel::compile(source, PlanTest::GetParam());
  ASSERT_TRUE(kernel);
  int64_t entries = tokens * topK;
  Buffer<int32_t> indices(choice), offsets(experts + 1, -1), permutation(entries, -1), inverse(entries, -1);
  kernel->run({indices, offsets, permutation, inverse});

  std::vector<int32_t> expected(entries);
  std::iota(expected.begin(), expected.end(), 0);
  std::sort(expected.begin(), expected.end(),
            [&](int32_t a, int32_t b) { return std::pair(choice[a], a) < std::pair(choice[b], b); });
  EXPECT_EQ(permutation.values(), expected);
  for (int64_t row = 0; row < entries; ++row)
    ASSERT_EQ(inverse[expected[row]], row);
  for (int64_t e = 0; e <= experts; ++e)
    EXPECT_EQ(offsets[e], std::count_if(choice.begin(), choice.end(), [&](int32_t c) { return c < e; })) << e;
  EXPECT_TRUE(offsets.isIntact() && permutation.isIntact() && inverse.isIntact());
}

TEST_P(PlanTest, SortsStably) {
  std::mt19937 generator(1);
  std::vector<int32_t> choice(300 * 2);
  for (int32_t &expert : choice)
    expert = generator() % 8;
  testPlan(300, 2, 8, choice);
}

TEST_P(PlanTest, OneExpertTakesAll) { testPlan(17, 1, 5, std::vector<int32_t>(17, 3)); }
TEST_P(PlanTest, OneEntry) { testPlan(1, 1, 1, {0}); }

TEST_P(PlanTest, ManyExperts) {
  std::mt19937 generator(2);
  std::vector<int32_t> choice(5000 * 8);
  for (int32_t &expert : choice)
    expert = generator() % 700; // Leaves the last ones empty.
  testPlan(5000, 8, 777, choice);
}

INSTANTIATE_TEST_SUITE_P(Targets, PlanTest, testing::Values("cpu:host", "cuda:sm_80"));

} // namespace
