//===- LayerRun.cpp - A compiled layer on a device ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerRun.h"

#include "lib/Engine/Bench/NormalTensor.h"
#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Support/Strings.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace moe::engine {
namespace {

constexpr std::size_t kHotExpert = 0;

const format::Variable *findVariable(const Artifact &artifact, std::string_view name) {
  for (const format::Variable *variable : *artifact.table().variables())
    if (variable->name()->string_view() == name)
      return variable;
  return nullptr;
}

std::size_t portBytes(const EntryPoint &entry, std::string_view name) {
  for (const auto *ports : {entry.table().inputs(), entry.table().outputs()})
    for (const format::Port *port : *ports)
      if (port->name()->string_view() == name)
        return format::byteSize(*port);
  return 0;
}

} // namespace

std::string toString(Routing routing) { return routing == Routing::uniform ? "uniform" : "skewed"; }

Result<LayerRun> LayerRun::create(const CompiledLayer &layer, const DriverOptions &options) {
  Result<std::unique_ptr<Session>> session = Session::create(layer.artifact, options);
  if (!session)
    return session.status();
  const format::Variable *variable = findVariable(*layer.artifact, kRouterName);
  if (!variable)
    return Status(ErrorCode::corruptFile, layer.artifact->path() + " has no variable '" + std::string(kRouterName) + "'");
  if (Status status = drawVariables(**session); !status)
    return status;
  LayerRun run(layer, std::move(*session));
  run.elementBytes = format::byteSize(variable->dtype());
  run.router.resize(format::byteSize(*variable));
  if (Status status = run.session->readVariable(kRouterName, run.router); !status)
    return status;
  const std::size_t elements = static_cast<std::size_t>(
      *std::max_element(layer.tokens.begin(), layer.tokens.end()) * layer.sizes.hiddenSize);
  for (auto [tensor, name] : {std::pair(&run.inputs, "x"), std::pair(&run.gradients, "gradient.y")}) {
    tensor->resize(elements * run.elementBytes);
    drawNormal(*tensor, variable->dtype(), /*stddev=*/1, name);
  }
  const std::size_t rowBytes = static_cast<std::size_t>(layer.sizes.hiddenSize) * run.elementBytes;
  for (std::size_t offset = 0; offset < run.inputs.size(); offset += rowBytes)
    format::encode(1.0, variable->dtype(), run.inputs.data() + offset);
  return run;
}

EntryPoint *LayerRun::find(const std::string &kind, std::int64_t tokens) {
  return session->find(kind + "." + std::to_string(tokens));
}

Status LayerRun::setInputs(EntryPoint &entry, std::int64_t tokens) {
  const std::size_t bytes = static_cast<std::size_t>(tokens * layer.sizes.hiddenSize) * elementBytes;
  if (Status status = entry.setInput("x", std::span<const std::byte>(inputs).first(bytes)); !status)
    return status;
  return hasInput(entry, "gradient.y")
             ? entry.setInput("gradient.y", std::span<const std::byte>(gradients).first(bytes))
             : Status();
}

Status LayerRun::readInput(std::string_view name, std::span<std::byte> bytes) const {
  const std::vector<std::byte> &source = name == "x" ? inputs : gradients;
  std::copy_n(source.begin(), bytes.size(), bytes.begin());
  return {};
}

Result<std::vector<std::int32_t>> LayerRun::readLoad(EntryPoint &entry) {
  std::vector<std::int32_t> offsets(portBytes(entry, "offsets") / sizeof(std::int32_t));
  if (Status status = entry.getOutput("offsets", offsets); !status)
    return status;
  // offsets[0] stays in front; it is 0, and dropped.
  std::vector<std::int32_t> load(offsets.size());
  std::adjacent_difference(offsets.begin(), offsets.end(), load.begin());
  load.erase(load.begin());
  return load;
}

