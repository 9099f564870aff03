//===- Generator.h - Generating text with a KV cache ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_GENERATION_GENERATOR_H
#define LIB_ENGINE_GENERATION_GENERATOR_H

#include "lib/Engine/Generation/Sampler.h"
#include "lib/Engine/Model/ModelInfo.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace moe::engine {

enum class GenerationEnd { maxTokens, endOfDocument, contextFull, cancelled };

struct Generation {
  std::vector<std::int32_t> tokens; ///< Without the prompt.
  GenerationEnd end = GenerationEnd::maxTokens;
  double prefillSeconds = 0, decodeSeconds = 0;
};

/// The entry points `prefill` and `decode_step`. One sequence; a batch compiled for more repeats it.
class Generator {
public:
  static Result<Generator> create(Session &session, const ModelInfo &model);

  /// Called with each token as soon as it is chosen; returning false ends the generation.
  using OnToken = std::function<bool(std::int32_t token)>;

  /// Continues `prompt` (not empty) by at most `maxTokens` tokens.
  Result<Generation> generate(std::span<const std::int32_t> prompt, std::int64_t maxTokens,
                              const SamplingOptions &sampling, const OnToken &onToken);

private:
  Generator(Session &session, const ModelInfo &model, EntryPoint &prefill, EntryPoint &decode);

  /// Feeds the prompt in chunks; afterwards `logits` are those of the token behind it.
  Status feedPrompt(std::span<const std::int32_t> prompt);
  /// Feeds one token.
  Status feedToken(std::int32_t token, std::int64_t position);

  Session &session;
  ServingInfo serving;
  EntryPoint &prefill, &decode;
  std::vector<float> logits; ///< [batch, vocab]
  std::int64_t vocabSize;
};

/// "stopped after 300 tokens", "the context of 512 tokens is full", ...
std::string describeEnd(GenerationEnd end, const ServingInfo &serving, std::size_t tokens);

} // namespace moe::engine

#endif // LIB_ENGINE_GENERATION_GENERATOR_H
