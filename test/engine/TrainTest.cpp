//===- TrainTest.cpp - Whole training runs with the fake model ------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/TrainReport.h"
#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Training/TrainRun.h"
#include "test/engine/EngineTest.h"
#include "test/engine/FakeModel.h"

#include <cmath>
#include <csignal>
#include <sstream>

namespace moe::engine {
namespace {

namespace fs = std::filesystem;
using test::FakeSession;
using test::TemporaryDirectory;

/// Stops, or asks for a checkpoint, after so many looks.
struct ScriptedRequests : Requests {
  std::int64_t stopAfter = -1, checkpointAfter = -1, looks = 0, checkpointLooks = 0;

  bool stop() override { return stopAfter >= 0 && looks++ >= stopAfter; }
  bool takeCheckpoint() override { return checkpointLooks++ == checkpointAfter; }
};

class TrainTest : public testing::Test {
protected:
  TrainTest() {
    for (int i = 0; i < 8; ++i) {
      std::string text;
      for (int j = 0; j < 60; ++j)
        text += "the quick brown fox " + std::to_string(i * j % 7) + " ";
      test::writeText(directory / "data/" + std::to_string(i) + ".txt", text);
    }
    config.dataPath = directory / "data";
    config.heldOutFraction = 0.2;
    config.steps = 30;
    config.warmup = 3;
    config.saveEvery = 10;
    config.learningRate = 0.05;
  }

  Result<TrainReport> run(const std::string &name, ExistingRun existing = ExistingRun::refuse) {
    config.runDirectory = directory / name;
    FakeSession fresh;
    fresh.beforeStep =
        beforeStep ? [&](std::int64_t step) { beforeStep(fresh, step); } : std::function<void(std::int64_t)>();
    return train(fresh, config, existing, console.console(), requests);
  }

  /// The lines of metrics.jsonl without what the clock says.
  std::vector<std::string> metrics(const std::string &name) {
    std::istringstream lines(test::readText(directory / name + "/metrics.jsonl"));
    std::vector<std::string> result;
    for (std::string line; std::getline(lines, line);) {
      Result<Json> json = parseJson(line);
      EXPECT_OK(json);
      json->erase("seconds");
      json->erase("tokens_per_second");
      result.push_back(json->dump());
    }
    return result;
  }

  std::string checkpointBytes(const std::string &name, std::int64_t step) {
    const std::string path = directory / name + "/checkpoints/step-" + std::to_string(step) + "/";
    return test::readText(path + "manifest.json") + test::readText(path + "model.safetensors") +
           test::readText(path + "optimizer.safetensors");
  }

