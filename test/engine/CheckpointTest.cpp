//===- CheckpointTest.cpp - Saving, finding and restoring checkpoints -----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Checkpoint/Checkpoint.h"
#include "test/engine/EngineTest.h"
#include "test/engine/FakeModel.h"

#include <functional>

namespace moe::engine {
namespace {

namespace fs = std::filesystem;
using test::FakeSession;
using test::TemporaryDirectory;

Manifest stateAt(std::int64_t step) {
  return {.step = step, .seed = 7, .dataFingerprint = 0xFEDCBA9876543210u, .model = "{\"name\": \"fake\"}"};
}

/// A store with checkpoints of steps 10 and 20; every weight equals the step.
class CheckpointTest : public testing::Test {
protected:
  CheckpointTest() : store(directory.path()) {
    for (std::int64_t step : {10, 20}) {
      fill(static_cast<float>(step));
      EXPECT_OK(store.save(session, stateAt(step), /*keep=*/0));
    }
  }

  void fill(float value) {
    for (const char *name : {"bigram.weight", "selection.bias", "bigram.weight.exp_avg", "bigram.weight.exp_avg_sq"})
      std::ranges::fill(session.variable(name), value);
  }

  std::int64_t newestStep() {
    Result<CheckpointStore::Newest> newest = store.newest();
    EXPECT_OK(newest);
    skipped = newest->skipped;
    return newest->checkpoint ? newest->checkpoint->manifest.step : -1;
  }

  /// Step 20 is made invalid by `damage`: 10 is found, and a message says why with `reason`.
  void expectSkipped(const std::function<void(const std::string &path)> &damage, const std::string &reason) {
    damage(directory / "step-20");
    EXPECT_EQ(newestStep(), 10);
    ASSERT_EQ(skipped.size(), 1u);
    EXPECT_NE(skipped[0].find("step-20"), std::string::npos) << skipped[0];
    EXPECT_NE(skipped[0].find(reason), std::string::npos) << skipped[0];
  }