Result<LayerLoad> LayerRun::runPoisoned(EntryPoint &entry, std::int64_t tokens) {
  if (Status status = entry.poison(); !status)
    return status;
  if (Status status = entry.run(); !status)
    return status;
  Result<std::vector<std::int32_t>> load = readLoad(entry);
  if (!load)
    return load.status();
  const std::int64_t sum = std::accumulate(load->begin(), load->end(), std::int64_t{0});
  if (sum != tokens * layer.sizes.topK)
    return Status(ErrorCode::numerics, "'" + entry.table().name()->str() + "' of " + layer.shape + ": the load is " +
                                           std::to_string(sum) + " in all, not " +
                                           std::to_string(tokens * layer.sizes.topK));
  return LayerLoad{*std::max_element(load->begin(), load->end()),
                   static_cast<double>(sum) / static_cast<double>(load->size())};
}

Status LayerRun::repeatPoisoned(EntryPoint &entry, std::int64_t tokens, int times) {
  std::map<std::string, std::vector<std::byte>> first;
  for (int i = 0; i < times; ++i) {
    if (Result<LayerLoad> load = runPoisoned(entry, tokens); !load)
      return load.status();
    for (const format::Port *port : *entry.table().outputs()) {
      std::vector<std::byte> bytes(format::byteSize(*port));
      if (Status status = entry.getOutput(port->name()->string_view(), bytes); !status)
        return status;
      const auto [place, isNew] = first.try_emplace(port->name()->str(), std::move(bytes));
      if (!isNew && bytes != place->second)
        return Status(ErrorCode::numerics, "'" + entry.table().name()->str() + "' of " + layer.shape + ": '" +
                                               place->first + "' has other bits in run " + std::to_string(i + 1));
    }
  }
  return {};
}

Status LayerRun::writeRouter(double bias) {
  std::vector<std::byte> biased = router;
  const std::size_t offset = kHotExpert * static_cast<std::size_t>(layer.sizes.hiddenSize) * elementBytes;
  format::encode(bias, elementBytes == 2 ? format::DType::bf16 : format::DType::f32, biased.data() + offset);
  return writeRouters(biased);
}

Status LayerRun::writeRouters(std::span<const std::byte> bytes) {
  for (const format::Variable *variable : *session->artifact().table().variables())
    if (variable->name()->string_view().ends_with(kRouterName))
      if (Status status = session->writeVariable(variable->name()->string_view(), bytes); !status)
        return status;
  return {};
}

/// By bisection on the load that the layer itself reports. The share of tokens does not depend on their number, so some
/// thousand are enough.
Status LayerRun::findSkewedBias() {
  constexpr std::int64_t enough = 1024;
  constexpr double largest = 64;
  constexpr int steps = 16;
  std::vector<std::int64_t> counts = layer.tokens;
  std::sort(counts.begin(), counts.end());
  const auto found = std::lower_bound(counts.begin(), counts.end(), enough);
  const std::int64_t tokens = found == counts.end() ? counts.back() : *found;
  EntryPoint *entry = find("forward", tokens);
  if (!entry)
    return Status(ErrorCode::corruptFile, layer.artifact->path() + " has no entry point 'forward." +
                                              std::to_string(tokens) + "'");
  if (Status status = setInputs(*entry, tokens); !status)
    return status;
  const double mean =
      static_cast<double>(tokens * layer.sizes.topK) / static_cast<double>(layer.sizes.numExperts);
  const double wanted = std::min(kSkew * mean, static_cast<double>(tokens));
  double low = 0, high = largest;
  for (int step = 0; step < steps; ++step) {
    const double middle = (low + high) / 2;
    if (Status status = writeRouter(middle); !status)
      return status;
    if (Status status = entry->run(); !status)
      return status;
    Result<std::vector<std::int32_t>> load = readLoad(*entry);
    if (!load)
      return load.status();
    ((*load)[kHotExpert] < wanted ? low : high) = middle;
  }
  skewedBias = high;
  return {};
}

Status LayerRun::setRouting(Routing routing) {
  if (routing == Routing::uniform)
    return writeRouters(router);
  if (skewedBias < 0)
    if (Status status = findSkewedBias(); !status)
      return status;
  return writeRouter(skewedBias);
}

} // namespace moe::engine
