//===- Train.cpp - moe-run train ------------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/ChromeTrace.h"
#include "lib/Engine/Report/TrainReport.h"
#include "lib/Engine/Training/TrainRun.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"

#include <cstdio>
#include <filesystem>

namespace moe::run {
namespace {

constexpr const char *kExamples =
    "  moe-run train tiny.moe --data kjv/ --run runs/tiny --steps 1200\n"
    "  moe-run train tiny.moe --run runs/tiny --resume\n"
    "  moe-run train tiny.moe --config tiny.toml --set optimizer.schedule=cosine --time-limit 1h\n";

struct TrainOptions {
  ConfigOptions config;
  OutputOptions output;
  std::string trace;
  bool resume = false, overwrite = false, listKeys = false;
};

void listKeys() {
  for (const engine::ConfigKey &key : engine::configKeys())
    std::printf("%-26s %s\n", std::string(key.name).c_str(), std::string(key.help).c_str());
}

/// A run that is resumed keeps its settings, except for those given anew.
Result<engine::RunConfig> resolve(const TrainOptions &options, engine::Console &console) {
  Result<engine::RunConfig> config = options.config.resolve();
  if (!config || !options.resume || config->runDirectory.empty())
    return config;
  const std::string earlier = config->runDirectory + "/config.toml";
  if (!std::filesystem::exists(earlier))
    return config;
  engine::ConfigLoader before;
  if (Status status = before.loadFile(earlier); !status)
    return status;
  config = options.config.resolve(earlier);
  if (config)
    for (const std::string &change : engine::resultChanges(before.config(), *config))
      console.warning(change + ": the result will differ from that of an uninterrupted run");
  return config;
}

Status runTrain(const TrainOptions &options) {
  if (options.listKeys) {
    listKeys();
    return {};
  }
  engine::Console console(options.output.console);
  Result<engine::RunConfig> config = resolve(options, console);
  if (!config)
    return config.status();
  Result<std::unique_ptr<Session>> session = openSession(*config);
  if (!session)
    return session.status();
  Result<std::unique_ptr<engine::ChromeTrace>> trace = engine::ChromeTrace::create(**session, options.trace);
  if (!trace)
    return trace.status();
  (*session)->setObserver((*trace)->observer());
  const engine::ExistingRun existing = options.resume      ? engine::ExistingRun::resume
                                       : options.overwrite ? engine::ExistingRun::overwrite
                                                           : engine::ExistingRun::refuse;
  engine::Interrupts interrupts;
  Result<engine::TrainReport> report = engine::train(**session, *config, existing, console, interrupts);
  if (!report)
    return report.status();
  const std::string text =
      options.output.json ? engine::trainReportToJson(*report).dump(2) + "\n" : engine::formatTrainReport(*report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const Status traced = (*trace)->finish();
  if (report->reason != engine::StopReason::interrupted)
    return traced;
  if (!traced)
    console.warning(traced.message());
  return Status(ErrorCode::interrupted, "interrupted; everything is saved, continue with --resume");
}

} // namespace

Command addTrain(CLI::App &root) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App *app = addSubcommand(root, "train", "Train a model on text.", kExamples);
  ConfigOptions &config = options->config;
  config.declare(*app);
  config.flag(*app, "--data", "data.path");
  config.flag(*app, "--run", "run.directory");
  config.flag(*app, "--steps", "training.steps");
  config.flag(*app, "--seed", "run.seed");
  config.flag(*app, "--threads", "run.threads");
  config.flag(*app, "--device", "run.device");
  config.flag(*app, "--learning-rate", "optimizer.learning_rate");
  config.flag(*app, "--schedule", "optimizer.schedule");
  config.flag(*app, "--warmup", "optimizer.warmup");
  config.flag(*app, "--decay-fraction", "optimizer.decay_fraction");
  config.flag(*app, "--save-every", "training.save_every");
  config.flag(*app, "--eval-every", "training.eval_every");
  config.flag(*app, "--keep", "training.keep");
  config.flag(*app, "--time-limit", "training.time_limit");
  config.flag(*app, "--held-out-fraction", "data.held_out_fraction");
  CLI::Option *resume = app->add_flag("--resume", options->resume, "continue the run after its newest checkpoint");
  app->add_flag("--overwrite", options->overwrite, "replace an earlier run in the same directory")->excludes(resume);
  app->add_flag("--list-keys", options->listKeys, "print all configuration keys and end");
  declareTrace(*app, options->trace);
  options->output.declare(*app);
  app->footer("SIGINT or SIGTERM finishes the step, saves and ends with exit code 75; a second one ends at once.\n"
              "SIGUSR1 saves a checkpoint. The time limit counts training only, not evaluation.");
  return {app, [options] { return runTrain(*options); }};
}

} // namespace moe::run
