//===- ModelInfo.cpp - What the engine knows of a model -------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Model/ModelInfo.h"

#include "lib/Engine/Support/Json.h"
#include "lib/Engine/Support/Strings.h"
#include "runtime/format/artifact_generated.h"

#include <algorithm>

namespace moe::engine {
namespace {

/// Reads members of one JSON object and remembers the first that is missing or wrong.
class ObjectReader {
public:
  ObjectReader(const Json &object, std::string path, std::string &problem)
      : object(object), path(std::move(path)), problem(problem) {}

  void read(const char *key, std::int64_t &value, std::int64_t minimum) {
    const Json *member = find(key);
    if (!member)
      return;
    if (!member->is_number_integer() || member->get<std::int64_t>() < minimum)
      return fail(key, "must be an integer of at least " + std::to_string(minimum));
    value = member->get<std::int64_t>();
  }

  void read(const char *key, double &value) {
    const Json *member = find(key);
    if (!member)
      return;
    if (!member->is_number())
      return fail(key, "must be a number");
    value = member->get<double>();
  }

  void read(const char *key, std::string &value) {
    const Json *member = find(key);
    if (!member)
      return;
    if (!member->is_string())
      return fail(key, "must be a string");
    value = member->get<std::string>();
  }

  void read(const char *key, std::vector<std::int64_t> &values) {
    const Json *member = find(key);
    if (!member)
      return;
    if (!member->is_array())
      return fail(key, "must be a list of integers");
    for (const Json &entry : *member) {
      if (!entry.is_number_integer())
        return fail(key, "must be a list of integers");
      values.push_back(entry.get<std::int64_t>());
    }
  }

private:
  const Json *find(const char *key) {
    auto member = object.find(key);
    if (member != object.end())
      return &*member;
    fail(key, "is missing");
    return nullptr;
  }

  void fail(const char *key, const std::string &reason) {
    if (problem.empty())
      problem = "'" + path + key + "' " + reason;
  }

  const Json &object;
  std::string path;
  std::string &problem;
};

} // namespace

std::string ModelInfo::summary() const {
  std::string text = name + ": " + formatCount(static_cast<double>(parameters)) + " parameters (" +
                     formatCount(static_cast<double>(activeParameters)) + " active), " + std::to_string(numLayers) +
                     " layers";
  if (!sparseLayers.empty())
    text += format(", %zu sparse with %lld experts, %lld active", sparseLayers.size(),
                   static_cast<long long>(numExperts), static_cast<long long>(topK));
  return text;
}

Result<ModelInfo> parseModelInfo(std::string_view text) {
  Result<Json> json = parseJson(text);
  if (!json)
    return json.status();
  if (!json->is_object())
    return Status(ErrorCode::corruptFile, "the model must be a JSON object");

  ModelInfo model;
  model.json = text;
  std::string problem;
  ObjectReader root(*json, "", problem);
  root.read("name", model.name);
  root.read("vocab_size", model.vocabSize, 1);
  root.read("hidden_size", model.hiddenSize, 1);
  root.read("num_layers", model.numLayers, 0);
  root.read("sparse_layers", model.sparseLayers);
  if (!model.sparseLayers.empty()) {
    root.read("num_experts", model.numExperts, 1);
    root.read("top_k", model.topK, 1);
  }
  root.read("parameters", model.parameters, 0);
  root.read("active_parameters", model.activeParameters, 0);
  if (auto member = json->find("training"); member != json->end() && member->is_object()) {
    TrainingInfo &training = model.training.emplace();
    ObjectReader reader(*member, "training.", problem);
    reader.read("batch_size", training.batchSize, 1);
    reader.read("sequence_length", training.sequenceLength, 1);
    reader.read("beta1", training.beta1);
    reader.read("beta2", training.beta2);
  }
  if (auto member = json->find("serving"); member != json->end() && member->is_object()) {
    ServingInfo &serving = model.serving.emplace();
    ObjectReader reader(*member, "serving.", problem);
    reader.read("batch_size", serving.batchSize, 1);
    reader.read("prompt_length", serving.promptLength, 1);
    reader.read("context_length", serving.contextLength, 1);
    if (problem.empty() && serving.promptLength > serving.contextLength)
      problem = "'serving.prompt_length' exceeds 'serving.context_length'";
  }
  if (!problem.empty())
    return Status(ErrorCode::corruptFile, "the model's JSON: " + problem);
  return model;
}

Result<ModelInfo> readModelInfo(const Artifact &artifact) {
  Result<ModelInfo> model = parseModelInfo(artifact.table().model()->string_view());
  if (!model)
    return model.status().withContext(artifact.path());
  return model;
}

Result<EntryPoint *> requireEntryPoint(Session &session, std::string_view name, std::string_view needed) {
  if (EntryPoint *entry = session.find(name))
    return entry;
  std::string known;
  for (const std::string &other : session.entryPointNames())
    known += (known.empty() ? "" : ", ") + other;
  return Status(ErrorCode::unsupportedModel, "'" + session.artifact().path() + "' has no entry point '" +
                                                 std::string(name) + "', which is needed " + std::string(needed) +
                                                 "; it has " + (known.empty() ? "none" : known));
}

static bool hasPort(const flatbuffers::Vector<flatbuffers::Offset<format::Port>> &ports, std::string_view name) {
  return std::ranges::any_of(ports, [&](const format::Port *port) { return port->name()->string_view() == name; });
}

bool hasInput(const EntryPoint &entry, std::string_view name) { return hasPort(*entry.table().inputs(), name); }
bool hasOutput(const EntryPoint &entry, std::string_view name) { return hasPort(*entry.table().outputs(), name); }

std::string loadPort(std::int64_t layer) { return "load." + std::to_string(layer); }

} // namespace moe::engine
