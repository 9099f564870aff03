//===- FakeModel.cpp - A model without a compiler -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/engine/FakeModel.h"

#include "lib/Engine/Support/Strings.h"
#include "runtime/executor/Random.h"
#include "runtime/format/ArtifactWriter.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

namespace moe::test {

using format::DType, format::InitializerKind, format::VariableRole;

namespace {

constexpr const char *kWeight = "bigram.weight";
constexpr const char *kBias = "selection.bias";
constexpr const char *kCache = "cache.tokens";
constexpr float kBeta1 = 0.9f, kBeta2 = 0.99f, kEpsilon = 1e-8f;

std::unique_ptr<format::PortT> port(const std::string &name, DType dtype, std::vector<std::int64_t> shape) {
  auto port = std::make_unique<format::PortT>();
  port->name = name;
  port->dtype = dtype;
  port->shape = std::move(shape);
  return port;
}

void addVariable(format::ArtifactT &artifact, const std::string &name, VariableRole role,
                 std::vector<std::int64_t> shape, InitializerKind kind = InitializerKind::zeros) {
  auto variable = std::make_unique<format::VariableT>();
  variable->name = name;
  variable->role = role;
  variable->shape = std::move(shape);
  variable->initializer = std::make_unique<format::InitializerT>();
  variable->initializer->kind = kind;
  variable->initializer->stddev = kind == InitializerKind::normal ? 0.02 : 0;
  artifact.variables.push_back(std::move(variable));
}

format::EntryPointT &addEntryPoint(format::ArtifactT &artifact, const std::string &name) {
  artifact.entry_points.push_back(std::make_unique<format::EntryPointT>());
  artifact.entry_points.back()->name = name;
  return *artifact.entry_points.back();
}

std::string modelJson(const FakeShape &shape) {
  return engine::format(R"({"name": "fake", "vocab_size": 256, "hidden_size": 1, "num_layers": 2, "sparse_layers": [1],
  "num_experts": 4, "top_k": 2, "parameters": 65536, "active_parameters": 256,
  "training": {"batch_size": %lld, "sequence_length": %lld, "beta1": 0.9, "beta2": 0.99},
  "serving": {"batch_size": %lld, "prompt_length": %lld, "context_length": %lld}})",
                        static_cast<long long>(shape.batchSize), static_cast<long long>(shape.sequenceLength),
                        static_cast<long long>(shape.servingBatch), static_cast<long long>(shape.promptLength),
                        static_cast<long long>(shape.contextLength));
}

} // namespace

std::vector<std::byte> fakeArtifactBytes(const FakeShape &shape) {
  format::ArtifactT artifact;
  artifact.producer = "engine tests";
  artifact.target = std::make_unique<format::TargetT>();
  artifact.target->name = "null";
  artifact.target->arch = "none";
  artifact.model = modelJson(shape);
  addVariable(artifact, kWeight, VariableRole::parameter, {kFakeVocab, kFakeVocab}, InitializerKind::normal);
  addVariable(artifact, kBias, VariableRole::buffer, {kFakeExperts});
  addVariable(artifact, "bigram.weight.exp_avg", VariableRole::optimizer, {kFakeVocab, kFakeVocab});
  addVariable(artifact, "bigram.weight.exp_avg_sq", VariableRole::optimizer, {kFakeVocab, kFakeVocab});
  addVariable(artifact, kCache, VariableRole::cache, {shape.servingBatch, shape.contextLength});

  const std::vector<std::int64_t> batch = {shape.batchSize, shape.sequenceLength};
  format::EntryPointT &train = addEntryPoint(artifact, "train_step");
  format::EntryPointT &evaluate = addEntryPoint(artifact, "evaluate");
  for (format::EntryPointT *entry : {&train, &evaluate}) {
    entry->inputs.push_back(port("tokens", DType::i32, batch));
    entry->inputs.push_back(port("targets", DType::i32, batch));
    entry->inputs.push_back(port("weights", DType::f32, batch));
    entry->outputs.push_back(port("load.1", DType::i32, {kFakeExperts}));
  }
  for (const char *name : {"learning_rate", "bias_correction1", "bias_correction2"})
    train.inputs.push_back(port(name, DType::f32, {}));
  for (const char *name : {"loss", "aux_loss", "grad_norm"})
    train.outputs.push_back(port(name, DType::f32, {}));
  for (const char *name : {"loss_sum", "weight_sum"})
    evaluate.outputs.push_back(port(name, DType::f32, {}));

  format::EntryPointT &prefill = addEntryPoint(artifact, "prefill");
  format::EntryPointT &decode = addEntryPoint(artifact, "decode_step");
  for (format::EntryPointT *entry : {&prefill, &decode}) {
    const std::int64_t columns = entry == &prefill ? shape.promptLength : 1;
    entry->inputs.push_back(port("tokens", DType::i32, {shape.servingBatch, columns}));
    entry->inputs.push_back(port("positions", DType::i32, {shape.servingBatch, columns}));
    entry->outputs.push_back(port("logits", DType::f32, {shape.servingBatch, kFakeVocab}));
  }
  prefill.inputs.push_back(port("last", DType::i32, {shape.servingBatch}));

  Result<std::vector<std::byte>> bytes = format::encodeArtifact(artifact, {});
  if (!bytes) {
    std::fprintf(stderr, "%s\n", bytes.status().message().c_str());
    std::abort();
  }
  return std::move(*bytes);
}

