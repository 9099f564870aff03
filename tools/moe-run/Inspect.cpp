//===- Inspect.cpp - moe-run inspect --------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Inspect.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"

#include <cstdio>

namespace moe::run {
namespace {

constexpr const char *kExamples = "  moe-run inspect tiny.moe\n"
                                  "  moe-run inspect tiny.moe --section memory --section kernels\n"
                                  "  moe-run inspect tiny.moe --json | jq .memory.total_bytes\n";

struct InspectOptions {
  std::string artifact;
  std::vector<std::string> sections;
  bool json = false;
};

Status runInspect(const InspectOptions &options) {
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.artifact);
  if (!artifact)
    return artifact.status();
  const std::set<std::string> sections(options.sections.begin(), options.sections.end());
  std::string text;
  if (options.json) {
    Result<engine::Json> json = engine::inspectJson(**artifact, sections);
    if (!json)
      return json.status();
    text = json->dump(2) + "\n";
  } else {
    Result<std::string> report = engine::inspectText(**artifact, sections);
    if (!report)
      return report.status();
    text = *report;
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

} // namespace

Command addInspect(CLI::App &root) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App *app = addSubcommand(root, "inspect", "Print what is in an artifact.", kExamples);
  app->add_option("artifact", options->artifact, "the compiled model")->required()->type_name("FILE");
  const std::span<const std::string> sections = engine::inspectSections();
  app->add_option("--section", options->sections, "only this section; may be repeated")
      ->check(CLI::IsMember(std::vector<std::string>(sections.begin(), sections.end())))
      ->expected(1)
      ->take_all();
  app->add_flag("--json", options->json, "the report as JSON");
  return {app, [options] { return runInspect(*options); }};
}

} // namespace moe::run
