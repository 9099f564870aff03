//===- MemoryPlan.cpp - Where an artifact's bytes go ----------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/MemoryPlan.h"

#include "lib/Engine/Report/ProgramText.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace moe::engine {
namespace {

/// A buffer is named by its place; a place that is written anew after its last read starts another one, which a plan
/// need not tell apart.
WorkspacePlan planWorkspace(const format::EntryPoint &entry) {
  WorkspacePlan plan;
  plan.entryPoint = entry.name()->str();
  plan.size = entry.workspace_bytes();
  std::map<std::pair<std::uint64_t, std::uint64_t>, WorkspaceBuffer> buffers;
  for (std::size_t index = 0; index < entry.program()->size(); ++index)
    for (const format::BufferRef *ref : referencedBuffers(*entry.program()->Get(index))) {
      if (ref->space() != format::Space::workspace)
        continue;
      auto [place, isNew] =
          buffers.try_emplace({ref->offset(), ref->size()}, WorkspaceBuffer{ref->offset(), ref->size(), index, index});
      place->second.lastUse = index;
      if (isNew)
        plan.sum += ref->size();
    }
  for (const auto &[place, buffer] : buffers)
    plan.buffers.push_back(buffer);
  std::ranges::sort(plan.buffers, {}, [](const WorkspaceBuffer &buffer) {
    return std::tuple(buffer.firstUse, buffer.offset, buffer.size);
  });
  return plan;
}

} // namespace

std::uint64_t MemoryPlan::total() const {
  std::uint64_t total = sharedWorkspace + ports;
  for (const VariableGroup &group : variables)
    total += group.bytes;
  return total;
}

MemoryPlan planMemory(const Artifact &artifact) {
  MemoryPlan plan;
  for (format::VariableRole role : format::EnumValuesVariableRole()) {
    VariableGroup group{.role = format::EnumNameVariableRole(role)};
    for (const format::Variable *variable : *artifact.table().variables()) {
      if (variable->role() != role)
        continue;
      ++group.count;
      group.bytes += format::byteSize(*variable);
      group.elements += format::byteSize(*variable) / format::byteSize(variable->dtype());
    }
    plan.variables.push_back(group);
  }
  for (const format::EntryPoint *entry : *artifact.table().entry_points()) {
    plan.workspaces.push_back(planWorkspace(*entry));
    plan.sharedWorkspace = std::max<std::uint64_t>(plan.sharedWorkspace, entry->workspace_bytes());
    for (const auto *ports : {entry->inputs(), entry->outputs()})
      for (const format::Port *port : *ports)
        plan.ports += format::byteSize(*port);
  }
  return plan;
}

} // namespace moe::engine
