//===- SessionTest.cpp - Sessions and entry points on the CPU ----------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestArtifact.h"

#include <cmath>
#include <numeric>

using namespace moe;
using namespace moe::test;

namespace {

constexpr std::size_t kCount = kElements;

std::vector<float> ramp() {
  std::vector<float> values(kCount);
  std::iota(values.begin(), values.end(), -100.0f);
  return values;
}

TEST(Session, RunsAProgram) {
  auto session = makeSession(exampleArtifact().build(), 2);
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(3).ok());
  EntryPoint *step = session->find("step");
  ASSERT_NE(step, nullptr);
  std::vector<float> weight = readFloats(*session, "weight", kCount);
  const std::vector<float> x = ramp();
  std::vector<float> y(kCount);

  EXPECT_OK(step->setInput("x", x));
  // The input keeps its value; the parameter is updated in place.
  for (int repetition = 0; repetition < 3; ++repetition) {
    EXPECT_OK(step->run());
    EXPECT_OK(step->getOutput("y", y));
    for (std::size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(y[i], 2 * (x[i] + weight[i])) << i;
      weight[i] += 1;
    }
  }
  EXPECT_EQ(readFloats(*session, "weight", kCount), weight);
}

TEST(Session, VariablesAreSharedByEntryPoints) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  std::vector<float> copied(kCount, -1.0f);
  EntryPoint *other = session->find("other");
  EXPECT_OK(other->getOutput("weight", copied));
  EXPECT_EQ(copied, std::vector<float>(kCount, 0.0f)) << "zeros before the first run";

  ASSERT_TRUE(session->initialize(3).ok());
  EXPECT_OK(session->find("step")->run());
  EXPECT_OK(other->run());
  EXPECT_OK(other->getOutput("weight", copied));
  EXPECT_EQ(copied, readFloats(*session, "weight", kCount));
}

TEST(Session, PoisonShowsWhatARunDoesNotCompute) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(3).ok());
  EntryPoint *step = session->find("step");
  std::vector<float> y(kCount);
  EXPECT_OK(step->setInput("x", ramp()));
  EXPECT_OK(step->poison());
  EXPECT_OK(step->getOutput("y", y));
  for (float value : y)
    EXPECT_TRUE(std::isnan(value));
  // The input is not poisoned.
  const std::vector<float> weight = readFloats(*session, "weight", kCount);
  EXPECT_OK(step->run());
  EXPECT_OK(step->getOutput("y", y));
  EXPECT_EQ(y[0], 2 * (ramp()[0] + weight[0]));
}

TEST(Session, CachesAreResetAlone) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->initialize(3).ok());
  ASSERT_TRUE(session->find("other")->run().ok());
  const std::vector<float> weight = readFloats(*session, "weight", kCount);
  EXPECT_NE(readFloats(*session, "cache", 64), std::vector<float>(64, 0.0f));
  EXPECT_OK(session->resetCaches());
  EXPECT_EQ(readFloats(*session, "cache", 64), std::vector<float>(64, 0.0f));
  EXPECT_EQ(readFloats(*session, "weight", kCount), weight);
}

TEST(Session, ThreadCountDoesNotChangeBits) {
  constexpr std::int64_t rows = 777;
  ArtifactBuilder builder;
  const unsigned x =
      builder.variable("x", format::VariableRole::parameter, {rows, 64}, format::InitializerKind::normal, 1.0);
  const unsigned sums = builder.kernel("test_row_sums", rows, 1, 1);
  format::EntryPointT &entryPoint = builder.entryPoint("sum");
  ArtifactBuilder::output(entryPoint, "y", {rows});
  ArtifactBuilder::launch(entryPoint, sums,
                          {BufferRef(Space::variable, x, 0, rows * 64 * 4), BufferRef(Space::output, 0, 0, rows * 4)});
  auto artifact = builder.build();
  ASSERT_NE(artifact, nullptr);

  std::vector<float> expected;
  for (int threads = 1; threads <= 4; ++threads) {
    auto session = makeSession(artifact, threads);
    ASSERT_NE(session, nullptr);
    ASSERT_TRUE(session->initialize(5).ok());
    for (int repetition = 0; repetition < 50; ++repetition) {
      std::vector<float> y(rows);
      ASSERT_TRUE(session->find("sum")->run().ok());
      ASSERT_TRUE(session->find("sum")->getOutput("y", y).ok());
      if (expected.empty())
        expected = y;
      ASSERT_EQ(y, expected) << threads << " threads";
    }
  }
  EXPECT_NE(expected[0], expected[1]);
}

