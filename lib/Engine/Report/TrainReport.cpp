//===- TrainReport.cpp - Reports of training and evaluation ---------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/TrainReport.h"

#include "lib/Engine/Report/LoadTable.h"
#include "lib/Engine/Report/Table.h"
#include "lib/Engine/Support/Strings.h"

#include <cmath>
#include <numbers>

namespace moe::engine {
namespace {

constexpr int kSchemaVersion = 1;

const char *name(StopReason reason) {
  switch (reason) {
  case StopReason::finished:
    return "finished";
  case StopReason::timeLimit:
    return "time_limit";
  case StopReason::interrupted:
    return "interrupted";
  }
  return "";
}

std::string lossText(const Evaluation &evaluation) {
  return format("%.4f nats/byte (%.4f bits)", evaluation.nats(), evaluation.nats() / std::numbers::ln2);
}

std::string endText(const TrainReport &report) {
  const std::string where =
      format("step %lld of %lld", static_cast<long long>(report.lastStep), static_cast<long long>(report.steps));
  switch (report.reason) {
  case StopReason::finished:
    return where;
  case StopReason::timeLimit:
    return where + ", where the time limit was reached; continue with --resume";
  case StopReason::interrupted:
    return where + ", where it was interrupted; continue with --resume";
  }
  return where;
}

Json optionalLoss(const std::optional<Evaluation> &evaluation) {
  return evaluation ? Json(evaluation->nats()) : Json();
}

} // namespace

std::string formatTrainReport(const TrainReport &report) {
  Table table({"", ""}, "ll", /*indent=*/0);
  if (report.before)
    table.add({"held-out before", lossText(*report.before)});
  if (report.after)
    table.add({"held-out after", lossText(*report.after)});
  table.add({"trained to", endText(report)});
  if (report.tokens > 0)
    table.add({"tokens", format("%s in %s, %s tokens/s", formatCount(static_cast<double>(report.tokens)).c_str(),
                                formatDuration(report.seconds).c_str(),
                                formatCount(static_cast<double>(report.tokens) / report.seconds).c_str())});
  table.add({"checkpoint", report.checkpoint});
  std::string text = table.text();
  if (!report.loads.empty())
    text += "\n" + formatLoadTable(report.loads,
                                   format("the last %lld training steps", static_cast<long long>(report.loadWindow)));
  return text;
}

Json trainReportToJson(const TrainReport &report) {
  return {{"schema_version", kSchemaVersion},
          {"end", name(report.reason)},
          {"first_step", report.firstStep},
          {"last_step", report.lastStep},
          {"steps", report.steps},
          {"tokens", report.tokens},
          {"seconds", report.seconds},
          {"held_out_documents", report.heldOutDocuments},
          {"held_out_nats_per_byte_before", optionalLoss(report.before)},
          {"held_out_nats_per_byte_after", optionalLoss(report.after)},
          {"checkpoint", report.checkpoint},
          {"load_window_steps", report.loadWindow},
          {"expert_load", loadTableToJson(report.loads)}};
}

std::string formatEvaluation(const Evaluation &evaluation, const std::vector<Document> &documents) {
  Table table({"", ""}, "ll", /*indent=*/0);
  table.add({"loss", lossText(evaluation)});
  table.add({"text", format("%s in %zu documents", formatBytes(totalBytes(documents)).c_str(), documents.size())});
  table.add({"time", format("%.2f s, %s tokens/s", evaluation.seconds,
                            formatCount(evaluation.tokens / evaluation.seconds).c_str())});
  std::string text = table.text();
  if (!evaluation.loads.empty())
    text += "\n" + formatLoadTable(evaluation.loads, "this text");
  return text;
}

Json evaluationToJson(const Evaluation &evaluation, const std::vector<Document> &documents) {
  Json names = Json::array();
  for (const Document &document : documents)
    names.push_back(document.name);
  return {{"schema_version", kSchemaVersion}, {"nats_per_byte", evaluation.nats()},
          {"bytes", totalBytes(documents)},   {"documents", std::move(names)},
          {"seconds", evaluation.seconds},    {"expert_load", loadTableToJson(evaluation.loads)}};
}

} // namespace moe::engine
