//===- Conformance.cpp - moe-run conformance ---------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Conformance/Conformance.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"

#include <cstdio>

namespace moe::run {
namespace {

constexpr const char *kExamples = "  moe-run conformance --target cpu\n"
                                  "  moe-run conformance bundle/ --target cuda:sm_90a --time\n"
                                  "  moe-run conformance --filter '^attention.*bf16' --json\n";

struct ConformanceFlags {
  std::string bundle, target;
  engine::ConformanceOptions options;
  DriverOptions driver;
  bool json = false;
};

/// "cuda" selects "cuda:sm_80", and so does the whole name.
bool isSelected(const std::string &target, const std::string &wanted) {
  return wanted.empty() || target == wanted || target.substr(0, target.find(':')) == wanted;
}

/// The results of one artifact. One that this machine cannot run is an error only if it was asked for.
Result<engine::TargetResult> runArtifact(const ConformanceFlags &flags, const engine::ConformanceBundle &bundle,
                                         std::shared_ptr<const Artifact> artifact) {
  Result<std::unique_ptr<Session>> session = Session::create(artifact, flags.driver);
  if (session)
    return engine::runConformance(**session, bundle, flags.options);
  if (!flags.target.empty() || session.status().code() != ErrorCode::unsupportedModel)
    return session.status();
  return engine::TargetResult{engine::targetOf(*artifact), "", {}, session.status().message()};
}

Status runConformance(const ConformanceFlags &flags) {
  std::string directory = flags.bundle;
  if (directory.empty()) {
    std::optional<std::string> found = engine::findConformanceBundle();
    if (!found)
      return Status(ErrorCode::usage, "there is no conformance bundle beside this program; name one, or make it with "
                                      "moe-conformance");
    directory = *found;
  }
  Result<engine::ConformanceBundle> bundle = engine::ConformanceBundle::open(directory);
  if (!bundle)
    return bundle.status();

  std::vector<engine::TargetResult> results;
  std::string targets;
  for (const std::string &path : bundle->artifacts()) {
    Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(path);
    if (!artifact)
      return artifact.status();
    const std::string target = engine::targetOf(**artifact);
    targets += (targets.empty() ? "" : ", ") + target;
    if (!isSelected(target, flags.target))
      continue;
    Result<engine::TargetResult> result = runArtifact(flags, *bundle, *artifact);
    if (!result)
      return result.status();
    results.push_back(std::move(*result));
  }
  if (results.empty())
    return Status(ErrorCode::usage,
                  "'" + directory + "' has no artifact for '" + flags.target + "'; it is compiled for: " + targets);
  const std::string text =
      flags.json ? engine::conformanceJson(results).dump(2) + "\n" : engine::conformanceText(results);
  std::fwrite(text.data(), 1, text.size(), stdout);

  std::size_t failed = 0, run = 0;
  for (const engine::TargetResult &result : results) {
    failed += result.numFailed();
    run += result.cases.size();
  }
  if (failed)
    return Status(ErrorCode::numerics, std::to_string(failed) + " of " + std::to_string(run) + " cases failed");
  return run ? Status() : Status(ErrorCode::unsupportedModel, "this machine can run none of the artifacts");
}

} // namespace

Command addConformance(CLI::App &root) {
  auto flags = std::make_shared<ConformanceFlags>();
  CLI::App *app = addSubcommand(
      root, "conformance", "Run every op on a target and compare with the reference. Exits with 7 if a case fails.",
      kExamples);
  app->add_option("bundle", flags->bundle, "what moe-conformance wrote; if not given, what came with this program")
      ->type_name("DIRECTORY");
  app->add_option("--target", flags->target, "only this target; an error if it cannot run here")
      ->type_name("NAME[:ARCH]");
  app->add_option("--filter", flags->options.filter, "only cases whose names have a match")->type_name("REGEX");
  app->add_flag("--time", flags->options.time, "time each case as well (median of 20 runs)");
  app->add_option("--threads", flags->driver.threads, "worker threads; 0 is one per core")->type_name("N");
  app->add_option("--device", flags->driver.device, "which of several devices")->type_name("N");
  app->add_flag("--json", flags->json, "the report as JSON");
  return {app, [flags] { return runConformance(*flags); }};
}

} // namespace moe::run
