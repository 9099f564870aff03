//===- TrainLoop.cpp - The training loop ----------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/TrainLoop.h"

#include "lib/Engine/Support/Strings.h"

namespace moe::engine {

/// Steps that the table of expert load is taken over: enough to even out batches, few enough to show the end.
static constexpr std::size_t kLoadWindow = 100;

static double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TrainLoop::TrainLoop(Context given, const LoopOptions &options) : context(std::move(given)), options(options) {
  savedPath = context.resumed;
  if (!savedPath.empty())
    savedStep = context.state.step;
}

Result<StopReason> TrainLoop::run() {
  Result<TrainStep> trainStep = TrainStep::create(context.session, context.model);
  if (!trainStep)
    return trainStep.status();
  Batch batch(context.model.training->batchSize, context.model.training->sequenceLength);
  started = Clock::now();
  firstStep = context.state.step;

  StopReason reason = StopReason::finished;
  while (context.state.step < options.schedule.steps) {
    if (context.requests.stop()) {
      reason = StopReason::interrupted;
      break;
    }
    if (timeIsUp()) {
      reason = StopReason::timeLimit;
      break;
    }
    if (Status status = trainOne(*trainStep, batch); !status) {
      context.console.progressDone();
      return status;
    }
  }
  secondsSpent = secondsSince(started);
  context.console.progressDone();
  if (Status status = save(); !status)
    return status;
  return reason;
}

Status TrainLoop::trainOne(TrainStep &trainStep, Batch &batch) {
  const Clock::time_point stepStarted = Clock::now();
  const std::int64_t step = context.state.step + 1;
  context.batches.fill(step, batch);
  Result<StepResult> result = trainStep.run(step, options.schedule.learningRate(step), batch);
  if (!result)
    return result.status();
  context.state.step = step;
  tokensSeen += result->tokens;
  lastStepSeconds = secondsSince(stepStarted);
  smoothStepSeconds = smoothStepSeconds == 0 ? lastStepSeconds : 0.95 * smoothStepSeconds + 0.05 * lastStepSeconds;
  if (Status status = context.metrics.append(stepMetrics(*result, context.model, lastStepSeconds)); !status)
    return status;
  showProgress(*result);
  recent.push_back(std::move(result->loads));
  if (recent.size() > kLoadWindow)
    recent.pop_front();

  // The last step is saved, and evaluated, after the loop.
  const bool last = step == options.schedule.steps;
  if (options.evalEvery > 0 && step % options.evalEvery == 0 && !last)
    if (Status status = context.evaluate(step); !status)
      return status;
  const bool due = options.saveEvery > 0 && step % options.saveEvery == 0 && !last;
  return context.requests.takeCheckpoint() || due ? save() : Status();
}

Status TrainLoop::save() {
  if (savedStep == context.state.step)
    return {};
  Result<std::string> path = context.checkpoints.save(context.session, context.state, options.keep);
  if (!path)
    return path.status();
  savedStep = context.state.step;
  savedPath = *path;
  context.console.info("saved " + savedPath);
  return {};
}

bool TrainLoop::timeIsUp() const {
  return options.timeLimit > 0 && secondsSince(started) + smoothStepSeconds > options.timeLimit;
}

void TrainLoop::showProgress(const StepResult &result) {
  const std::int64_t steps = options.schedule.steps;
  const double elapsed = secondsSince(started);
  double left = elapsed / static_cast<double>(result.step - firstStep) * static_cast<double>(steps - result.step);
  if (options.timeLimit > 0)
    left = std::min(left, options.timeLimit - elapsed);
  context.console.progress("train", static_cast<double>(result.step) / static_cast<double>(steps),
                           format("step %lld/%lld  loss %.3f  lr %.1e  grad norm %.2f  %s tokens/s  %s, ETA %s",
                                  static_cast<long long>(result.step), static_cast<long long>(steps), result.loss,
                                  result.learningRate, result.gradNorm,
                                  formatCount(static_cast<double>(result.tokens) / smoothStepSeconds).c_str(),
                                  formatDuration(elapsed).c_str(), formatDuration(left).c_str()));
}

std::vector<ExpertLoad> TrainLoop::recentLoads() const {
  std::vector<ExpertLoad> total;
  for (const std::vector<ExpertLoad> &loads : recent)
    accumulate(total, loads);
  return total;
}

} // namespace moe::engine
