//===- MasterWeightsTest.cpp - Checkpoints of bf16 parameters -------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Checkpoint.h"
#include "lib/Engine/Checkpoint/Safetensors.h"
#include "lib/Engine/Report/Inspect.h"
#include "runtime/format/ArtifactWriter.h"
#include "runtime/format/DType.h"
#include "test/engine/EngineTest.h"
#include "test/engine/SmallArtifact.h"

namespace moe::engine {
namespace {

using format::DType, format::InitializerKind, format::VariableRole;
using test::TemporaryDirectory;

constexpr std::int64_t kElements = 1001;
constexpr const char *kWeight = "weight", *kMaster = "weight.master_weight";

/// A bf16 parameter with its master and a moment, and no program.
std::shared_ptr<const Artifact> artifactWithMaster() {
  format::ArtifactT artifact = test::emptyArtifact(kElements);
  const auto add = [&](const char *name, VariableRole role, DType dtype, InitializerKind kind) {
    auto variable = std::make_unique<format::VariableT>();
    variable->name = name;
    variable->role = role;
    variable->dtype = dtype;
    variable->shape = {kElements};
    variable->initializer = std::make_unique<format::InitializerT>();
    variable->initializer->kind = kind;
    variable->initializer->stddev = kind == InitializerKind::normal ? 0.02 : 0;
    artifact.variables.push_back(std::move(variable));
  };
  add(kWeight, VariableRole::parameter, DType::bf16, InitializerKind::normal);
  add("weight.exp_avg", VariableRole::optimizer, DType::f32, InitializerKind::zeros);
  add(kMaster, VariableRole::optimizer, DType::f32, InitializerKind::copy);
  Result<std::vector<std::byte>> bytes = format::encodeArtifact(artifact, {});
  EXPECT_OK(bytes);
  Result<std::shared_ptr<const Artifact>> opened = Artifact::fromBytes(*bytes);
  EXPECT_OK(opened);
  return *opened;
}

class MasterWeightsTest : public testing::Test {
protected:
  MasterWeightsTest() {
    auto created = Session::create(artifactWithMaster());
    EXPECT_OK(created);
    session = std::move(*created);
    EXPECT_OK(session->initialize(1));
  }

  std::vector<float> readWeight() {
    std::vector<std::uint16_t> bits(kElements);
    EXPECT_OK(session->readVariable(kWeight, std::as_writable_bytes(std::span(bits))));
    std::vector<float> values;
    for (const std::uint16_t &element : bits)
      values.push_back(static_cast<float>(
          format::decodeFloat(reinterpret_cast<const std::byte *>(&element), DType::bf16)));
    return values;
  }
  std::vector<float> readMaster() {
    std::vector<float> values(kElements);
    EXPECT_OK(session->readVariable(kMaster, std::as_writable_bytes(std::span(values))));
    return values;
  }
  /// As a step leaves them: masters between the numbers that bf16 has.
  void moveMasters() {
    std::vector<float> values = readMaster();
    for (float &value : values)
      value *= 1.0009765625f;
    EXPECT_OK(session->writeVariable(kMaster, std::as_bytes(std::span(values))));
  }

  TemporaryDirectory directory;
  CheckpointStore store{directory.path()};
  std::unique_ptr<Session> session;
};

TEST_F(MasterWeightsTest, StartAsTheRoundedParameters) {
  EXPECT_EQ(readMaster(), readWeight());
  EXPECT_NE(readMaster()[0], 0.0f);
}

// What another program reads holds the model's own type; only resuming needs the masters.
TEST_F(MasterWeightsTest, AreSavedWithTheOptimizer) {
  Result<std::string> path = store.save(*session, {.step = 3}, 0);
  ASSERT_OK(path);
  Result<SafetensorsFile> model = SafetensorsFile::open(*path + "/model.safetensors");
  Result<SafetensorsFile> optimizer = SafetensorsFile::open(*path + "/optimizer.safetensors");
  ASSERT_OK(model);
  ASSERT_OK(optimizer);
  EXPECT_EQ(model->directory().tensors.size(), 1u);
  EXPECT_EQ(model->directory().tensors.at(kWeight).type(), "BF16[1001]");
  EXPECT_EQ(optimizer->directory().tensors.at(kMaster).type(), "F32[1001]");
}

TEST_F(MasterWeightsTest, ResumeBitForBit) {
  moveMasters();
  const std::vector<float> masters = readMaster(), weights = readWeight();
  ASSERT_OK(store.save(*session, {.step = 3}, 0));
  ASSERT_OK(session->initialize(2));
  ASSERT_NE(readMaster(), masters);
  ASSERT_OK(restore(*session, *store.newest()->checkpoint, Restore::modelAndOptimizer));
  EXPECT_EQ(readMaster(), masters);
  EXPECT_EQ(readWeight(), weights);
}

// Training goes on from weights alone: the masters must not be those of other weights.
TEST_F(MasterWeightsTest, WeightsAloneGiveTheMasters) {
  const std::vector<float> weights = readWeight();
  moveMasters();
  ASSERT_OK(store.save(*session, {.step = 3}, 0));
  ASSERT_OK(session->initialize(2));
  ASSERT_NE(readWeight(), weights);
  ASSERT_OK(restore(*session, *store.newest()->checkpoint, Restore::model));
  EXPECT_EQ(readWeight(), weights);
  EXPECT_EQ(readMaster(), weights);
}

TEST_F(MasterWeightsTest, AreShownAsCopies) {
  Result<std::string> text = inspectText(session->artifact(), {"variables"});
  ASSERT_OK(text);
  for (const char *piece : {"bf16[1001]", "normal(0.02)", "f32[1001]", "copy of weight"})
    EXPECT_NE(text->find(piece), std::string::npos) << piece << "\n" << *text;
  Result<Json> json = inspectJson(session->artifact(), {"variables"});
  ASSERT_OK(json);
  EXPECT_EQ((*json)["variables"][0]["bytes"], 2 * kElements);
  EXPECT_EQ((*json)["variables"][2]["initializer"], (Json{{"kind", "copy"}, {"source", kWeight}}));
}

} // namespace
} // namespace moe::engine
