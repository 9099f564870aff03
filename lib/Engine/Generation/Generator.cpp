//===- Generator.cpp - Generating text with a KV cache --------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Generation/Generator.h"

#include "lib/Engine/Support/Strings.h"
#include "lib/Engine/Text/ByteTokenizer.h"

#include <algorithm>
#include <chrono>

namespace moe::engine {

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Generator::Generator(Session &session, const ModelInfo &model, EntryPoint &prefill, EntryPoint &decode)
    : session(session), serving(*model.serving), prefill(prefill), decode(decode),
      logits(serving.batchSize * model.vocabSize), vocabSize(model.vocabSize) {}

Result<Generator> Generator::create(Session &session, const ModelInfo &model) {
  Result<EntryPoint *> prefill = requireEntryPoint(session, "prefill", "to generate");
  if (!prefill)
    return prefill.status();
  Result<EntryPoint *> decode = requireEntryPoint(session, "decode_step", "to generate");
  if (!decode)
    return decode.status();
  if (!model.serving)
    return Status(ErrorCode::unsupportedModel, "'" + session.artifact().path() +
                                                   "' says nothing of serving; add moe.serving to the description and "
                                                   "compile it again");
  if (model.vocabSize < ByteTokenizer::kVocabSize)
    return Status(ErrorCode::unsupportedModel,
                  format("the model's vocab_size is %lld; byte tokens need %lld",
                         static_cast<long long>(model.vocabSize), static_cast<long long>(ByteTokenizer::kVocabSize)));
  return Generator(session, model, **prefill, **decode);
}

Status Generator::feedPrompt(std::span<const std::int32_t> prompt) {
  const std::int64_t rows = serving.batchSize, columns = serving.promptLength;
  const auto length = static_cast<std::int64_t>(prompt.size());
  std::vector<std::int32_t> tokens(rows * columns), positions(rows * columns), last(rows);
  for (std::int64_t next = 0; next < length; next += columns) {
    // Padding behind a chunk must stay inside the cache: at its end the chunk begins earlier instead and repeats
    // tokens, which writes the same keys and values again.
    const std::int64_t start = std::min(next, serving.contextLength - columns);
    const std::int64_t count = std::min(columns, length - start);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t i = 0; i < columns; ++i) {
        tokens[row * columns + i] = i < count ? prompt[start + i] : ByteTokenizer::kSeparator;
        positions[row * columns + i] = static_cast<std::int32_t>(start + i);
      }
      last[row] = static_cast<std::int32_t>(row * columns + count - 1);
    }
    if (Status status = prefill.setInput("tokens", tokens); !status)
      return status;
    if (Status status = prefill.setInput("positions", positions); !status)
      return status;
    if (Status status = prefill.setInput("last", last); !status)
      return status;
    if (Status status = prefill.run(); !status)
      return status;
  }
  return prefill.getOutput("logits", logits);
}

Status Generator::feedToken(std::int32_t token, std::int64_t position) {
  const std::vector<std::int32_t> tokens(serving.batchSize, token);
  const std::vector<std::int32_t> positions(serving.batchSize, static_cast<std::int32_t>(position));
  if (Status status = decode.setInput("tokens", tokens); !status)
    return status;
  if (Status status = decode.setInput("positions", positions); !status)
    return status;
  if (Status status = decode.run(); !status)
    return status;
  return decode.getOutput("logits", logits);
}

Result<Generation> Generator::generate(std::span<const std::int32_t> prompt, std::int64_t maxTokens,
                                       const SamplingOptions &sampling, const OnToken &onToken) {
  if (prompt.empty())
    return Status(ErrorCode::usage, "the prompt is empty");
  if (static_cast<std::int64_t>(prompt.size()) > serving.contextLength)
    return Status(
        ErrorCode::doesNotFit,
        format("the prompt has %zu tokens but the artifact was compiled for a context of %lld; shorten it, or "
               "raise context_length in moe.serving and compile again",
               prompt.size(), static_cast<long long>(serving.contextLength)));
  Generation generation;
  const Clock::time_point start = Clock::now();
  if (Status status = session.resetCaches(); !status)
    return status;
  if (Status status = feedPrompt(prompt); !status)
    return status;
  generation.prefillSeconds = secondsSince(start);

  // `position` is that of the token being chosen. The last one that fits in the cache is contextLength - 1; the token
  // chosen from its logits needs no place any more.
  const Clock::time_point decodeStart = Clock::now();
  auto position = static_cast<std::int64_t>(prompt.size());
  const std::span<const float> choices(logits.data(), std::min(vocabSize, ByteTokenizer::kVocabSize));
  for (; static_cast<std::int64_t>(generation.tokens.size()) < maxTokens; ++position) {
    Result<std::int32_t> token = sampleToken(choices, sampling, position);
    if (!token)
      return token.status();
    if (*token == ByteTokenizer::kSeparator) {
      generation.end = GenerationEnd::endOfDocument;
      break;
    }
    generation.tokens.push_back(*token);
    if (!onToken(*token)) {
      generation.end = GenerationEnd::cancelled;
      break;
    }
    if (static_cast<std::int64_t>(generation.tokens.size()) == maxTokens)
      break;
    if (position == serving.contextLength) {
      generation.end = GenerationEnd::contextFull;
      break;
    }
    if (Status status = feedToken(*token, position); !status)
      return status;
  }
  generation.decodeSeconds = secondsSince(decodeStart);
  return generation;
}

std::string describeEnd(GenerationEnd end, const ServingInfo &serving, std::size_t tokens) {
  const std::string count = std::to_string(tokens);
  switch (end) {
  case GenerationEnd::maxTokens:
    return "stopped after " + count + " tokens, as asked";
  case GenerationEnd::endOfDocument:
    return "the model ended the text after " + count + " tokens";
  case GenerationEnd::contextFull:
    return "stopped after " + count + " tokens: the context of " + std::to_string(serving.contextLength) +
           " tokens is full; for more, raise context_length in moe.serving and compile again";
  case GenerationEnd::cancelled:
    return "cancelled after " + count + " tokens";
  }
  return "";
}

} // namespace moe::engine
