//===- Bench.cpp - moe-run bench ---------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Bench.h"
#include "lib/Engine/Report/ChromeTrace.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"

#include <cstdio>

namespace moe::run {
namespace {

constexpr const char *kExamples = "  moe-run bench tiny.moe\n"
                                  "  moe-run bench tiny.moe --entry decode_step --repeat 200 --threads 1\n"
                                  "  moe-run bench tiny.moe --json | jq '.kernels[0]'\n";

struct BenchOptions {
  std::string artifact, entry = "train_step", trace;
  int repeat = 20;
  DriverOptions driver;
  bool json = false;
};

Status runBench(const BenchOptions &options) {
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.artifact);
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
  const std::string text = options.json ? engine::benchJson(*result).dump(2) + "\n" : engine::benchText(*result);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return (*trace)->finish();
}

} // namespace

Command addBench(CLI::App &root) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *app = addSubcommand(root, "bench", "Time an entry point and each of its kernels.", kExamples);
  app->add_option("artifact", options->artifact, "the compiled model")->required()->type_name("FILE");
  app->add_option("--entry", options->entry, "the entry point")->type_name("NAME")->capture_default_str();
  app->add_option("--repeat", options->repeat, "runs to take the median of")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--threads", options->driver.threads, "worker threads; 0 is one per core")->type_name("N");
  declareTrace(*app, options->trace);
  app->add_flag("--json", options->json, "the report as JSON");
  return {app, [options] { return runBench(*options); }};
}

} // namespace moe::run