TEST(Session, MemoryUse) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  const MemoryUse use = session->memoryUse();
  EXPECT_EQ(use.parameters, 4096u); // 4000 bytes, rounded up to a multiple of 256.
  EXPECT_EQ(use.optimizer, 4096u);
  EXPECT_EQ(use.buffers, 256u); // 28 bytes.
  EXPECT_EQ(use.caches, 256u);
  EXPECT_EQ(use.workspace, 4128u); // The larger of 4128 and 0, not rounded.
  EXPECT_EQ(use.ports, 4096u * 3 + 256);
  EXPECT_EQ(use.total(), 4096u * 5 + 256 * 3 + 4128);
}

TEST(Session, WrongNamesAndSizesAreUsageErrors) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  EntryPoint *step = session->find("step");
  std::vector<float> tooMany(kCount + 1), right(kCount);
  EXPECT_ERROR(step->setInput("x", tooMany), ErrorCode::usage, "'x' is f32[10,100] of 4000 bytes, not 4004");
  EXPECT_ERROR(step->getOutput("y", tooMany), ErrorCode::usage, "'y' is f32[10,100] of 4000 bytes, not 4004");
  EXPECT_ERROR(step->setInput("y", right), ErrorCode::usage, "input 'y' does not exist; there are: x");
  EXPECT_ERROR(step->getOutput("x", right), ErrorCode::usage, "output 'x' does not exist; there are: y");
  EXPECT_ERROR(session->find("other")->setInput("x", right), ErrorCode::usage, "there are none");
  EXPECT_ERROR(session->writeVariable("weight", std::as_bytes(std::span(tooMany))), ErrorCode::usage, "not 4004");
  EXPECT_ERROR(session->readVariable("wait", std::as_writable_bytes(std::span(right))), ErrorCode::usage,
               "variable 'wait' does not exist");
  EXPECT_EQ(session->find("nothing"), nullptr);
  EXPECT_EQ(session->entryPointNames(), (std::vector<std::string>{"step", "other"}));
}

TEST(Session, PortsTakeAnyContiguousRange) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  EntryPoint *step = session->find("step"), *other = session->find("other");
  const std::array<float, kCount> array = {};
  const std::vector<float> vector(kCount);
  EXPECT_OK(step->setInput("x", array));
  EXPECT_OK(step->setInput("x", std::span(array)));
  EXPECT_OK(step->setInput("x", std::span(vector)));
  EXPECT_OK(step->setInput("x", std::as_bytes(std::span(array))));
  EXPECT_OK(step->setInput<float>("x", vector));
  float scalar;
  EXPECT_OK(other->getOutput("scalar", std::span(&scalar, 1)));
}

TEST(Session, ObserverSeesEveryInstruction) {
  auto session = makeSession(exampleArtifact().build());
  ASSERT_NE(session, nullptr);
  std::vector<std::string> labels;
  std::chrono::steady_clock::time_point last;
  session->setObserver([&](const InstructionTiming &timing) {
    const auto *program = timing.entryPoint.table().program();
    labels.push_back(program->Get(static_cast<unsigned>(timing.instruction))->label()->str());
    EXPECT_LE(last, timing.begin);
    EXPECT_LE(timing.begin, timing.end);
    last = timing.end;
  });
  EXPECT_OK(session->find("step")->run());
  EXPECT_EQ(labels, (std::vector<std::string>{"layers.0/add", "layers.0/double", "optimizer"}));

  session->setObserver({});
  EXPECT_OK(session->find("step")->run());
  EXPECT_EQ(labels.size(), 3u);
}

TEST(Session, SessionsOfOneArtifactAreIndependent) {
  auto artifact = exampleArtifact().build();
  auto first = makeSession(artifact), second = makeSession(artifact);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->initialize(1).ok() && second->initialize(2).ok());
  const std::vector<float> weight = readFloats(*second, "weight", kCount);
  EXPECT_NE(readFloats(*first, "weight", kCount), weight);
  first.reset();
  EXPECT_OK(second->find("other")->run());
  EXPECT_EQ(readFloats(*second, "weight", kCount), weight);
}

} // namespace