  TemporaryDirectory directory;
  RunConfig config;
  ScriptedRequests requests;
  test::CapturedConsole console;
  std::function<void(FakeSession &, std::int64_t)> beforeStep;
};

TEST_F(TrainTest, LeavesARunDirectory) {
  Result<TrainReport> report = run("run");
  ASSERT_OK(report);
  EXPECT_EQ(report->reason, StopReason::finished);
  EXPECT_EQ(report->lastStep, 30);
  EXPECT_EQ(report->tokens, 30 * 2 * 8);
  ASSERT_TRUE(report->before && report->after);
  EXPECT_NEAR(report->before->nats(), std::log(256), 0.05);
  EXPECT_LT(report->after->nats(), report->before->nats() - 0.3);
  EXPECT_EQ(report->loadWindow, 30);
  EXPECT_EQ(report->loads.at(0).layer, 1);

  const std::vector<std::string> lines = metrics("run");
  ASSERT_EQ(lines.size(), 30u);
  const Json first = *parseJson(lines[0]);
  EXPECT_EQ(first["step"], 1);
  EXPECT_EQ(first["tokens"], 16);
  EXPECT_NEAR(first["loss"].get<double>(), std::log(256), 0.1);
  EXPECT_NEAR(first["learning_rate"].get<double>(), 0.05 / 3, 1e-12);
  const Json layer = first["layers"]["1"];
  EXPECT_EQ(layer["utilisation"].size(), 4u);
  EXPECT_EQ(layer["dropped_tokens"], 0);
  for (const char *key : {"coefficient_of_variation", "dead_fraction", "effective_experts"})
    EXPECT_TRUE(layer[key].is_number()) << key;

  EXPECT_FALSE(fs::exists(directory / "run/checkpoints/step-10")) << "two are kept";
  EXPECT_OK(openCheckpoint(directory / "run/checkpoints/step-20"));
  EXPECT_OK(openCheckpoint(directory / "run/checkpoints/step-30"));

  ConfigLoader resolved;
  ASSERT_OK(resolved.loadFile(directory / "run/config.toml"));
  EXPECT_EQ(resolved.config().steps, 30);
  EXPECT_EQ(resolved.config().heldOut.size(), report->heldOutDocuments);
  EXPECT_EQ(loadSplit(resolved.config())->heldOutNames(), loadSplit(config)->heldOutNames());
}

TEST_F(TrainTest, TheSameSeedGivesTheSameBits) {
  ASSERT_OK(run("a"));
  ASSERT_OK(run("b"));
  EXPECT_EQ(metrics("a"), metrics("b"));
  EXPECT_TRUE(checkpointBytes("a", 30) == checkpointBytes("b", 30));
  config.seed = 2;
  ASSERT_OK(run("c"));
  EXPECT_NE(metrics("a"), metrics("c"));
}

TEST_F(TrainTest, ResumedRunEqualsTheUninterrupted) {
  ASSERT_OK(run("whole"));
  beforeStep = [&](FakeSession &, std::int64_t step) { requests.stopAfter = step == 13 ? 0 : -1; };
  Result<TrainReport> report = run("parts");
  ASSERT_OK(report);
  EXPECT_EQ(report->reason, StopReason::interrupted);
  EXPECT_EQ(report->lastStep, 13);
  beforeStep = nullptr;
  requests.stopAfter = -1;
  report = run("parts", ExistingRun::resume);
  ASSERT_OK(report);
  EXPECT_EQ(report->lastStep, 30);
  EXPECT_EQ(metrics("whole"), metrics("parts"));
  EXPECT_TRUE(checkpointBytes("whole", 30) == checkpointBytes("parts", 30));
}

// As after kill -9: metrics run ahead of the last checkpoint and end in the middle of a line.
TEST_F(TrainTest, ResumeDropsMetricsBeyondTheCheckpoint) {
  ASSERT_OK(run("whole"));
  ASSERT_OK(run("killed"));
  fs::remove_all(directory / "killed/checkpoints/step-30");
  std::ofstream(directory / "killed/metrics.jsonl", std::ios::app) << "{\"step\": 31, \"lo";
  Result<TrainReport> report = run("killed", ExistingRun::resume);
  ASSERT_OK(report);
  EXPECT_EQ(report->firstStep, 20);
  EXPECT_EQ(metrics("whole"), metrics("killed"));
  EXPECT_TRUE(checkpointBytes("whole", 30) == checkpointBytes("killed", 30));
  EXPECT_EQ(test::readText(directory / "whole/evaluations.jsonl").substr(0, 40),
            test::readText(directory / "killed/evaluations.jsonl").substr(0, 40));
}

TEST_F(TrainTest, ResumeSkipsInvalidCheckpointsAndSaysSo) {
  ASSERT_OK(run("run"));
  fs::resize_file(directory / "run/checkpoints/step-30/model.safetensors", 100);
  ASSERT_OK(run("run", ExistingRun::resume));
  const std::string log = console.text();
  EXPECT_NE(log.find("skipped an invalid checkpoint"), std::string::npos) << log;
  EXPECT_NE(log.find("resuming from " + directory.path() + "/run/checkpoints/step-20"), std::string::npos) << log;
  EXPECT_OK(openCheckpoint(directory / "run/checkpoints/step-30"));
}

TEST_F(TrainTest, ResumeOfACompleteRunTrainsNothing) {
  ASSERT_OK(run("run"));
  const std::string evaluations = test::readText(directory / "run/evaluations.jsonl");
  Result<TrainReport> report = run("run", ExistingRun::resume);
  ASSERT_OK(report);
  EXPECT_EQ(report->firstStep, 30);
  EXPECT_EQ(report->tokens, 0);
  EXPECT_EQ(report->checkpoint, directory / "run/checkpoints/step-30");
  EXPECT_EQ(std::ranges::count(test::readText(directory / "run/evaluations.jsonl"), '\n'),
            std::ranges::count(evaluations, '\n'));
}

TEST_F(TrainTest, ResumeWithoutACheckpointStarts) {
  Result<TrainReport> report = run("new", ExistingRun::resume);
  ASSERT_OK(report);
  EXPECT_EQ(report->firstStep, 0);
}

TEST_F(TrainTest, TouchesNoEarlierRunUnasked) {
  ASSERT_OK(run("run"));
  EXPECT_FAILS(run("run"), ErrorCode::configuration, "already holds a run (step 30); continue it with --resume");
  EXPECT_OK(run("run", ExistingRun::overwrite));
  EXPECT_EQ(metrics("run").size(), 30u);
}

TEST_F(TrainTest, RefusesToResumeOnOtherData) {
  ASSERT_OK(run("run"));
  const std::string trained = loadSplit(config)->training.front().name;
  test::writeText(directory / "data/" + trained, "changed");
  EXPECT_FAILS(run("run", ExistingRun::resume), ErrorCode::configuration, "other documents");
}

TEST_F(TrainTest, NotANumberNamesTheVariable) {
  beforeStep = [](FakeSession &session, std::int64_t step) {
    if (step == 12)
      std::ranges::fill(session.variable("bigram.weight"), NAN);
  };
  Result<TrainReport> report = run("run");
  EXPECT_FAILS(report, ErrorCode::numerics, "step 12: loss is nan");
  EXPECT_FAILS(report, ErrorCode::numerics, "the first variable that is not finite is 'bigram.weight' (element 0 is");
  EXPECT_EQ(metrics("run").size(), 11u);
  EXPECT_EQ(CheckpointStore(directory / "run/checkpoints").newest()->checkpoint->manifest.step, 10);
}

TEST_F(TrainTest, StopsBeforeTheFirstStep) {
  requests.stopAfter = 0;
  Result<TrainReport> report = run("run");
  ASSERT_OK(report);
  EXPECT_EQ(report->reason, StopReason::interrupted);
  EXPECT_EQ(report->lastStep, 0);
  EXPECT_OK(openCheckpoint(directory / "run/checkpoints/step-0"));
  requests.stopAfter = -1;
  report = run("run", ExistingRun::resume);
  ASSERT_OK(report);
  EXPECT_TRUE(report->before && report->after);
  EXPECT_EQ(std::ranges::count(test::readText(directory / "run/evaluations.jsonl"), '\n'), 2);
}

TEST_F(TrainTest, TimeLimitSavesAndEnds) {
  config.timeLimit = "0.000001s";
  Result<TrainReport> report = run("run");
  ASSERT_OK(report);
  EXPECT_EQ(report->reason, StopReason::timeLimit);
  EXPECT_LT(report->lastStep, 30);
  EXPECT_OK(openCheckpoint(report->checkpoint));
  EXPECT_NE(formatTrainReport(*report).find("the time limit was reached"), std::string::npos);
}

TEST_F(TrainTest, CheckpointOnRequest) {
  config.keep = 0;
  requests.checkpointAfter = 6;
  ASSERT_OK(run("run"));
  EXPECT_OK(openCheckpoint(directory / "run/checkpoints/step-7"));
}

TEST_F(TrainTest, EvaluatesOnTheWay) {
  config.evalEvery = 10;
  ASSERT_OK(run("run"));
  std::istringstream lines(test::readText(directory / "run/evaluations.jsonl"));
  std::vector<std::int64_t> steps;
  for (std::string line; std::getline(lines, line);)
    steps.push_back((*parseJson(line))["step"]);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 10, 20, 30}));
}