/// Ports are byte vectors by name; running calls back into the session.
class FakeSession::Entry : public EntryPoint {
public:
  Entry(const format::EntryPoint &contents, std::function<void(Entry &)> body)
      : contents(contents), body(std::move(body)) {
    for (const auto *ports : {contents.inputs(), contents.outputs()})
      for (const format::Port *port : *ports)
        bytes[port->name()->str()].resize(format::byteSize(*port));
  }

  const format::EntryPoint &table() const override { return contents; }
  Status setInput(std::string_view name, std::span<const std::byte> source) override {
    return transfer(name, source.size(), [&](std::byte *port) { std::ranges::copy(source, port); });
  }
  Status getOutput(std::string_view name, std::span<std::byte> destination) override {
    return transfer(name, destination.size(),
                    [&](std::byte *port) { std::copy_n(port, destination.size(), destination.data()); });
  }
  Status poison() override { return {}; }
  Status run() override {
    body(*this);
    return {};
  }

  template <typename T> std::span<T> port(std::string_view name) {
    std::vector<std::byte> &port = bytes.find(name)->second;
    return {reinterpret_cast<T *>(port.data()), port.size() / sizeof(T)};
  }

private:
  Status transfer(std::string_view name, std::size_t size, const std::function<void(std::byte *)> &copy) {
    auto found = bytes.find(name);
    if (found == bytes.end() || found->second.size() != size)
      return Status(ErrorCode::failed, "port '" + std::string(name) + "' does not exist or has another size");
    copy(found->second.data());
    return {};
  }

  const format::EntryPoint &contents;
  std::function<void(Entry &)> body;
  std::map<std::string, std::vector<std::byte>, std::less<>> bytes;
};

FakeSession::FakeSession(const FakeShape &shape)
    : shape(shape), contents(*Artifact::fromBytes(fakeArtifactBytes(shape))) {
  for (const format::Variable *variable : *contents->table().variables())
    variables[variable->name()->str()].resize(format::byteSize(*variable) / sizeof(float));
  const std::map<std::string, std::function<void(Entry &)>> bodies = {
      {"train_step", [this](Entry &entry) { trainStep(entry); }},
      {"evaluate", [this](Entry &entry) { evaluate(entry); }},
      {"prefill", [this](Entry &entry) { generate(entry, true); }},
      {"decode_step", [this](Entry &entry) { generate(entry, false); }}};
  for (const format::EntryPoint *entry : *contents->table().entry_points())
    entries[entry->name()->str()] = std::make_unique<Entry>(*entry, bodies.at(entry->name()->str()));
}

FakeSession::~FakeSession() = default;

Driver &FakeSession::driver() { std::abort(); }

Status FakeSession::initialize(std::uint64_t seed) {
  for (auto &[name, values] : variables)
    std::ranges::fill(values, 0.0f);
  std::vector<float> &weight = variables.at(kWeight);
  for (std::size_t i = 0; i < weight.size(); ++i)
    weight[i] = 0.02f * static_cast<float>(random::normalPair(seed, random::streamOf(kWeight), i).first);
  return {};
}

Status FakeSession::resetCaches() {
  std::ranges::fill(variables.at(kCache), 0.0f);
  return {};
}

Status FakeSession::writeVariable(std::string_view name, std::span<const std::byte> bytes) {
  std::vector<float> &values = variables.find(name)->second;
  if (bytes.size() != values.size() * sizeof(float))
    return Status(ErrorCode::failed, "wrong size");
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return {};
}

Status FakeSession::readVariable(std::string_view name, std::span<std::byte> bytes) {
  const std::vector<float> &values = variables.find(name)->second;
  if (bytes.size() != values.size() * sizeof(float))
    return Status(ErrorCode::failed, "wrong size");
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {};
}

EntryPoint *FakeSession::find(std::string_view name) {
  auto entry = entries.find(name);
  return entry == entries.end() ? nullptr : entry->second.get();
}

std::vector<std::string> FakeSession::entryPointNames() const {
  std::vector<std::string> names;
  for (const auto &[name, entry] : entries)
    names.push_back(name);
  return names;
}

