//===- TrainRun.h - A whole training run ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_TRAINRUN_H
#define LIB_ENGINE_TRAINING_TRAINRUN_H

#include "lib/Engine/Config/RunConfig.h"
#include "lib/Engine/Data/Split.h"
#include "lib/Engine/Training/TrainLoop.h"

#include <optional>

namespace moe::engine {

/// What to do if the run directory already holds a run.
enum class ExistingRun {
  refuse,
  resume,   ///< Continue after its newest valid checkpoint; start from the beginning if there is none.
  overwrite ///< Remove its checkpoints and metrics.
};

struct TrainReport {
  StopReason reason = StopReason::finished;
  std::int64_t firstStep = 0, lastStep = 0, steps = 0; ///< Before, after, and wanted.
  std::int64_t tokens = 0;
  double seconds = 0; ///< Of training.
  std::size_t heldOutDocuments = 0;
  std::optional<Evaluation> before = {}, after = {};
  std::vector<ExpertLoad> loads = {};
  std::int64_t loadWindow = 0; ///< Steps that `loads` were summed over.
  std::string checkpoint = {};
};

/// The split that `config` asks for.
Result<Split> loadSplit(const RunConfig &config);

/// Trains `session` as `config` says and leaves a run directory:
///
///   config.toml         the resolved configuration with the exact held-out documents
///   metrics.jsonl       one object a step
///   evaluations.jsonl   one object an evaluation
///   checkpoints/step-N
Result<TrainReport> train(Session &session, RunConfig config, ExistingRun existing, Console &console,
                          Requests &requests);

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_TRAINRUN_H
