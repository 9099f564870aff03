//===- Doctor.cpp - moe-run doctor ----------------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Doctor.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/CommonOptions.h"

#include <cstdio>

namespace moe::run {
namespace {

constexpr const char *kExamples = "  moe-run doctor\n"
                                  "  moe-run doctor --target cuda\n"
                                  "  moe-run doctor --json | jq .devices\n";

struct DoctorFlags {
  engine::DoctorOptions options;
  bool json = false;
};

Status runDoctor(const DoctorFlags &flags) {
  const engine::DoctorReport report = engine::examine(flags.options);
  const std::string text =
      flags.json ? engine::doctorReportToJson(report).dump(2) + "\n" : engine::formatDoctorReport(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  // The exit code is 0 or 1, whatever the reason.
  return report.verdict ? Status() : Status(ErrorCode::failed, report.verdict.message());
}

} // namespace

Command addDoctor(CLI::App &root) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App *app =
      addSubcommand(root, "doctor",
                    "Say what this machine can run, and test it. Exits with 1 if something does not work.", kExamples);
  app->add_option("--target", flags->options.target, "only this driver; an error if it has no device")
      ->type_name("NAME");
  app->add_flag("!--no-self-test", flags->options.selfTest, "only look, do not test");
  app->add_flag("--json", flags->json, "the report as JSON");
  return {app, [flags] { return runDoctor(*flags); }};
}

} // namespace moe::run
