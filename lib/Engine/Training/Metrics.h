//===- Metrics.h - Metrics as JSON lines ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_METRICS_H
#define LIB_ENGINE_TRAINING_METRICS_H

#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Training/Evaluation.h"
#include "lib/Engine/Training/TrainStep.h"

#include <fstream>
#include <string>

namespace moe::engine {

/// A file with one JSON object a line, each with a "step".
class MetricsLog {
public:
  /// Opens `path` to append. Lines after step `step`, of a run that is being resumed there, and a torn last line are
  /// removed.
  static Result<MetricsLog> open(const std::string &path, std::int64_t step);

  /// Appends one line and hands it to the operating system.
  Status append(const Json &object);

private:
  MetricsLog(std::string path, std::ofstream file) : path(std::move(path)), file(std::move(file)) {}

  std::string path;
  std::ofstream file;
};

/// {"step", "loss", "aux_loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second", "seconds", "layers"};
/// "layers" maps a sparse layer to its utilisation, coefficient_of_variation, dead_fraction, effective_experts
/// (exp(entropy)/E) and dropped_tokens.
Json stepMetrics(const StepResult &result, const ModelInfo &model, double seconds);

/// {"step", "nats_per_byte", "bytes", "seconds"}
Json evaluationMetrics(std::int64_t step, const Evaluation &evaluation);

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_METRICS_H
