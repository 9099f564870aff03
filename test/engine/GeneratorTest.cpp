//===- GeneratorTest.cpp - Prefill in chunks, then one token after the other -===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Generation/Generator.h"
#include "test/engine/EngineTest.h"
#include "test/engine/FakeModel.h"

#include <numeric>

namespace moe::engine {
namespace {

using test::FakeSession;
using test::FakeShape;

/// What the fake model continues `tokens` with.
std::vector<std::int32_t> expected(std::vector<std::int32_t> tokens, std::size_t count) {
  std::vector<std::int32_t> continuation;
  while (continuation.size() < count) {
    tokens.push_back(test::fakeNextToken(std::accumulate(tokens.begin(), tokens.end(), 0)));
    continuation.push_back(tokens.back());
  }
  return continuation;
}

class GeneratorTest : public testing::Test {
protected:
  Result<Generation> generate(
      const std::vector<std::int32_t> &prompt, std::int64_t maxTokens,
      const Generator::OnToken &onToken = [](std::int32_t) { return true; }) {
    Result<ModelInfo> model = readModelInfo(session.artifact());
    EXPECT_OK(model);
    Result<Generator> generator = Generator::create(session, *model);
    EXPECT_OK(generator);
    return generator->generate(prompt, maxTokens, {.temperature = 0}, onToken);
  }

  FakeSession session; // Prompts in chunks of 4, a context of 10, a batch of 2.
};

// Chunks that are full, padded, and moved back at the end of the cache.
TEST_F(GeneratorTest, PromptsOfEveryLength) {
  for (std::size_t length = 1; length <= 10; ++length) {
    std::vector<std::int32_t> prompt(length);
    std::iota(prompt.begin(), prompt.end(), 1);
    const std::size_t room = 10 - length + 1;
    Result<Generation> generation = generate(prompt, 100);
    ASSERT_OK(generation);
    EXPECT_EQ(generation->tokens, expected(prompt, room)) << "prompt of " << length;
    EXPECT_EQ(generation->end, GenerationEnd::contextFull);
  }
}

TEST_F(GeneratorTest, StopsAfterMaxTokens) {
  Result<Generation> generation = generate({1, 2, 3}, 2);
  ASSERT_OK(generation);
  EXPECT_EQ(generation->tokens, expected({1, 2, 3}, 2));
  EXPECT_EQ(generation->end, GenerationEnd::maxTokens);
  EXPECT_TRUE(generate({1}, 0)->tokens.empty());
}

TEST_F(GeneratorTest, StopsAtTheEndOfTheDocument) {
  Result<Generation> generation = generate({100, 50, 50}, 5);
  ASSERT_OK(generation);
  EXPECT_TRUE(generation->tokens.empty());
  EXPECT_EQ(generation->end, GenerationEnd::endOfDocument);
}

TEST_F(GeneratorTest, StopsWhenTheReaderGoesAway) {
  std::vector<std::int32_t> seen;
  Result<Generation> generation = generate({1, 2}, 8, [&](std::int32_t token) {
    seen.push_back(token);
    return seen.size() < 3;
  });
  ASSERT_OK(generation);
  EXPECT_EQ(seen, expected({1, 2}, 3));
  EXPECT_EQ(generation->end, GenerationEnd::cancelled);
}

// The caches of one generation do not leak into the next.
TEST_F(GeneratorTest, StartsAfresh) {
  ASSERT_OK(generate({9, 9, 9, 9, 9}, 100));
  EXPECT_EQ(generate({1}, 3)->tokens, expected({1}, 3));
}

TEST_F(GeneratorTest, RefusesPromptsThatDoNotFit) {
  EXPECT_FAILS(generate(std::vector<std::int32_t>(11, 1), 1), ErrorCode::doesNotFit, "context of 10");
  EXPECT_FAILS(generate({}, 1), ErrorCode::usage, "empty");
}

TEST(Generation, EndInWords) {
  EXPECT_EQ(describeEnd(GenerationEnd::contextFull, {.contextLength = 512}, 7),
            "stopped after 7 tokens: the context of 512 tokens is full; for more, raise context_length in moe.serving "
            "and compile again");
}

} // namespace
} // namespace moe::engine