/// Every token goes to experts token % 4 and the next one; sums to tokens * top_k.
static void countLoad(std::span<const std::int32_t> tokens, std::span<std::int32_t> load) {
  std::ranges::fill(load, 0);
  for (std::int32_t token : tokens)
    for (std::int64_t k = 0; k < kFakeTopK; ++k)
      ++load[(token + k) % kFakeExperts];
}

/// The probabilities of the row of `token`, and the loss of `target`.
static float softmaxRow(const std::vector<float> &weight, std::int32_t token, std::int32_t target,
                        std::vector<float> &probabilities) {
  const float *row = weight.data() + token * kFakeVocab;
  const float highest = *std::max_element(row, row + kFakeVocab);
  float sum = 0;
  probabilities.resize(kFakeVocab);
  for (std::int64_t i = 0; i < kFakeVocab; ++i)
    sum += probabilities[i] = std::exp(row[i] - highest);
  for (float &probability : probabilities)
    probability /= sum;
  return -std::log(probabilities[target]);
}

void FakeSession::trainStep(Entry &entry) {
  ++stepsRun;
  if (beforeStep)
    beforeStep(stepsRun);
  const auto tokens = entry.port<std::int32_t>("tokens"), targets = entry.port<std::int32_t>("targets");
  const auto weights = entry.port<float>("weights");
  std::vector<float> &weight = variables.at(kWeight), gradient(weight.size()), probabilities;
  const float total = std::accumulate(weights.begin(), weights.end(), 0.0f);
  float loss = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (weights[t] == 0)
      continue;
    loss += weights[t] * softmaxRow(weight, tokens[t], targets[t], probabilities) / total;
    probabilities[targets[t]] -= 1;
    for (std::int64_t i = 0; i < kFakeVocab; ++i)
      gradient[tokens[t] * kFakeVocab + i] += weights[t] * probabilities[i] / total;
  }
  const float learningRate = entry.port<float>("learning_rate")[0];
  const float correction1 = entry.port<float>("bias_correction1")[0];
  const float correction2 = entry.port<float>("bias_correction2")[0];
  std::vector<float> &mean = variables.at("bigram.weight.exp_avg"), &square = variables.at("bigram.weight.exp_avg_sq");
  float norm = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    norm += gradient[i] * gradient[i];
    mean[i] = kBeta1 * mean[i] + (1 - kBeta1) * gradient[i];
    square[i] = kBeta2 * square[i] + (1 - kBeta2) * gradient[i] * gradient[i];
    weight[i] -= learningRate * (mean[i] / correction1) / (std::sqrt(square[i] / correction2) + kEpsilon);
  }
  for (float &bias : variables.at(kBias))
    bias += learningRate;
  entry.port<float>("loss")[0] = loss;
  entry.port<float>("aux_loss")[0] = 0.001f;
  entry.port<float>("grad_norm")[0] = std::sqrt(norm);
  countLoad(tokens, entry.port<std::int32_t>("load.1"));
}

void FakeSession::evaluate(Entry &entry) {
  const auto tokens = entry.port<std::int32_t>("tokens"), targets = entry.port<std::int32_t>("targets");
  const auto weights = entry.port<float>("weights");
  std::vector<float> probabilities;
  float lossSum = 0, weightSum = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    lossSum += weights[t] * softmaxRow(variables.at(kWeight), tokens[t], targets[t], probabilities);
    weightSum += weights[t];
  }
  entry.port<float>("loss_sum")[0] = lossSum;
  entry.port<float>("weight_sum")[0] = weightSum;
  countLoad(tokens, entry.port<std::int32_t>("load.1"));
}

void FakeSession::generate(Entry &entry, bool isPrefill) {
  const auto tokens = entry.port<std::int32_t>("tokens"), positions = entry.port<std::int32_t>("positions");
  const auto logits = entry.port<float>("logits");
  std::vector<float> &cache = variables.at(kCache);
  const auto columns = static_cast<std::int64_t>(tokens.size()) / shape.servingBatch;
  std::ranges::fill(logits, 0.0f);
  for (std::int64_t row = 0; row < shape.servingBatch; ++row) {
    float *slots = cache.data() + row * shape.contextLength;
    for (std::int64_t i = row * columns; i < (row + 1) * columns; ++i) {
      if (positions[i] < 0 || positions[i] >= shape.contextLength)
        std::abort(); // Compiled code would write out of bounds.
      slots[positions[i]] = static_cast<float>(tokens[i]);
    }
    const std::int64_t wanted = isPrefill ? entry.port<std::int32_t>("last")[row] : row;
    const auto sum = static_cast<std::int64_t>(std::accumulate(slots, slots + positions[wanted] + 1, 0.0f));
    logits[row * kFakeVocab + fakeNextToken(sum)] = 20;
  }
}

} // namespace moe::test
