//===- Eval.cpp - moe-run eval --------------------------------------------===//
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

namespace moe::run {
namespace {

constexpr const char *kExamples = "  moe-run eval tiny.moe --checkpoint runs/tiny\n"
                                  "  moe-run eval tiny.moe --checkpoint runs/tiny --data other.txt --part all --json\n";

struct EvalOptions {
  ConfigOptions config;
  OutputOptions output;
  std::string checkpoint, part = "held-out", trace;
};

Result<std::vector<engine::Document>> selectDocuments(const engine::RunConfig &config, const std::string &part) {
  if (config.dataPath.empty())
    return Status(ErrorCode::configuration, "no data; give --data PATH or set data.path");
  if (part == "all")
    return engine::loadDocuments(config.dataPath);
  Result<engine::Split> split = engine::loadSplit(config);
  if (!split)
    return split.status().withContext("cannot tell the held-out part (choose --part all for everything)");
  if (split->heldOut.empty() && part == "held-out")
    return Status(ErrorCode::configuration, "nothing is held out; choose --part all or set data.held_out_fraction");
  return part == "held-out" ? std::move(split->heldOut) : std::move(split->training);
}

Status runEval(const EvalOptions &options) {
  engine::Console console(options.output.console);
  // The run knows its data and what it held out.
  Result<engine::RunConfig> config = options.config.resolve(findRunConfig(options.checkpoint));
  if (!config)
    return config.status();
  Result<std::vector<engine::Document>> documents = selectDocuments(*config, options.part);
  if (!documents)
    return documents.status();
  Result<std::unique_ptr<Session>> session = openSession(*config);
  if (!session)
    return session.status();
  Result<engine::ModelInfo> model = engine::readModelInfo((*session)->artifact());
  if (!model)
    return model.status();
  if (Status status = restoreModel(**session, options.checkpoint, console); !status)
    return status;
  Result<std::unique_ptr<engine::ChromeTrace>> trace = engine::ChromeTrace::create(**session, options.trace);
  if (!trace)
    return trace.status();
  (*session)->setObserver((*trace)->observer());
  Result<std::optional<engine::Evaluation>> evaluation = engine::evaluate(**session, *model, *documents, console);
  if (!evaluation)
    return evaluation.status();
  const std::string text = options.output.json ? engine::evaluationToJson(**evaluation, *documents).dump(2) + "\n"
                                               : engine::formatEvaluation(**evaluation, *documents);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return (*trace)->finish();
}

} // namespace

Command addEval(CLI::App &root) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App *app = addSubcommand(root, "eval", "Measure the loss on text, in nats per byte.", kExamples);
  ConfigOptions &config = options->config;
  config.declare(*app);
  app->add_option("--checkpoint", options->checkpoint, "a run directory (its newest checkpoint) or a checkpoint")
      ->required()
      ->type_name("DIR");
  config.flag(*app, "--data", "data.path");
  config.flag(*app, "--held-out-fraction", "data.held_out_fraction");
  config.flag(*app, "--threads", "run.threads");
  config.flag(*app, "--device", "run.device");
  app->add_option("--part", options->part, "which documents: held-out (default), training or all")
      ->check(CLI::IsMember({"held-out", "training", "all"}));
  declareTrace(*app, options->trace);
  options->output.declare(*app);
  return {app, [options] { return runEval(*options); }};
}

} // namespace moe::run
