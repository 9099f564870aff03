//===- TrainStep.cpp - One optimizer step ---------------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/TrainStep.h"

#include "lib/Engine/Model/Variables.h"
#include "lib/Engine/Support/Strings.h"
#include "lib/Engine/Training/Ports.h"

#include <cmath>

namespace moe::engine {
Result<TrainStep> TrainStep::create(Session &session, const ModelInfo &model) {
  Result<EntryPoint *> entry = requireEntryPoint(session, "train_step", "to train");
  if (!entry)
    return entry.status();
  if (!model.training)
    return Status(ErrorCode::unsupportedModel, "'" + session.artifact().path() +
                                                   "' says nothing of training; add "
                                                   "moe.training to the description and compile it again");
  return TrainStep(session, model, **entry);
}

Result<StepResult> TrainStep::run(std::int64_t step, double learningRate, const Batch &batch) {
  StepResult result{.step = step, .learningRate = learningRate, .tokens = batch.countTokens()};
  result.maskedTokens = batch.rows * batch.columns - result.tokens;
  // Adam's estimates start at zero; dividing by 1 - β^t undoes that (Kingma, Ba: "Adam", 2015, section 3).
  const auto correction = [&](double beta) { return 1 - std::pow(beta, static_cast<double>(step)); };
  if (Status status = setBatch(entry, batch); !status)
    return status;
  if (Status status = firstError({setScalar(entry, "learning_rate", learningRate),
                                  setScalar(entry, "bias_correction1", correction(model.training->beta1)),
                                  setScalar(entry, "bias_correction2", correction(model.training->beta2))});
      !status)
    return status;
  if (Status status = entry.run(); !status)
    return status;
  if (Status status = firstError({getScalar(entry, "loss", result.loss), getScalar(entry, "aux_loss", result.auxLoss),
                                  getScalar(entry, "grad_norm", result.gradNorm)});
      !status)
    return status;
  Result<std::vector<ExpertLoad>> loads = readLoads(entry, model);
  if (!loads)
    return loads.status();
  result.loads = std::move(*loads);
  if (Status status = checkFinite(result); !status)
    return status;
  return result;
}

Status TrainStep::checkFinite(const StepResult &result) {
  const bool lossFinite = std::isfinite(result.loss) && std::isfinite(result.auxLoss);
  if (lossFinite && std::isfinite(result.gradNorm))
    return {};
  // The sign of a NaN means nothing.
  const auto text = [](double value) { return std::isnan(value) ? "nan" : format("%g", value); };
  std::string message = "step " + std::to_string(result.step) + ": loss is " + text(result.loss) + ", auxiliary loss " +
                        text(result.auxLoss) + ", gradient norm " + text(result.gradNorm) + "; ";
  Result<std::optional<NonFinite>> culprit = findNonFinite(session);
  if (!culprit)
    return culprit.status();
  if (const std::optional<NonFinite> &bad = *culprit)
    message += format("the first variable that is not finite is '%s' (element %zu is %s)", bad->variable.c_str(),
                      bad->element, text(bad->value).c_str());
  else
    message += "all variables are finite";
  if (!std::isfinite(result.gradNorm))
    message += ". The step was not taken";
  return Status(ErrorCode::numerics, message + ". No checkpoint was written since; resume from the last one with a "
                                               "lower optimizer.learning_rate or a longer optimizer.warmup");
}

} // namespace moe::engine