TEST_F(TrainTest, WithoutHeldOutText) {
  config.heldOutFraction = 0;
  Result<TrainReport> report = run("run");
  ASSERT_OK(report);
  EXPECT_FALSE(report->before || report->after);
}

TEST_F(TrainTest, SaysWhatIsMissing) {
  config.dataPath = "";
  EXPECT_FAILS(run("run"), ErrorCode::configuration, "--data");
  config.dataPath = directory / "data";
  config.timeLimit = "soon";
  EXPECT_FAILS(run("run"), ErrorCode::configuration, "training.time_limit: 'soon' is not a duration");
}

TEST_F(TrainTest, Reports) {
  Result<TrainReport> report = run("run");
  ASSERT_OK(report);
  const std::string text = formatTrainReport(*report);
  for (const char *piece : {"held-out before", "nats/byte", "step 30 of 30", "expert load over the last 30 training"})
    EXPECT_NE(text.find(piece), std::string::npos) << text;
  const Json json = trainReportToJson(*report);
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["end"], "finished");
  EXPECT_EQ(json["expert_load"]["1"]["utilisation"].size(), 4u);
}

TEST(Interrupts, Signals) {
  {
    Interrupts interrupts;
    EXPECT_FALSE(interrupts.stop());
    EXPECT_FALSE(interrupts.takeCheckpoint());
    std::raise(SIGUSR1);
    EXPECT_TRUE(interrupts.takeCheckpoint());
    EXPECT_FALSE(interrupts.takeCheckpoint());
    std::raise(SIGTERM);
    EXPECT_TRUE(interrupts.stop());
  }
  // The second one ends the process.
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

} // namespace
} // namespace moe::engine
