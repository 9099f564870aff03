//===- Evaluation.cpp - Loss on held-out text -----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/Evaluation.h"

#include "lib/Engine/Data/Batches.h"
#include "lib/Engine/Support/Strings.h"
#include "lib/Engine/Training/Ports.h"

#include <chrono>
#include <cmath>

namespace moe::engine {

Result<std::optional<Evaluation>> evaluate(Session &session, const ModelInfo &model,
                                           const std::vector<Document> &documents, Console &console,
                                           const std::function<bool()> &cancelled) {
  Result<EntryPoint *> found = requireEntryPoint(session, "evaluate", "to evaluate");
  if (!found)
    return found.status();
  if (!model.training)
    return Status(ErrorCode::unsupportedModel,
                  "'" + session.artifact().path() + "' gives no batch size to evaluate with");
  EntryPoint &entry = **found;
  const EvaluationBatches batches(documents, model.training->batchSize, model.training->sequenceLength);
  Batch batch(model.training->batchSize, model.training->sequenceLength);

  Evaluation evaluation;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (std::int64_t i = 0; i < batches.count(); ++i) {
    if (cancelled())
      return std::optional<Evaluation>();
    batches.fill(i, batch);
    if (Status status = setBatch(entry, batch); !status)
      return status;
    if (Status status = entry.run(); !status)
      return status;
    double lossSum = 0, weightSum = 0;
    if (Status status = firstError({getScalar(entry, "loss_sum", lossSum), getScalar(entry, "weight_sum", weightSum)});
        !status)
      return status;
    if (!std::isfinite(lossSum))
      return Status(ErrorCode::numerics,
                    format("evaluation batch %lld of %lld: the loss is %g", static_cast<long long>(i + 1),
                           static_cast<long long>(batches.count()), lossSum));
    Result<std::vector<ExpertLoad>> loads = readLoads(entry, model);
    if (!loads)
      return loads.status();
    accumulate(evaluation.loads, *loads);
    evaluation.lossSum += lossSum;
    evaluation.tokens += weightSum;
    const double done = static_cast<double>(i + 1) / static_cast<double>(batches.count());
    // Done in well under a second: not worth a line.
    if (elapsed() > 1)
      console.progress("evaluate", done,
                       format("batch %lld/%lld  %.4f nats/byte  %s, ETA %s", static_cast<long long>(i + 1),
                              static_cast<long long>(batches.count()), evaluation.nats(),
                              formatDuration(elapsed()).c_str(), formatDuration(elapsed() * (1 / done - 1)).c_str()));
  }
  console.progressDone();
  evaluation.seconds = elapsed();
  return std::optional(std::move(evaluation));
}

} // namespace moe::engine
