//===- FakeModel.h - A model without a compiler -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A session whose entry points are written in C++ and keep to the names and meanings of ports in
/// lib/Engine/Model/ModelInfo.h, so that the engine is tested without a compiled model.
///
/// `train_step` and `evaluate` are a bigram model, logits = weight[token], trained with Adam: a resumed run needs the
/// weights, both moments and the step. `prefill` and `decode_step` remember tokens by position in a cache and put all
/// probability on a function of the sum of the tokens up to the position: one wrong, missing or padded token shows at
/// once.
///
//===----------------------------------------------------------------------===//
#ifndef TEST_ENGINE_FAKEMODEL_H
#define TEST_ENGINE_FAKEMODEL_H

#include "moe/Session.h"

#include <functional>
#include <map>
#include <memory>

namespace moe::test {

struct FakeShape {
  std::int64_t batchSize = 2, sequenceLength = 8;
  std::int64_t servingBatch = 2, promptLength = 4, contextLength = 10;
};

inline constexpr std::int64_t kFakeVocab = 256, kFakeExperts = 4, kFakeTopK = 2;

/// The artifact's file: no kernels, all ports and variables.
std::vector<std::byte> fakeArtifactBytes(const FakeShape &shape = {});

/// The token after tokens with this sum; a separator, the end of the document, only after 200.
constexpr std::int32_t fakeNextToken(std::int64_t sum) {
  return sum == 200 ? 0 : static_cast<std::int32_t>((2 * sum + 1) % kFakeVocab);
}

class FakeSession : public Session {
public:
  explicit FakeSession(const FakeShape &shape = {});
  ~FakeSession() override;

  const Artifact &artifact() const override { return *contents; }
  Driver &driver() override;
  MemoryUse memoryUse() const override { return {}; }
  Status initialize(std::uint64_t seed) override;
  Status initializeCopies() override { return {}; } // It has none.
  Status resetCaches() override;
  Status writeVariable(std::string_view name, std::span<const std::byte> bytes) override;
  Status readVariable(std::string_view name, std::span<std::byte> bytes) override;
  EntryPoint *find(std::string_view name) override;
  std::vector<std::string> entryPointNames() const override;
  void setObserver(Observer) override {}

  /// The elements of a variable.
  std::vector<float> &variable(const std::string &name) { return variables.at(name); }

  /// Called before each training step with its number in this process, from 1.
  std::function<void(std::int64_t)> beforeStep;
  std::int64_t stepsRun = 0;

private:
  class Entry;
  void trainStep(Entry &entry);
  void evaluate(Entry &entry);
  void generate(Entry &entry, bool isPrefill);

  FakeShape shape;
  std::shared_ptr<const Artifact> contents;
  std::map<std::string, std::vector<float>, std::less<>> variables;
  std::map<std::string, std::unique_ptr<Entry>, std::less<>> entries;
};

} // namespace moe::test

#endif // TEST_ENGINE_FAKEMODEL_H
