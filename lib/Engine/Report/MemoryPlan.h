//===- MemoryPlan.h - Where an artifact's bytes go --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_MEMORYPLAN_H
#define LIB_ENGINE_REPORT_MEMORYPLAN_H

#include "moe/Session.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::engine {

/// A range of an entry point's workspace and the instructions that use it. Ranges may overlap in space if they do not
/// in time.
struct WorkspaceBuffer {
  std::uint64_t offset = 0, size = 0;
  std::size_t firstUse = 0, lastUse = 0; ///< Indices into the program, inclusive.
};

struct WorkspacePlan {
  std::string entryPoint;
  std::uint64_t size = 0;               ///< What the entry point asks for.
  std::uint64_t sum = 0;                ///< Of all buffers: what it would take without reuse.
  std::vector<WorkspaceBuffer> buffers; ///< By first use.
};

struct VariableGroup {
  std::string role;
  std::size_t count = 0;
  std::uint64_t elements = 0, bytes = 0;
};

struct MemoryPlan {
  std::vector<VariableGroup> variables; ///< One a role, in the order of the format.
  std::vector<WorkspacePlan> workspaces;
  std::uint64_t sharedWorkspace = 0; ///< The largest: entry points share one.
  std::uint64_t ports = 0;
  std::uint64_t total() const;
};

MemoryPlan planMemory(const Artifact &artifact);

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_MEMORYPLAN_H
