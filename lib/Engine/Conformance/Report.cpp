//===- Report.cpp - What the conformance suite found -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Conformance/Conformance.h"

#include "lib/Engine/Report/Table.h"
#include "lib/Engine/Support/Strings.h"

#include <cmath>

namespace moe::engine {

constexpr int kSchemaVersion = 1; ///< Of conformanceJson.

static std::string percent(double share) { return std::isfinite(share) ? format("%.1f %%", 100 * share) : "∞"; }

static std::string caseTable(const TargetResult &result) {
  const bool timed = !result.cases.empty() && result.cases.front().seconds >= 0;
  std::vector<std::string> header = {"op", "case", "type", "worst error", "tolerance", "used"};
  if (timed)
    header.push_back("µs");
  Table table(header, timed ? "lllrrrr" : "lllrrr");
  for (const CaseResult &entry : result.cases) {
    const WorstElement &worst = entry.worst;
    std::vector<std::string> row = {entry.listed.op, entry.listed.name + (entry.listed.gradient ? ", gradient" : ""),
                                    entry.listed.storage};
    const bool exact = worst.error() == 0;
    row.push_back(exact ? "0" : format("%.1e", worst.error()));
    row.push_back(exact ? "" : format("%.1e", worst.tolerance));
    row.push_back(!entry.problem.empty() ? "FAILED" : exact ? "" : percent(worst.share()));
    if (timed)
      row.push_back(entry.seconds < 0 ? "" : format("%.1f", entry.seconds * 1e6));
    table.add(row);
  }
  return table.text();
}

static std::string summary(const TargetResult &result) {
  std::string text;
  for (const CaseResult &entry : result.cases)
    if (!entry.problem.empty())
      text += "FAILED " + entry.listed.entry + ": " + entry.problem + "\n";
  if (const CaseResult *worst = result.worst())
    text += "worst of all: " + worst->listed.entry + " uses " + percent(worst->worst.share()) + " of its tolerance\n";
  text += format("%s: %zu of %zu cases failed\n", result.target.c_str(), result.numFailed(), result.cases.size());
  return text;
}

std::string conformanceText(const std::vector<TargetResult> &results) {
  std::string text;
  for (const TargetResult &result : results) {
    text += text.empty() ? "" : "\n";
    if (!result.notRun.empty())
      text += result.target + ": not run: " + result.notRun + "\n";
    else
      text += result.target + " on " + result.device + "\n" + caseTable(result) + summary(result);
  }
  return text;
}

/// JSON has no infinity.
static Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

static Json toJson(const CaseResult &entry) {
  const WorstElement &worst = entry.worst;
  Json json = {{"entry", entry.listed.entry},
               {"op", entry.listed.op},
               {"case", entry.listed.name},
               {"storage", entry.listed.storage},
               {"gradient", entry.listed.gradient},
               {"passed", entry.problem.empty()},
               {"output", worst.output},
               {"error", number(worst.error())},
               {"tolerance", worst.tolerance},
               {"share", number(worst.share())}};
  if (!entry.problem.empty())
    json["problem"] = entry.problem;
  if (entry.seconds >= 0)
    json["seconds"] = entry.seconds;
  return json;
}

Json conformanceJson(const std::vector<TargetResult> &results) {
  Json targets = Json::array();
  for (const TargetResult &result : results) {
    Json target = {{"target", result.target}};
    if (!result.notRun.empty()) {
      target["not_run"] = result.notRun;
    } else {
      target["device"] = result.device;
      target["failed"] = result.numFailed();
      target["cases"] = Json::array();
      for (const CaseResult &entry : result.cases)
        target["cases"].push_back(toJson(entry));
    }
    targets.push_back(target);
  }
  return {{"schema_version", kSchemaVersion}, {"targets", targets}};
}

} // namespace moe::engine
