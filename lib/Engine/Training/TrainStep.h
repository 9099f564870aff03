//===- TrainStep.h - One optimizer step -------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_TRAINSTEP_H
#define LIB_ENGINE_TRAINING_TRAINSTEP_H

#include "lib/Engine/Data/Batches.h"
#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Training/ExpertLoad.h"

namespace moe::engine {

struct StepResult {
  std::int64_t step = 0;
  double learningRate = 0;
  double loss = 0;     ///< Mean over the unmasked tokens, in nats, without the auxiliary loss.
  double auxLoss = 0;  ///< Of all layers, weighted.
  double gradNorm = 0; ///< Before clipping.
  std::int64_t tokens = 0, maskedTokens = 0;
  std::vector<ExpertLoad> loads = {}; ///< Masked tokens are routed too and counted.
};

/// The entry point `train_step`.
class TrainStep {
public:
  static Result<TrainStep> create(Session &session, const ModelInfo &model);

  /// Trains on `batch` as step `step` >= 1. An error of code `numerics` if loss or gradient norm is not finite: it
  /// names the first variable that is not. If the gradient norm is not, the step has changed no variable.
  Result<StepResult> run(std::int64_t step, double learningRate, const Batch &batch);

private:
  TrainStep(Session &session, const ModelInfo &model, EntryPoint &entry)
      : session(session), model(model), entry(entry) {}

  Status checkFinite(const StepResult &result);

  Session &session;
  const ModelInfo &model;
  EntryPoint &entry;
};

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_TRAINSTEP_H
