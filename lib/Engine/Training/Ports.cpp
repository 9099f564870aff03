//===- Ports.cpp - Values that go into and come out of training entry points -===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Training/Ports.h"

namespace moe::engine {

Status firstError(std::initializer_list<Status> statuses) {
  for (const Status &status : statuses)
    if (!status)
      return status;
  return {};
}

Status setScalar(EntryPoint &entry, std::string_view port, double value) {
  const auto single = static_cast<float>(value);
  return entry.setInput(port, std::span(&single, 1));
}

Status getScalar(EntryPoint &entry, std::string_view port, double &value) {
  float single = 0;
  Status status = entry.getOutput(port, std::span(&single, 1));
  value = single;
  return status;
}

Status setBatch(EntryPoint &entry, const Batch &batch) {
  if (hasInput(entry, "positions"))
    if (Status status = entry.setInput("positions", batch.positions); !status)
      return status;
  return firstError({entry.setInput("tokens", batch.tokens), entry.setInput("targets", batch.targets),
                     entry.setInput("weights", batch.weights)});
}

Result<std::vector<ExpertLoad>> readLoads(EntryPoint &entry, const ModelInfo &model) {
  std::vector<ExpertLoad> loads;
  std::vector<std::int32_t> counts(model.numExperts);
  for (std::int64_t layer : model.sparseLayers) {
    const std::string port = loadPort(layer);
    if (!hasOutput(entry, port))
      continue;
    if (Status status = entry.getOutput(port, counts); !status)
      return status;
    loads.push_back({layer, {counts.begin(), counts.end()}});
  }
  return loads;
}

} // namespace moe::engine
