//===- Evaluation.h - Loss on held-out text ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_TRAINING_EVALUATION_H
#define LIB_ENGINE_TRAINING_EVALUATION_H

#include "lib/Engine/Data/Documents.h"
#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Support/Console.h"
#include "lib/Engine/Training/ExpertLoad.h"

#include <functional>
#include <optional>

namespace moe::engine {

struct Evaluation {
  double lossSum = 0; ///< In nats.
  double tokens = 0;  ///< Bytes: the tokenizer is the identity.
  double seconds = 0;
  std::vector<ExpertLoad> loads; ///< Masked positions of the last windows included.

  double nats() const { return lossSum / tokens; }
};

/// Runs the entry point `evaluate` over `documents`. Asks `cancelled` between batches; if so there is no evaluation.
Result<std::optional<Evaluation>> evaluate(
    Session &session, const ModelInfo &model, const std::vector<Document> &documents, Console &console,
    const std::function<bool()> &cancelled = [] { return false; });

} // namespace moe::engine

#endif // LIB_ENGINE_TRAINING_EVALUATION_H