  TemporaryDirectory directory;
  FakeSession session;
  CheckpointStore store;
  std::vector<std::string> skipped;
};

TEST_F(CheckpointTest, RestoresEverythingButCaches) {
  fill(0);
  session.variable("cache.tokens")[0] = 5;
  Result<CheckpointStore::Newest> newest = store.newest();
  ASSERT_OK(newest);
  ASSERT_TRUE(newest->checkpoint);
  const Manifest &manifest = newest->checkpoint->manifest;
  EXPECT_EQ(manifest.step, 20);
  EXPECT_EQ(manifest.seed, 7u);
  EXPECT_EQ(manifest.dataFingerprint, 0xFEDCBA9876543210u);
  EXPECT_EQ(manifest.model, "{\"name\": \"fake\"}");

  ASSERT_OK(restore(session, *newest->checkpoint, Restore::model));
  EXPECT_EQ(session.variable("bigram.weight")[123], 20);
  EXPECT_EQ(session.variable("selection.bias")[3], 20);
  EXPECT_EQ(session.variable("bigram.weight.exp_avg")[0], 0);
  ASSERT_OK(restore(session, *newest->checkpoint, Restore::modelAndOptimizer));
  EXPECT_EQ(session.variable("bigram.weight.exp_avg")[0], 20);
  EXPECT_EQ(session.variable("bigram.weight.exp_avg_sq")[65535], 20);
  EXPECT_EQ(session.variable("cache.tokens")[0], 5);
}

TEST_F(CheckpointTest, SkipsWithoutManifest) {
  expectSkipped([](const std::string &path) { fs::remove(path + "/manifest.json"); }, "no manifest");
}

TEST_F(CheckpointTest, SkipsMissingFile) {
  expectSkipped([](const std::string &path) { fs::remove(path + "/optimizer.safetensors"); }, "optimizer.safetensors");
}

TEST_F(CheckpointTest, SkipsTornFile) {
  expectSkipped([](const std::string &path) { fs::resize_file(path + "/model.safetensors", 5000); },
                "it has 5000 bytes");
}

TEST_F(CheckpointTest, SkipsFlippedBit) {
  expectSkipped(
      [](const std::string &path) {
        std::fstream file(path + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(70000);
        file.put('\x01');
      },
      "checksum differs");
}

TEST_F(CheckpointTest, SkipsTornManifest) {
  expectSkipped([](const std::string &path) { fs::resize_file(path + "/manifest.json", 100); }, "invalid JSON");
}

TEST_F(CheckpointTest, SkipsEditedManifest) {
  expectSkipped(
      [](const std::string &path) {
        std::string text = test::readText(path + "/manifest.json");
        text.replace(text.find("\"seed\": 7"), 9, "\"seed\": 8");
        test::writeText(path + "/manifest.json", text);
      },
      "its own checksum");
}

TEST_F(CheckpointTest, SkipsRenamedDirectory) {
  fs::rename(directory / "step-20", directory / "step-30");
  EXPECT_EQ(newestStep(), 10);
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_NE(skipped[0].find("says step 20"), std::string::npos);
}

TEST_F(CheckpointTest, IgnoresUnfinishedAndOtherDirectories) {
  fs::rename(directory / "step-20", directory / "step-20.tmp");
  for (const char *name : {"step-", "step-007", "step--3", "step-99x", "other"})
    fs::create_directory(directory / name);
  EXPECT_EQ(newestStep(), 10);
  EXPECT_TRUE(skipped.empty());
}

TEST_F(CheckpointTest, SaveRemovesLeftoversAndOldOnes) {
  fs::create_directory(directory / "step-15.tmp");
  fs::create_directory(directory / "notes.tmp");
  ASSERT_OK(store.save(session, stateAt(30), /*keep=*/2));
  EXPECT_FALSE(fs::exists(directory / "step-15.tmp"));
  EXPECT_TRUE(fs::exists(directory / "notes.tmp"));
  EXPECT_FALSE(fs::exists(directory / "step-10"));
  EXPECT_TRUE(fs::exists(directory / "step-20"));
  EXPECT_EQ(newestStep(), 30);
}

TEST_F(CheckpointTest, SaveReplacesTheSameStep) {
  fill(21);
  ASSERT_OK(store.save(session, stateAt(20), 0));
  fill(0);
  Result<Checkpoint> checkpoint = openCheckpoint(directory / "step-20");
  ASSERT_OK(checkpoint);
  ASSERT_OK(restore(session, *checkpoint, Restore::model));
  EXPECT_EQ(session.variable("bigram.weight")[0], 21);
  EXPECT_FALSE(fs::exists(directory / "step-20.tmp"));
}

TEST_F(CheckpointTest, SavesAreReproducible) {
  TemporaryDirectory other;
  ASSERT_OK(CheckpointStore(other.path()).save(session, stateAt(20), 0));
  for (const char *file : {"manifest.json", "model.safetensors", "optimizer.safetensors"})
    EXPECT_TRUE(test::readText(directory / "step-20/" + file) == test::readText(other / "step-20/" + file)) << file;
}

TEST_F(CheckpointTest, FindsByRunDirectoryOrCheckpoint) {
  EXPECT_OK(findCheckpoint(directory.path()));
  EXPECT_OK(findCheckpoint(directory / "step-10"));
  EXPECT_FAILS(findCheckpoint(directory / "absent"), ErrorCode::checkpoint, "does not exist");
  TemporaryDirectory run;
  EXPECT_FAILS(findCheckpoint(run.path()), ErrorCode::checkpoint, "no valid checkpoint");
  fs::copy(directory.path(), checkpointsDirectory(run.path()), fs::copy_options::recursive);
  Result<CheckpointStore::Newest> found = findCheckpoint(run.path());
  ASSERT_OK(found);
  EXPECT_EQ(found->checkpoint->manifest.step, 20);
}

TEST_F(CheckpointTest, RefusesAnotherModel) {
  test::FakeShape shape;
  FakeSession other(shape);
  Result<Checkpoint> checkpoint = openCheckpoint(directory / "step-20");
  ASSERT_OK(checkpoint);
  // Swapping the files makes every tensor of the one missing in the other.
  fs::copy_file(directory / "step-20/optimizer.safetensors", directory / "step-20/model.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_FAILS(restore(other, *checkpoint, Restore::model), ErrorCode::checkpoint, "'bigram.weight' is missing");
}

TEST_F(CheckpointTest, SaysWhyItCannotSave) {
  TemporaryDirectory other;
  test::writeText(other / "file", "");
  EXPECT_FAILS(CheckpointStore(other / "file").save(session, stateAt(1), 0), ErrorCode::checkpoint,
               "cannot save a checkpoint");
}

} // namespace
} // namespace moe::engine
