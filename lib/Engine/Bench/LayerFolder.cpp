//===- LayerFolder.cpp - Compiled layers to choose from ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerFolder.h"

#include "lib/Engine/Support/Json.h"
#include "runtime/format/artifact_generated.h"

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;

namespace moe::engine {
namespace {

std::vector<std::string> listArtifacts(const std::string &directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
    if (entry.path().extension() == ".moe")
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string text(const Json &object, const char *key) {
  auto member = object.find(key);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}
std::int64_t number(const Json &object, const char *key) {
  auto member = object.find(key);
  return member != object.end() && member->is_number_integer() ? member->get<std::int64_t>() : 0;
}

/// Nothing if `info` is not as it should be.
std::optional<CompiledLayer> readLayer(const Json &info) {
  CompiledLayer layer;
  layer.shape = text(info, "shape");
  layer.dtype = text(info, "dtype");
  layer.sizes = {number(info, "hidden_size"), number(info, "moe_intermediate_size"), number(info, "num_experts"),
                 number(info, "top_k")};
  if (auto tokens = info.find("tokens"); tokens != info.end() && tokens->is_array())
    for (const Json &count : *tokens)
      if (count.is_number_integer() && count.get<std::int64_t>() > 0)
        layer.tokens.push_back(count.get<std::int64_t>());
  const LayerSizes &sizes = layer.sizes;
  const bool isComplete = !layer.shape.empty() && !layer.dtype.empty() && sizes.hiddenSize > 0 &&
                          sizes.intermediateSize > 0 && sizes.numExperts > 0 && sizes.topK > 0 &&
                          sizes.topK <= sizes.numExperts && !layer.tokens.empty();
  return isComplete ? std::optional(layer) : std::nullopt;
}

template <typename Value> std::string words(const std::vector<Value> &values) {
  std::string text;
  for (const Value &value : values) {
    text += text.empty() ? "" : ", ";
    if constexpr (std::is_same_v<Value, std::string>)
      text += value;
    else
      text += std::to_string(value);
  }
  return text;
}

/// Every value that was asked for is among those there are.
template <typename Value>
Status checkKnown(const char *what, const std::vector<Value> &wanted, std::vector<Value> known) {
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  for (const Value &value : wanted)
    if (!std::binary_search(known.begin(), known.end(), value))
      return Status(ErrorCode::usage, std::string("no layer was compiled for ") + what + " '" +
                                          words(std::vector<Value>{value}) + "'; there are: " + words(known));
  return {};
}

template <typename Value> bool isWanted(const std::vector<Value> &wanted, const Value &value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

} // namespace

Result<LayerFolder> LayerFolder::open(const std::string &directory) {
  LayerFolder folder;
  for (const std::string &path : listArtifacts(directory)) {
    Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(path);
    if (!artifact)
      return artifact.status();
    Result<Json> info = parseJson((*artifact)->table().model()->string_view());
    if (!info || !info->is_object())
      return Status(ErrorCode::corruptFile, path + ": its model is no JSON object");
    if (auto ceilings = info->find("ceilings"); ceilings != info->end() && ceilings->is_object()) {
      folder.ceilings.push_back({text(*ceilings, "dtype"), number(*ceilings, "size"), *artifact});
    } else if (auto described = info->find("layer"); described != info->end() && described->is_object()) {
      std::optional<CompiledLayer> layer = readLayer(*described);
      if (!layer)
        return Status(ErrorCode::corruptFile, path + ": its model does not describe a layer");
      layer->artifact = *artifact;
      folder.layers.push_back(std::move(*layer));
    }
  }
  if (folder.layers.empty())
    return Status(ErrorCode::failed, "'" + directory + "' holds no compiled layer; make the folder with moe-bench");
  return folder;
}

Status LayerFolder::select(const LayerSelection &selection) {
  std::vector<std::string> shapes, dtypes;
  std::vector<std::int64_t> tokens;
  for (const CompiledLayer &layer : layers) {
    shapes.push_back(layer.shape);
    dtypes.push_back(layer.dtype);
    tokens.insert(tokens.end(), layer.tokens.begin(), layer.tokens.end());
  }
  if (Status status = checkKnown("the shape", selection.shapes, shapes); !status)
    return status;
  if (Status status = checkKnown("the type", selection.dtypes, dtypes); !status)
    return status;
  if (Status status = checkKnown("a number of tokens of", selection.tokens, tokens); !status)
    return status;
  std::erase_if(layers, [&](CompiledLayer &layer) {
    std::erase_if(layer.tokens, [&](std::int64_t count) { return !isWanted(selection.tokens, count); });
    return layer.tokens.empty() || !isWanted(selection.shapes, layer.shape) ||
           !isWanted(selection.dtypes, layer.dtype);
  });
  if (layers.empty())
    return Status(ErrorCode::usage, "no layer was compiled for this combination of shape, type and number of tokens");
  return {};
}

const CompiledCeiling *LayerFolder::findCeiling(const std::string &dtype) const {
  const auto found =
      std::find_if(ceilings.begin(), ceilings.end(), [&](const CompiledCeiling &entry) { return entry.dtype == dtype; });
  return found == ceilings.end() ? nullptr : &*found;
}

} // namespace moe::engine
