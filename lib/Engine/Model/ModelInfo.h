//===- ModelInfo.h - What the engine knows of a model -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The engine learns everything about a model from the artifact: sizes from its JSON (`Artifact.model`), names, types
/// and shapes of variables and ports from its tables. The names of entry points and ports are the engine's only
/// agreement with the compiler:
///
///   train_step   in  tokens, targets i32[B,S], weights f32[B,S], learning_rate, bias_correction1,
///                    bias_correction2 f32, positions i32[B,S] if documents are packed
///                out loss, aux_loss, grad_norm f32, load.<layer> i32[E] for every sparse layer
///   evaluate     in  tokens, targets, weights, positions if documents are packed
///                out loss_sum, weight_sum f32, load.<layer> i32[E]
///   prefill      in  tokens, positions i32[Bs,P], last i32[Bs]   out logits f32[Bs,V]
///   decode_step  in  tokens, positions i32[Bs,1]                 out logits f32[Bs,V]
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_MODEL_MODELINFO_H
#define LIB_ENGINE_MODEL_MODELINFO_H

#include "moe/Session.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

struct TrainingInfo {
  std::int64_t batchSize = 0, sequenceLength = 0;
  double beta1 = 0, beta2 = 0;
};

struct ServingInfo {
  std::int64_t batchSize = 0, promptLength = 0, contextLength = 0;
};

struct ModelInfo {
  std::string name;
  std::int64_t vocabSize = 0, hiddenSize = 0, numLayers = 0;
  std::vector<std::int64_t> sparseLayers;
  std::int64_t numExperts = 0, topK = 0;
  std::int64_t parameters = 0, activeParameters = 0;
  std::optional<TrainingInfo> training;
  std::optional<ServingInfo> serving;
  std::string json; ///< The text all this was read from.

  /// "tiny: 812 K parameters (410 K active), 3 layers, 2 sparse with 8 experts, 2 active".
  std::string summary() const;
};

Result<ModelInfo> parseModelInfo(std::string_view json);
/// The same, with the artifact's path in front of errors.
Result<ModelInfo> readModelInfo(const Artifact &artifact);

/// The entry point, or an error that names those there are. `needed` says for what: "to train".
Result<EntryPoint *> requireEntryPoint(Session &session, std::string_view name, std::string_view needed);

/// Whether the entry point has an input or an output port of that name.
bool hasInput(const EntryPoint &entry, std::string_view name);
bool hasOutput(const EntryPoint &entry, std::string_view name);

/// "load.2"
std::string loadPort(std::int64_t layer);

} // namespace moe::engine

#endif // LIB_ENGINE_MODEL_MODELINFO_H
