//===- Batches.cpp - Batches of token windows -----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Data/Batches.h"

#include "lib/Engine/Data/Permutation.h"
#include "lib/Engine/Text/ByteTokenizer.h"
#include "runtime/executor/Random.h"

#include <algorithm>
#include <cassert>

namespace moe::engine {
namespace {

constexpr std::int32_t byteAt(const std::string &text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

/// Where the windows of an epoch begin, in [0, phases).
std::uint64_t randomPhase(std::uint64_t seed, std::uint64_t epoch, std::uint64_t phases) {
  static const std::uint64_t stream = random::streamOf("engine/window-phase");
  return random::bits(seed, stream, epoch)[0] % phases;
}

} // namespace

Batch::Batch(std::int64_t rows, std::int64_t columns)
    : rows(rows), columns(columns), tokens(rows * columns), targets(rows * columns), positions(rows * columns),
      weights(rows * columns) {}

void Batch::clear() {
  std::ranges::fill(tokens, ByteTokenizer::kSeparator);
  std::ranges::fill(targets, ByteTokenizer::kSeparator);
  std::ranges::fill(positions, 0);
  std::ranges::fill(weights, 0.0f);
}

void Batch::countPositions() {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool begins = i % columns == 0 || tokens[i] == ByteTokenizer::kSeparator;
    positions[i] = begins ? 0 : positions[i - 1] + 1;
  }
}

std::int64_t Batch::countTokens() const {
  return std::ranges::count_if(weights, [](float weight) { return weight != 0; });
}

TrainingBatches::TrainingBatches(const std::vector<Document> &documents, std::int64_t batchSize,
                                 std::int64_t sequenceLength, std::uint64_t seed)
    : batchSize(batchSize), sequenceLength(sequenceLength), seed(seed) {
  stream.reserve(totalBytes(documents) + documents.size() + 1);
  for (const Document &document : documents) {
    stream.push_back(ByteTokenizer::kSeparator);
    for (unsigned char byte : document.text)
      stream.push_back(byte);
  }
  stream.push_back(ByteTokenizer::kSeparator);
  // A window needs one token more than its length, and every phase below the length must leave room for all windows.
  const auto predictions = static_cast<std::int64_t>(stream.size()) - 1;
  windows = std::max<std::int64_t>(1, (predictions - (sequenceLength - 1)) / sequenceLength);
}

void TrainingBatches::fill(std::int64_t step, Batch &batch) const {
  assert(step >= 1 && batch.rows == batchSize && batch.columns == sequenceLength);
  batch.clear();
  const auto predictions = static_cast<std::int64_t>(stream.size()) - 1;
  const std::int64_t phases = std::clamp<std::int64_t>(predictions - windows * sequenceLength + 1, 1, sequenceLength);
  for (std::int64_t row = 0; row < batchSize; ++row) {
    const std::int64_t index = (step - 1) * batchSize + row;
    const auto epoch = static_cast<std::uint64_t>(index / windows);
    const auto window = static_cast<std::int64_t>(permuted(seed, epoch, index % windows, windows));
    const auto phase = static_cast<std::int64_t>(randomPhase(seed, epoch, phases));
    const std::int64_t start = phase + window * sequenceLength;
    const std::int64_t length = std::min(sequenceLength, predictions - start);
    std::copy_n(stream.begin() + start, length, batch.tokens.begin() + row * sequenceLength);
    std::copy_n(stream.begin() + start + 1, length, batch.targets.begin() + row * sequenceLength);
    std::fill_n(batch.weights.begin() + row * sequenceLength, length, 1.0f);
  }
  batch.countPositions();
}

EvaluationBatches::EvaluationBatches(const std::vector<Document> &documents, std::int64_t batchSize,
                                     std::int64_t sequenceLength)
    : batchSize(batchSize), sequenceLength(sequenceLength) {
  for (const Document &document : documents)
    for (std::size_t offset = 0; offset < document.text.size(); offset += sequenceLength)
      windows.push_back({&document, offset});
}

void EvaluationBatches::fill(std::int64_t index, Batch &batch) const {
  assert(batch.rows == batchSize && batch.columns == sequenceLength);
  batch.clear();
  for (std::int64_t row = 0; row < batchSize; ++row) {
    const std::size_t position = index * batchSize + row;
    if (position >= windows.size())
      break;
    const auto [document, offset] = windows[position];
    const std::string &text = document->text;
    const std::size_t length = std::min<std::size_t>(sequenceLength, text.size() - offset);
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t slot = row * sequenceLength + i, at = offset + i;
      batch.tokens[slot] = at == 0 ? ByteTokenizer::kSeparator : byteAt(text, at - 1);
      batch.targets[slot] = byteAt(text, at);
      batch.weights[slot] = 1;
    }
  }
  batch.countPositions();
}

} // namespace moe::engine
