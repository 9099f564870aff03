//===- EntryPoint.cpp - The loop over a program ---------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/executor/EntryPoint.h"

#include "runtime/executor/Ranges.h"
#include "runtime/format/DType.h"

#include <cstring>
#include <string>
#include <utility>

namespace moe {

CompiledEntryPoint::CompiledEntryPoint(Driver &driver, const format::EntryPoint &table,
                                       std::span<const std::unique_ptr<LoadedKernel>> kernels, EntryPointMemory memory,
                                       const Observer &observer)
    : driver(driver), entryPoint(table), memory(std::move(memory)), observer(observer) {
  for (const format::Instruction *instruction : *table.program()) {
    Step &step = steps.emplace_back();
    step.firstView = static_cast<std::uint32_t>(views.size());
    if (const format::Launch *launch = instruction->operation_as_Launch()) {
      step.kind = Step::Kind::launch;
      step.kernel = kernels[launch->kernel()].get();
      for (const format::BufferRef *ref : *launch->buffers())
        views.push_back(resolve(*ref));
    } else if (const format::Copy *copy = instruction->operation_as_Copy()) {
      step.kind = Step::Kind::copy;
      views.push_back(resolve(*copy->source()));
      views.push_back(resolve(*copy->destination()));
    } else if (const format::Fill *fill = instruction->operation_as_Fill()) {
      step.kind = Step::Kind::fill;
      step.fillValue = fill->value();
      views.push_back(resolve(*fill->destination()));
    }
    step.numViews = static_cast<std::uint32_t>(views.size()) - step.firstView;
    step.label = instruction->label() ? instruction->label()->c_str() : "";
  }
}

BufferView CompiledEntryPoint::resolve(const format::BufferRef &ref) const {
  auto base = [&]() -> BufferView {
    switch (ref.space()) {
    case format::Space::workspace:
      return memory.workspace;
    case format::Space::variable:
      return memory.variables[ref.index()];
    case format::Space::input:
      return memory.inputs[ref.index()];
    case format::Space::output:
      return memory.outputs[ref.index()];
    }
    return {};
  }();
  return {base.memory, base.offset + ref.offset(), ref.size()};
}

Status CompiledEntryPoint::execute(const Step &step) {
  const BufferView *buffers = views.data() + step.firstView;
  switch (step.kind) {
  case Step::Kind::launch:
    return driver.launch(*step.kernel, {buffers, step.numViews});
  case Step::Kind::copy:
    return driver.copy(buffers[0], buffers[1]);
  case Step::Kind::fill:
    return driver.fill(buffers[0], step.fillValue);
  }
  return {};
}

/// Profilers see a range per run of instructions with the same label: a layer.
Status CompiledEntryPoint::executeAll() {
  for (std::size_t i = 0; i < steps.size();) {
    const char *label = steps[i].label;
    const ProfilerRange range(label);
    for (; i < steps.size() && std::strcmp(steps[i].label, label) == 0; ++i)
      if (Status status = execute(steps[i]); !status)
        return describe(i, status);
  }
  return {};
}

Status CompiledEntryPoint::executeAllTimed() {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto elapsed = driver.time([&] { return execute(steps[i]); });
    if (!elapsed)
      return describe(i, elapsed.status());
    const auto end = std::chrono::steady_clock::now();
    observer({*this, i, end - *elapsed, end});
  }
  return {};
}

Status CompiledEntryPoint::run() {
  const ProfilerRange range(entryPoint.name()->c_str());
  if (observer)
    return executeAllTimed();
  if (recordable && !recording) {
    auto recorded = driver.record([this] { return executeAll(); });
    if (!recorded)
      return recorded.status();
    recording = std::move(*recorded);
    recordable = recording != nullptr;
  }
  if (!recording)
    return executeAll();
  const Status status = driver.replay(*recording);
  return status ? status : status.withContext("'" + entryPoint.name()->str() + "'");
}

Status CompiledEntryPoint::describe(std::size_t index, const Status &failure) const {
  const flatbuffers::String *label = entryPoint.program()->Get(static_cast<unsigned>(index))->label();
  return failure.withContext("'" + entryPoint.name()->str() + "', instruction " + std::to_string(index) +
                             (label ? " ('" + label->str() + "')" : ""));
}

/// The index of the port `name`, if `size` is its size.
static Result<std::size_t> findPort(const format::EntryPoint &entryPoint, const char *direction,
                                    const flatbuffers::Vector<flatbuffers::Offset<format::Port>> &ports,
                                    std::string_view name, std::size_t size) {
  const std::string what = "'" + entryPoint.name()->str() + "': " + direction + " '" + std::string(name) + "'";
  std::string known;
  for (unsigned i = 0; i < ports.size(); ++i) {
    const format::Port &port = *ports.Get(i);
    if (std::string_view(port.name()->data(), port.name()->size()) != name) {
      known += (known.empty() ? "" : ", ") + port.name()->str();
      continue;
    }
    if (const std::size_t expected = format::byteSize(port); size != expected)
      return Status(ErrorCode::usage, what + " is " + format::typeString(port) + " of " + std::to_string(expected) +
                                          " bytes, not " + std::to_string(size));
    return std::size_t{i};
  }
  return Status(ErrorCode::usage,
                what + " does not exist; there " + (known.empty() ? std::string("are none") : "are: " + known));
}

Status CompiledEntryPoint::setInput(std::string_view name, std::span<const std::byte> bytes) {
  auto index = findPort(entryPoint, "input", *entryPoint.inputs(), name, bytes.size());
  return index ? driver.write(bytes, memory.inputs[*index]) : index.status();
}

Status CompiledEntryPoint::getOutput(std::string_view name, std::span<std::byte> bytes) {
  auto index = findPort(entryPoint, "output", *entryPoint.outputs(), name, bytes.size());
  return index ? driver.read(memory.outputs[*index], bytes) : index.status();
}

Status CompiledEntryPoint::poison() {
  constexpr std::uint8_t kNaN = 0xff;
  for (const BufferView &output : memory.outputs)
    if (Status status = driver.fill(output, kNaN); !status)
      return status;
  return driver.fill(memory.workspace, kNaN);
}

} // namespace moe
