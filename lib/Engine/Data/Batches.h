//===- Batches.h - Batches of token windows ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_DATA_BATCHES_H
#define LIB_ENGINE_DATA_BATCHES_H

#include "lib/Engine/Data/Documents.h"

#include <cstdint>
#include <vector>

namespace moe::engine {

/// `rows` windows of `columns` tokens; targets are the tokens that follow. Weight 0 masks a token. A document begins
/// with each separator and with each row: `positions` are the numbers of the tokens in their documents.
struct Batch {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::int32_t> tokens, targets, positions;
  std::vector<float> weights;

  Batch(std::int64_t rows, std::int64_t columns);
  /// Every token a masked separator.
  void clear();
  /// Numbers the tokens; call it when all of them are set.
  void countPositions();
  /// Tokens that are not masked.
  std::int64_t countTokens() const;
};

/// Training windows. The documents, each after a separator, are one stream that is cut into windows of S tokens at a
/// random phase; an epoch visits all windows once, in random order. Both depend only on (seed, step), so that a resumed
/// run sees the very same batches and needs nothing but the number of its step.
class TrainingBatches {
public:
  TrainingBatches(const std::vector<Document> &documents, std::int64_t batchSize, std::int64_t sequenceLength,
                  std::uint64_t seed);

  /// The batch of step `step` >= 1.
  void fill(std::int64_t step, Batch &batch) const;

  /// Windows of one epoch.
  std::int64_t windowCount() const { return windows; }

private:
  std::vector<std::int32_t> stream; ///< Ends with a separator.
  std::int64_t batchSize, sequenceLength, windows;
  std::uint64_t seed;
};

/// Evaluation windows: each document, after a separator, in consecutive windows that do not overlap. Every byte is
/// predicted exactly once; the rest of a document's last window, and of the last batch, is masked.
class EvaluationBatches {
public:
  EvaluationBatches(const std::vector<Document> &documents, std::int64_t batchSize, std::int64_t sequenceLength);

  std::int64_t count() const { return (static_cast<std::int64_t>(windows.size()) + batchSize - 1) / batchSize; }
  void fill(std::int64_t index, Batch &batch) const;

private:
  struct Window {
    const Document *document;
    std::size_t offset;
  };

  std::vector<Window> windows;
  std::int64_t batchSize, sequenceLength;
};

} // namespace moe::engine

#endif // LIB_ENGINE_DATA_BATCHES_H
