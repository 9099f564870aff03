//===- Metrics.cpp - Metrics as JSON lines --------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/Metrics.h"

#include "lib/Engine/Support/Files.h"

#include <filesystem>
#include <numeric>

namespace moe::engine {

/// The lines of `text` that belong to steps up to `step`.
static std::string linesUpTo(std::string_view text, std::int64_t step) {
  std::string kept;
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    const std::string_view line = text.substr(0, end + 1);
    Result<Json> json = parseJson(line);
    if (json && json->is_object() && json->value("step", Json(INT64_MAX)) <= step)
      kept += line;
  }
  return kept;
}

Result<MetricsLog> MetricsLog::open(const std::string &path, std::int64_t step) {
  if (std::filesystem::exists(path)) {
    Result<std::string> text = readFile(path);
    if (!text)
      return text.status();
    if (Status status = replaceFile(path, linesUpTo(*text, step)); !status)
      return status;
  }
  std::ofstream file(path, std::ios::app);
  if (!file)
    return systemError(ErrorCode::failed, "cannot write", path);
  return MetricsLog(path, std::move(file));
}

Status MetricsLog::append(const Json &object) {
  file << object.dump() << '\n' << std::flush;
  if (!file)
    return systemError(ErrorCode::failed, "cannot write", path);
  return {};
}

Json stepMetrics(const StepResult &result, const ModelInfo &model, double seconds) {
  Json layers = Json::object();
  for (const ExpertLoad &load : result.loads) {
    const LoadStatistics statistics = describeLoad(load.tokens);
    const std::int64_t routed = std::accumulate(load.tokens.begin(), load.tokens.end(), std::int64_t(0));
    layers[std::to_string(load.layer)] = {
        {"utilisation", statistics.utilisation},
        {"coefficient_of_variation", statistics.coefficientOfVariation},
        {"dead_fraction", statistics.deadFraction},
        {"effective_experts", statistics.effectiveExperts},
        {"dropped_tokens", (result.tokens + result.maskedTokens) * model.topK - routed},
    };
  }
  return {{"step", result.step},
          {"loss", result.loss},
          {"aux_loss", result.auxLoss},
          {"learning_rate", result.learningRate},
          {"grad_norm", result.gradNorm},
          {"tokens", result.tokens},
          {"tokens_per_second", static_cast<double>(result.tokens) / seconds},
          {"seconds", seconds},
          {"layers", std::move(layers)}};
}

Json evaluationMetrics(std::int64_t step, const Evaluation &evaluation) {
  return {{"step", step},
          {"nats_per_byte", evaluation.nats()},
          {"bytes", static_cast<std::int64_t>(evaluation.tokens)},
          {"seconds", evaluation.seconds}};
}

} // namespace moe::engine
