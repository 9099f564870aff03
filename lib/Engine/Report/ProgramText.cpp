//===- ProgramText.cpp - Instructions in words ----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/ProgramText.h"

#include "lib/Engine/Support/Strings.h"
#include "runtime/format/DType.h"

namespace moe::engine {
namespace {

std::string partOf(const std::string &name, std::size_t wholeSize, const format::BufferRef &ref) {
  if (ref.offset() == 0 && ref.size() == wholeSize)
    return name;
  return format("%s[%llu:%llu]", name.c_str(), static_cast<unsigned long long>(ref.offset()),
                static_cast<unsigned long long>(ref.size()));
}

std::string bufferText(const format::Artifact &artifact, const format::EntryPoint &entry,
                       const format::BufferRef &ref) {
  const auto port = [&](const auto &ports) {
    const format::Port &port = *ports.Get(ref.index());
    return partOf("@" + port.name()->str(), format::byteSize(port), ref);
  };
  switch (ref.space()) {
  case format::Space::workspace:
    return format("%%%llu:%llu", static_cast<unsigned long long>(ref.offset()),
                  static_cast<unsigned long long>(ref.size()));
  case format::Space::variable: {
    const format::Variable &variable = *artifact.variables()->Get(ref.index());
    return partOf(variable.name()->str(), format::byteSize(variable), ref);
  }
  case format::Space::input:
    return port(*entry.inputs());
  case format::Space::output:
    return port(*entry.outputs());
  }
  return "?";
}

} // namespace

std::vector<const format::BufferRef *> referencedBuffers(const format::Instruction &instruction) {
  if (const format::Launch *launch = instruction.operation_as_Launch()) {
    std::vector<const format::BufferRef *> buffers;
    for (const format::BufferRef *ref : *launch->buffers())
      buffers.push_back(ref);
    return buffers;
  }
  if (const format::Copy *copy = instruction.operation_as_Copy())
    return {copy->source(), copy->destination()};
  if (const format::Fill *fill = instruction.operation_as_Fill())
    return {fill->destination()};
  return {};
}

std::vector<std::size_t> countLaunches(const format::Artifact &artifact) {
  std::vector<std::size_t> launches(artifact.kernels()->size());
  for (const format::EntryPoint *entry : *artifact.entry_points())
    for (const format::Instruction *instruction : *entry->program())
      if (const format::Launch *launch = instruction->operation_as_Launch())
        ++launches[launch->kernel()];
  return launches;
}

std::string operationName(const format::Artifact &artifact, const format::Instruction &instruction) {
  if (const format::Launch *launch = instruction.operation_as_Launch())
    return artifact.kernels()->Get(launch->kernel())->name()->str();
  return instruction.operation_as_Copy() ? "copy" : "fill";
}

std::string instructionText(const format::Artifact &artifact, const format::EntryPoint &entry,
                            const format::Instruction &instruction) {
  std::vector<std::string> buffers;
  for (const format::BufferRef *ref : referencedBuffers(instruction))
    buffers.push_back(bufferText(artifact, entry, *ref));
  const auto join = [&](std::size_t begin, std::size_t end) {
    std::string text;
    for (std::size_t i = begin; i < end; ++i)
      text += (i == begin ? "" : ", ") + buffers[i];
    return text;
  };
  if (const format::Launch *launch = instruction.operation_as_Launch()) {
    const format::Kernel &kernel = *artifact.kernels()->Get(launch->kernel());
    return "launch @" + kernel.name()->str() + "(" + join(0, kernel.num_operands()) + ") -> (" +
           join(kernel.num_operands(), buffers.size()) + ")";
  }
  if (instruction.operation_as_Copy())
    return "copy " + buffers[0] + " -> " + buffers[1];
  if (const format::Fill *fill = instruction.operation_as_Fill())
    return format("fill %s with 0x%02x", buffers[0].c_str(), fill->value());
  return "?";
}

} // namespace moe::engine
