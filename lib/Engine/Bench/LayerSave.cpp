//===- LayerSave.cpp - What a run took and gave, as a file -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Engine/Bench/LayerBench.h"

#include "lib/Engine/Checkpoint/Safetensors.h"
#include "runtime/format/DType.h"

#include <algorithm>

namespace moe::engine {

/// "BF16".
static std::string safetensorsType(format::DType dtype) {
  std::string name(format::toString(dtype));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

template <typename Typed>
static TensorSource source(const Typed &typed, std::function<Status(std::span<std::byte>)> read) {
  const std::span<const std::int64_t> shape = format::toSpan(*typed.shape());
  return {typed.name()->str(), safetensorsType(typed.dtype()), {shape.begin(), shape.end()}, std::move(read)};
}

static TensorSource variableSource(Session &session, const format::Variable &variable) {
  return source(variable, [&session, &variable](std::span<std::byte> bytes) {
    return session.readVariable(variable.name()->string_view(), bytes);
  });
}

static Status write(const std::string &path, const std::vector<TensorSource> &tensors,
                    const std::map<std::string, std::string> &metadata) {
  Result<WrittenFile> written = writeSafetensors(path, tensors, metadata);
  return written ? Status() : written.status();
}

Status saveWeights(LayerRun &run, const std::string &path) {
  std::vector<TensorSource> tensors;
  for (const format::Variable *variable : *run.getSession().artifact().table().variables())
    if (variable->name()->string_view() != kRouterName &&
        variable->initializer()->kind() != format::InitializerKind::copy)
      tensors.push_back(variableSource(run.getSession(), *variable));
  return write(path, tensors, {});
}

Status saveRun(LayerRun &run, EntryPoint &entry, const std::string &path, const std::string &weights) {
  std::vector<TensorSource> tensors;
  for (const format::Port *port : *entry.table().inputs())
    tensors.push_back(source(*port, [&run, port](std::span<std::byte> bytes) {
      return run.readInput(port->name()->string_view(), bytes);
    }));
  for (const format::Variable *variable : *run.getSession().artifact().table().variables())
    if (variable->name()->string_view() == kRouterName)
      tensors.push_back(variableSource(run.getSession(), *variable));
  for (const format::Port *port : *entry.table().outputs())
    tensors.push_back(source(*port, [&entry, port](std::span<std::byte> bytes) {
      return entry.getOutput(port->name()->string_view(), bytes);
    }));
  return write(path, tensors,
               {{"top_k", std::to_string(run.getLayer().sizes.topK)}, {"weights", weights}});
}

} // namespace moe::engine
