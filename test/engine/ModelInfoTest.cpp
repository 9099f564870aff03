//===- ModelInfoTest.cpp - What the engine reads of a model ---------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Model/Variables.h"
#include "test/engine/EngineTest.h"
#include "test/engine/FakeModel.h"

#include <cmath>

namespace moe::engine {
namespace {

TEST(ModelInfo, ReadsTheArtifact) {
  test::FakeSession session;
  Result<ModelInfo> model = readModelInfo(session.artifact());
  ASSERT_OK(model);
  EXPECT_EQ(model->name, "fake");
  EXPECT_EQ(model->sparseLayers, std::vector<std::int64_t>{1});
  EXPECT_EQ(model->training->sequenceLength, 8);
  EXPECT_EQ(model->serving->contextLength, 10);
  EXPECT_EQ(model->summary(), "fake: 65.5 K parameters (256 active), 2 layers, 1 sparse with 4 experts, 2 active");
}

TEST(ModelInfo, SaysWhatIsWrong) {
  EXPECT_FAILS(parseModelInfo("{}"), ErrorCode::corruptFile, "'name' is missing");
  EXPECT_FAILS(parseModelInfo("[]"), ErrorCode::corruptFile, "must be a JSON object");
  EXPECT_FAILS(parseModelInfo(R"({"name": "x", "vocab_size": 0})"), ErrorCode::corruptFile,
               "'vocab_size' must be an integer of at least 1");
  const std::string good = R"("name": "x", "vocab_size": 1, "hidden_size": 1, "num_layers": 1, "sparse_layers": [],
                              "parameters": 1, "active_parameters": 1)";
  Result<ModelInfo> model = parseModelInfo("{" + good + "}");
  ASSERT_OK(model);
  EXPECT_FALSE(model->training);
  EXPECT_FALSE(model->serving);
  EXPECT_FAILS(parseModelInfo("{" + good + R"(, "training": {"batch_size": 8}})"), ErrorCode::corruptFile,
               "'training.sequence_length' is missing");
  EXPECT_FAILS(
      parseModelInfo("{" + good + R"(, "serving": {"batch_size": 1, "prompt_length": 9, "context_length": 8}})"),
      ErrorCode::corruptFile, "exceeds");
}

TEST(ModelInfo, NamesEntryPointsThatThereAre) {
  test::FakeSession session;
  EXPECT_OK(requireEntryPoint(session, "evaluate", "to evaluate"));
  EXPECT_FAILS(requireEntryPoint(session, "bench", "to measure"), ErrorCode::unsupportedModel,
               "no entry point 'bench', which is needed to measure; it has decode_step, evaluate");
}

TEST(Variables, FindsTheFirstThatIsNotFinite) {
  test::FakeSession session;
  EXPECT_FALSE(findNonFinite(session)->has_value());
  session.variable("cache.tokens")[0] = NAN;
  EXPECT_FALSE(findNonFinite(session)->has_value());
  session.variable("bigram.weight.exp_avg")[3] = INFINITY;
  EXPECT_EQ((*findNonFinite(session))->variable, "bigram.weight.exp_avg");
  session.variable("bigram.weight")[7] = -INFINITY;
  EXPECT_EQ((*findNonFinite(session))->variable, "bigram.weight");
  EXPECT_EQ((*findNonFinite(session))->element, 7u);
}

} // namespace
} // namespace moe::engine
