//===- Bench.cpp - moe-run bench ---------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Bench/LayerBench.h"
#include "lib/Engine/Report/Bench.h"
#include "lib/Engine/Report/ChromeTrace.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"
#include "tools/moe-run/UsageError.h"

#include <cstdio>
#include <filesystem>

namespace moe::run {
namespace {

constexpr const char *kExamples = "  moe-run bench tiny.moe\n"
                                  "  moe-run bench tiny.moe --entry decode_step --repeat 200 --threads 1\n"
                                  "  moe-run bench tiny.moe --json | jq '.kernels[0]'\n"
                                  "  moe-run bench layers/ --shape qwen3-30b-a3b,olmoe --tokens 1,8192 --kernels\n";

struct BenchOptions {
  std::string path, entry = "train_step", trace;
  int repeat = 20;
  DriverOptions driver;
  OutputOptions output;
  engine::LayerSelection selection;
  std::vector<std::string> routings;
  engine::LayerBenchOptions layers;
};

void print(const std::string &text) { std::fwrite(text.data(), 1, text.size(), stdout); }

/// A folder of moe-bench.
Status runLayers(const BenchOptions &options) {
  Result<engine::LayerFolder> folder = engine::LayerFolder::open(options.path);
  if (!folder)
    return folder.status();
  if (Status status = folder->select(options.selection); !status)
    return status;
  engine::LayerBenchOptions layers = options.layers;
  if (!options.routings.empty())
    layers.routings.clear();
  for (const std::string &name : options.routings)
    layers.routings.push_back(name == "uniform" ? engine::Routing::uniform : engine::Routing::skewed);
  engine::Console console(options.output.console);
  Result<engine::LayerBenchResult> result =
      engine::benchLayers(*folder, layers, options.driver,
                          [&](const engine::LayerPoint &point) { console.info(engine::pointText(point)); });
  if (!result)
    return result.status();
  print(options.output.json ? engine::layerBenchJson(*result).dump(2) + "\n" : engine::layerBenchText(*result));
  return {};
}

Status runEntryPoint(const BenchOptions &options) {
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.path);
  if (!artifact)
    return artifact.status();
  Result<std::unique_ptr<Session>> session = Session::create(*artifact, options.driver);
  if (!session)
    return session.status();
  Result<std::unique_ptr<engine::ChromeTrace>> trace = engine::ChromeTrace::create(**session, options.trace);
  if (!trace)
    return trace.status();
  Result<engine::BenchResult> result =
      engine::bench(**session, options.entry, options.repeat, (*trace)->observer());
  if (!result)
    return result.status();
  print(options.output.json ? engine::benchJson(*result).dump(2) + "\n" : engine::benchText(*result));
  return (*trace)->finish();
}

/// The first of `options` that was given, null if there is none.
const CLI::Option *findGiven(const std::vector<CLI::Option *> &options) {
  for (const CLI::Option *option : options)
    if (option->count() > 0)
      return option;
  return nullptr;
}

Status runBench(const BenchOptions &options, const std::vector<CLI::Option *> &ofModel, CLI::App &grid) {
  const bool isFolder = std::filesystem::is_directory(options.path);
  const CLI::Option *wrong = isFolder ? findGiven(ofModel) : findGiven(grid.get_options());
  if (wrong)
    return Status(ErrorCode::usage, wrong->get_name() + (isFolder ? " is for a compiled model, but '"
                                                                  : " is for a folder of compiled layers, but '") +
                                        options.path + (isFolder ? "' is a folder" : "' is none"));
  return isFolder ? runLayers(options) : runEntryPoint(options);
}

} // namespace

Command addBench(CLI::App &root) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *app = addSubcommand(root, "bench",
                                "Time an entry point and each of its kernels, or the layers that moe-bench compiled.",
                                kExamples);
  app->add_option("path", options->path, "the compiled model, or a folder of compiled layers")
      ->required()
      ->type_name("PATH");
  std::vector<CLI::Option *> ofModel = {
      app->add_option("--entry", options->entry, "the entry point")->type_name("NAME")->capture_default_str(),
      app->add_option("--repeat", options->repeat, "runs to take the median of")
          ->check(atLeast(1))
          ->type_name("N")
          ->capture_default_str()};
  declareTrace(*app, options->trace);
  ofModel.push_back(app->get_option("--trace"));
  app->add_option("--threads", options->driver.threads, "worker threads; 0 is one per core")->type_name("N");
  app->add_option("--device", options->driver.device, "which of several devices")->type_name("N");
  options->output.declare(*app);

  CLI::Option_group *grid = app->add_option_group("Layers", "For a folder: what to run of it, everything by default");
  grid->add_option("--shape", options->selection.shapes, "layers, by name")->delimiter(',')->type_name("NAME,...");
  grid->add_option("--tokens", options->selection.tokens, "numbers of tokens")->delimiter(',')->type_name("N,...");
  grid->add_option("--dtype", options->selection.dtypes, "storage types")->delimiter(',')->type_name("TYPE,...");
  grid->add_option("--routing", options->routings, "uniform, or skewed: one expert has four times the mean load")
      ->delimiter(',')
      ->check(CLI::IsMember({"uniform", "skewed"}))
      ->type_name("NAME,...");
  grid->add_option("--seconds", options->layers.repeat.seconds, "repeat each point for so long, but at least ten times")
      ->check(atLeast(0))
      ->type_name("S")
      ->capture_default_str();
  grid->add_flag("--kernels", options->layers.kernels, "the time of each kernel, too");
  grid->add_option("--save", options->layers.save, "write inputs, weights and outputs of each point to this folder")
      ->type_name("DIRECTORY");
  return {app, [options, ofModel, grid] { return runBench(*options, ofModel, *grid); }};
}

} // namespace moe::run
