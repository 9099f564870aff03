//===- TrainLoop.h - The training loop --------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_TRAINLOOP_H
#define LIB_ENGINE_TRAINING_TRAINLOOP_H

#include "lib/Engine/Checkpoint/Checkpoint.h"
#include "lib/Engine/Training/Interrupts.h"
#include "lib/Engine/Training/Metrics.h"
#include "lib/Engine/Training/Schedule.h"

#include <chrono>
#include <deque>
#include <functional>

namespace moe::engine {

struct LoopOptions {
  Schedule schedule = {};
  std::int64_t saveEvery = 0, evalEvery = 0, keep = 0; ///< In steps; 0 is never, never, and all.
  double timeLimit = 0;                                ///< In seconds; 0 is none.
};

enum class StopReason { finished, timeLimit, interrupted };

/// From one step to the last: trains, logs, saves, and listens to requests between steps. Ends with a checkpoint of the
/// last step done, for whatever reason but an error.
class TrainLoop {
public:
  struct Context {
    Session &session;
    const ModelInfo &model;
    const TrainingBatches &batches;
    const CheckpointStore &checkpoints;
    Manifest state;      ///< Of the checkpoints to write; its step is the one to continue after.
    std::string resumed; ///< The checkpoint of that step, if there is one.
    MetricsLog &metrics;
    Console &console;
    Requests &requests;
    std::function<Status(std::int64_t step)> evaluate;
  };

  TrainLoop(Context context, const LoopOptions &options);

  Result<StopReason> run();

  std::int64_t step() const { return context.state.step; }
  std::int64_t tokens() const { return tokensSeen; }
  double seconds() const { return secondsSpent; }
  const std::string &checkpoint() const { return savedPath; }
  /// Summed over the last `loadWindow()` steps.
  std::vector<ExpertLoad> recentLoads() const;
  std::int64_t loadWindow() const { return static_cast<std::int64_t>(recent.size()); }

private:
  using Clock = std::chrono::steady_clock;

  Status trainOne(TrainStep &trainStep, Batch &batch);
  Status save();
  bool timeIsUp() const;
  void showProgress(const StepResult &result);

  Context context;
  LoopOptions options;
  Clock::time_point started;
  std::int64_t firstStep = 0, savedStep = -1, tokensSeen = 0;
  double secondsSpent = 0, lastStepSeconds = 0, smoothStepSeconds = 0;
  std::string savedPath;
  std::deque<std::vector<ExpertLoad>> recent;
};

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_TRAINLOOP_H
