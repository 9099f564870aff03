//===- TrainRun.cpp - A whole training run --------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/TrainRun.h"

#include "lib/Engine/Checkpoint/StepDirectory.h"
#include "lib/Engine/Support/Files.h"
#include "lib/Engine/Support/Strings.h"
#include "lib/Engine/Text/ByteTokenizer.h"

#include <filesystem>

namespace moe::engine {
namespace {

namespace fs = std::filesystem;

Status configurationError(std::string message) { return Status(ErrorCode::configuration, std::move(message)); }

Status checkRequest(const Session &session, const RunConfig &config, const ModelInfo &model) {
  if (config.dataPath.empty())
    return configurationError("no training data; give --data PATH or set data.path");
  if (config.runDirectory.empty())
    return configurationError("no run directory; give --run DIR or set run.directory");
  if (!model.training)
    return Status(ErrorCode::unsupportedModel, "'" + session.artifact().path() +
                                                   "' cannot be trained; add moe.training "
                                                   "to the description and compile it again");
  if (model.vocabSize < ByteTokenizer::kVocabSize)
    return Status(ErrorCode::unsupportedModel,
                  format("the model's vocab_size is %lld; byte tokens need %lld",
                         static_cast<long long>(model.vocabSize), static_cast<long long>(ByteTokenizer::kVocabSize)));
  return {};
}

Result<LoopOptions> loopOptions(const RunConfig &config) {
  LoopOptions options{.saveEvery = config.saveEvery, .evalEvery = config.evalEvery, .keep = config.keep};
  Result<Schedule::Kind> kind = Schedule::parseKind(config.schedule);
  if (!kind)
    return kind.status();
  options.schedule = {*kind,         config.learningRate,  config.steps,
                      config.warmup, config.decayFraction, config.finalFraction};
  if (!config.timeLimit.empty()) {
    Result<double> limit = parseDuration(config.timeLimit);
    if (!limit)
      return limit.status().withContext("training.time_limit");
    options.timeLimit = *limit;
  }
  return options;
}

/// Refuses to touch, or clears, what an earlier run left in `directory`.
Status prepareDirectory(const std::string &directory, ExistingRun existing) {
  if (Status status = createDirectories(directory); !status)
    return status;
  const std::string checkpoints = checkpointsDirectory(directory);
  const std::vector<std::int64_t> steps = listSteps(checkpoints);
  if (existing == ExistingRun::refuse && !steps.empty())
    return configurationError("'" + directory + "' already holds a run (step " + std::to_string(steps.front()) +
                              "); continue it with --resume, replace it with --overwrite, or choose another --run");
  if (existing != ExistingRun::overwrite)
    return {};
  std::error_code error;
  for (const std::string &path : {checkpoints, directory + "/metrics.jsonl", directory + "/evaluations.jsonl"})
    if (fs::remove_all(path, error); error)
      return Status(ErrorCode::failed, "cannot remove '" + path + "': " + error.message());
  return {};
}

/// Puts the session where the run stands: at its newest checkpoint, or at freshly initialised weights.
Status startOrResume(Session &session, const CheckpointStore &checkpoints, ExistingRun existing, Manifest &state,
                     std::string &resumed, Console &console) {
  if (existing == ExistingRun::resume) {
    Result<CheckpointStore::Newest> newest = checkpoints.newest();
    if (!newest)
      return newest.status();
    for (const std::string &skipped : newest->skipped)
      console.warning("skipped an invalid checkpoint: " + skipped);
    if (const std::optional<Checkpoint> &checkpoint = newest->checkpoint) {
      const Manifest &saved = checkpoint->manifest;
      if (saved.dataFingerprint != state.dataFingerprint)
        return configurationError(checkpoint->path + ": it was trained on other documents than data.path and "
                                                     "data.held_out give now; restore the data, or start a new run");
      if (saved.seed != state.seed)
        console.warning(format("run.seed is %llu but the run began with %llu: the result will not equal an "
                               "uninterrupted run",
                               static_cast<unsigned long long>(state.seed),
                               static_cast<unsigned long long>(saved.seed)));
      if (saved.model != state.model)
        console.warning(checkpoint->path + ": it was written with another compilation of the model");
      state.step = saved.step;
      resumed = checkpoint->path;
      console.info("resuming from " + checkpoint->path);
      return restore(session, *checkpoint, Restore::modelAndOptimizer);
    }
    console.info("no checkpoint to resume from; starting at step 0");
  }
  return session.initialize(state.seed);
}

/// One call of `train`, step by step.
class TrainRun {
public:
  TrainRun(Session &session, RunConfig config, ExistingRun existing, Console &console, Requests &requests)
      : session(session), config(std::move(config)), existing(existing), console(console), requests(requests),
        checkpoints(checkpointsDirectory(this->config.runDirectory)) {}

  /// Reads the model, the options and the data. Changes nothing.
  Status prepare();
  /// Sets the session and the run directory to where the run continues.
  Status open();
  Result<TrainReport> execute();

private:
  Status evaluateAt(std::int64_t step, std::optional<Evaluation> &evaluation);

