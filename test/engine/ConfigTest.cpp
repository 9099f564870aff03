//===- ConfigTest.cpp - Sources of a configuration, and errors in them ----===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Config/RunConfig.h"
#include "test/engine/EngineTest.h"

namespace moe::engine {
namespace {

TEST(Config, LaterSourcesWin) {
  ConfigLoader loader;
  EXPECT_EQ(loader.config().steps, 1000);
  ASSERT_OK(loader.loadText("[training]\nsteps = 1\nkeep = 1\nsave_every = 1\neval_every = 1", "f.toml"));
  const char *environment[] = {"MOE_TRAINING_KEEP=2", "MOE_TRAINING_SAVE_EVERY=2", "MOE_TRAINING_EVAL_EVERY=2",
                               "HOME=/", nullptr};
  ASSERT_OK(loader.loadEnvironment(environment));
  ASSERT_OK(loader.set("training.save_every=3"));
  ASSERT_OK(loader.set("training.eval_every=3"));
  ASSERT_OK(loader.set("training.eval_every", "4", "--eval-every"));
  const RunConfig &config = loader.config();
  EXPECT_EQ(config.steps, 1);
  EXPECT_EQ(config.keep, 2);
  EXPECT_EQ(config.saveEvery, 3);
  EXPECT_EQ(config.evalEvery, 4);
  EXPECT_TRUE(loader.isSet("training.steps"));
  EXPECT_FALSE(loader.isSet("run.seed"));
}

TEST(Config, UnknownKeysNameTheNearest) {
  ConfigLoader loader;
  EXPECT_FAILS(loader.set("training.step=1"), ErrorCode::configuration,
               "unknown key 'training.step'; did you mean 'training.steps'?");
  EXPECT_FAILS(loader.loadText("\n[optimizer]\nlearning_rat = 1", "f.toml"), ErrorCode::configuration,
               "f.toml:3: unknown key 'optimizer.learning_rat'; did you mean 'optimizer.learning_rate'?");
  EXPECT_FAILS(loader.loadText("[generation]\nwarmup = 1", "f.toml"), ErrorCode::configuration,
               "did you mean 'optimizer.warmup'?");
  EXPECT_FAILS(loader.loadText("[optimiser]\nx = 1", "f.toml"), ErrorCode::configuration, "f.toml:1");
  EXPECT_FAILS(loader.set("frobnicate=1"), ErrorCode::configuration, "--list-keys");
  const char *environment[] = {"MOE_RUN_SEDE=2", nullptr};
  EXPECT_FAILS(loader.loadEnvironment(environment), ErrorCode::configuration,
               "environment variable MOE_RUN_SEDE: unknown key 'run.sede'; did you mean 'run.seed'?");
}

TEST(Config, ForeignVariablesAreLeftAlone) {
  ConfigLoader loader;
  const char *environment[] = {"MOE_SANITIZE=address", "MOE_=", "MOE_X", "MOE_RUNNER_X=1", nullptr};
  EXPECT_OK(loader.loadEnvironment(environment));
}

TEST(Config, WrongValues) {
  ConfigLoader loader;
  EXPECT_FAILS(loader.set("training.steps=many"), ErrorCode::configuration, "'many' is not an integer");
  EXPECT_FAILS(loader.set("training.steps=-1"), ErrorCode::configuration, "must be at least 0, not -1");
  EXPECT_FAILS(loader.set("training.steps=1.5"), ErrorCode::configuration, "not an integer");
  EXPECT_FAILS(loader.set("optimizer.learning_rate="), ErrorCode::configuration, "not a number");
  EXPECT_FAILS(loader.set("optimizer.learning_rate=nan"), ErrorCode::configuration, "must be between");
  EXPECT_FAILS(loader.set("optimizer.schedule=square"), ErrorCode::configuration,
               "must be one of wsd, cosine, constant, not 'square'");
  EXPECT_FAILS(loader.set("training.steps"), ErrorCode::configuration, "expected section.key=value");
  EXPECT_FAILS(loader.loadText("[training]\nsteps = \"3\"", "f"), ErrorCode::configuration,
               "f:2: 'training.steps' must");
  EXPECT_FAILS(loader.loadText("[training]\nsteps = 1.0", "f"), ErrorCode::configuration, "must be an integer");
  EXPECT_FAILS(loader.loadText("[data]\nheld_out = [1]", "f"), ErrorCode::configuration, "a list of strings");
  EXPECT_FAILS(loader.loadText("training = 3", "f"), ErrorCode::configuration, "unknown key 'training'");
  EXPECT_FAILS(loader.loadText("a = ", "f.toml"), ErrorCode::configuration, "f.toml:1:");
  EXPECT_FAILS(loader.loadFile("/absent.toml"), ErrorCode::configuration, "/absent.toml");
}

TEST(Config, IntegersServeAsNumbers) {
  ConfigLoader loader;
  ASSERT_OK(loader.loadText("[optimizer]\nlearning_rate = 1", "f"));
  EXPECT_EQ(loader.config().learningRate, 1.0);
}

// The file that is written gives the same configuration again.
TEST(Config, RoundTrip) {
  ConfigLoader loader;
  ASSERT_OK(loader.set("data.held_out=a.txt,b\\c \"d\".txt,h\xC3\xA9.txt"));
  ASSERT_OK(loader.set("optimizer.learning_rate=0.1"));
  ASSERT_OK(loader.set("optimizer.final_fraction=1e-30"));
  ASSERT_OK(loader.set("run.seed=9000000000000000000"));
  ASSERT_OK(loader.set("training.time_limit=90s"));
  const std::string text = toToml(loader.config());
  ConfigLoader again;
  ASSERT_OK(again.loadText(text, "config.toml"));
  EXPECT_EQ(toToml(again.config()), text);
  EXPECT_EQ(again.config().heldOut.size(), 3u);
  EXPECT_EQ(again.config().learningRate, 0.1);
}

TEST(Config, NamesChangesThatShapeTheResult) {
  RunConfig before, now;
  now.saveEvery = 7;
  EXPECT_TRUE(resultChanges(before, now).empty());
  now.learningRate = 1;
  EXPECT_EQ(resultChanges(before, now), std::vector<std::string>{"optimizer.learning_rate is 1.0, was 0.003"});
}

} // namespace
} // namespace moe::engine