  Session &session;
  RunConfig config;
  const ExistingRun existing;
  Console &console;
  Requests &requests;
  const CheckpointStore checkpoints;

  ModelInfo model;
  LoopOptions options;
  Split split;
  Manifest state;
  std::string resumed; ///< The checkpoint that `state` is from.
  std::optional<MetricsLog> metrics, evaluations;
};

Status TrainRun::prepare() {
  Result<ModelInfo> readModel = readModelInfo(session.artifact());
  if (!readModel)
    return readModel.status();
  model = std::move(*readModel);
  if (Status status = checkRequest(session, config, model); !status)
    return status;
  Result<LoopOptions> readOptions = loopOptions(config);
  if (!readOptions)
    return readOptions.status();
  options = *readOptions;
  Result<Split> readSplit = loadSplit(config);
  if (!readSplit)
    return readSplit.status();
  split = std::move(*readSplit);
  config.heldOut = split.heldOutNames();

  console.info(model.summary());
  console.info(format("data: %s in %zu documents to train on, %s in %zu held out",
                      formatBytes(totalBytes(split.training)).c_str(), split.training.size(),
                      formatBytes(totalBytes(split.heldOut)).c_str(), split.heldOut.size()));
  if (config.warmup >= config.steps)
    console.warning(format("optimizer.warmup (%lld steps) lasts the whole run of %lld",
                           static_cast<long long>(config.warmup), static_cast<long long>(config.steps)));
  return {};
}

Status TrainRun::open() {
  const std::string &directory = config.runDirectory;
  if (Status status = prepareDirectory(directory, existing); !status)
    return status;
  state.seed = static_cast<std::uint64_t>(config.seed);
  state.dataFingerprint = fingerprint(split.training);
  state.model = model.json;
  if (Status status = startOrResume(session, checkpoints, existing, state, resumed, console); !status)
    return status;
  checkpoints.prune(state.step, config.keep);
  if (Status status = replaceFile(directory + "/config.toml", toToml(config)); !status)
    return status;

  Result<MetricsLog> opened = MetricsLog::open(directory + "/metrics.jsonl", state.step);
  if (!opened)
    return opened.status();
  metrics.emplace(std::move(*opened));
  // At its very beginning and at its end a run evaluates once more where it stands.
  const bool evaluatesAgain = state.step == 0 || state.step >= config.steps;
  opened = MetricsLog::open(directory + "/evaluations.jsonl", evaluatesAgain ? state.step - 1 : state.step);
  if (!opened)
    return opened.status();
  evaluations.emplace(std::move(*opened));
  return {};
}

/// No evaluation if nothing is held out or the run is to stop.
Status TrainRun::evaluateAt(std::int64_t step, std::optional<Evaluation> &evaluation) {
  if (split.heldOut.empty())
    return {};
  Result<std::optional<Evaluation>> result =
      evaluate(session, model, split.heldOut, console, [&] { return requests.stop(); });
  if (!result)
    return result.status();
  evaluation = std::move(*result);
  if (!evaluation)
    return {};
  console.info(format("held-out loss at step %lld: %.4f nats/byte", static_cast<long long>(step), evaluation->nats()));
  return evaluations->append(evaluationMetrics(step, *evaluation));
}

Result<TrainReport> TrainRun::execute() {
  TrainReport report{.firstStep = state.step, .steps = config.steps, .heldOutDocuments = split.heldOut.size()};
  if (state.step == 0)
    if (Status status = evaluateAt(0, report.before); !status)
      return status;

  const TrainingBatches batches(split.training, model.training->batchSize, model.training->sequenceLength, state.seed);
  std::optional<Evaluation> onTheWay;
  TrainLoop loop({session, model, batches, checkpoints, state, resumed, *metrics, console, requests,
                  [&](std::int64_t step) { return evaluateAt(step, onTheWay); }},
                 options);
  Result<StopReason> reason = loop.run();
  if (!reason)
    return reason.status();
  report.reason = *reason;
  report.lastStep = loop.step();
  report.tokens = loop.tokens();
  report.seconds = loop.seconds();
  report.loads = loop.recentLoads();
  report.loadWindow = loop.loadWindow();
  report.checkpoint = loop.checkpoint();
  if (report.reason != StopReason::interrupted)
    if (Status status = evaluateAt(report.lastStep, report.after); !status)
      return status;
  return report;
}

} // namespace

Result<Split> loadSplit(const RunConfig &config) {
  Result<std::vector<Document>> documents = loadDocuments(config.dataPath);
  if (!documents)
    return documents.status();
  if (!config.heldOut.empty())
    return splitByName(std::move(*documents), config.heldOut);
  return splitByFraction(std::move(*documents), config.heldOutFraction);
}

Result<TrainReport> train(Session &session, RunConfig config, ExistingRun existing, Console &console,
                          Requests &requests) {
  TrainRun run(session, std::move(config), existing, console, requests);
  if (Status status = run.prepare(); !status)
    return status;
  if (Status status = run.open(); !status)
    return status;
  return run.execute();
}

} // namespace moe::engine
