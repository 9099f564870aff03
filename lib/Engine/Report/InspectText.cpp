//===- InspectText.cpp - What is in an artifact, in words -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Model/ModelInfo.h"
#include "lib/Engine/Report/Inspect.h"
#include "lib/Engine/Report/MemoryPlan.h"
#include "lib/Engine/Report/ProgramText.h"
#include "lib/Engine/Report/Table.h"
#include "lib/Engine/Support/Strings.h"
#include "runtime/format/DType.h"

#include <array>

namespace moe::engine {
namespace {

std::string modelSection(const Artifact &artifact, const ModelInfo &model) {
  const format::Artifact &table = artifact.table();
  std::string features;
  if (table.target()->features())
    for (const auto *feature : *table.target()->features())
      features += " " + feature->str();
  std::uint64_t code = 0;
  for (const format::Blob *blob : *table.blobs())
    code += blob->size();
  Table text({"", ""}, "ll");
  text.add({"artifact", artifact.path()});
  text.add({"producer", table.producer()->str()});
  text.add({"target", table.target()->name()->str() + ", " + table.target()->arch()->str()});
  if (!features.empty())
    text.add({"features", features.substr(1)});
  text.add({"model", model.summary()});
  if (model.training)
    text.add(
        {"training", format("batch size %lld, sequence length %lld", static_cast<long long>(model.training->batchSize),
                            static_cast<long long>(model.training->sequenceLength))});
  if (model.serving)
    text.add({"serving", format("batch size %lld, prompt length %lld, context length %lld",
                                static_cast<long long>(model.serving->batchSize),
                                static_cast<long long>(model.serving->promptLength),
                                static_cast<long long>(model.serving->contextLength))});
  text.add({"code", format("%s in %u blobs", formatBytes(code).c_str(), table.blobs()->size())});
  return text.text();
}

std::string entryPointsSection(const Artifact &artifact) {
  std::string text;
  for (const format::EntryPoint *entry : *artifact.table().entry_points()) {
    text += format("  %s: %u instructions, workspace %s\n", entry->name()->c_str(), entry->program()->size(),
                   formatBytes(entry->workspace_bytes()).c_str());
    Table ports({"", "", ""}, "lll", /*indent=*/4);
    for (const format::Port *port : *entry->inputs())
      ports.add({"in", port->name()->str(), format::typeString(*port)});
    for (const format::Port *port : *entry->outputs())
      ports.add({"out", port->name()->str(), format::typeString(*port)});
    text += ports.text();
  }
  return text;
}

std::string memorySection(const Artifact &artifact) {
  const MemoryPlan plan = planMemory(artifact);
  Table table({"what", "bytes", ""}, "lrl");
  for (const VariableGroup &group : plan.variables)
    table.add({group.role, formatBytes(group.bytes),
               format("%s elements in %zu variables", formatCount(static_cast<double>(group.elements)).c_str(),
                      group.count)});
  table.add({"workspace", formatBytes(plan.sharedWorkspace), "shared by the entry points"});
  table.add({"ports", formatBytes(plan.ports), ""});
  table.add({"total", formatBytes(plan.total()), ""});
  std::string text = table.text() + "\n";
  Table workspaces({"workspace of", "bytes", "buffers", "without reuse"}, "lrrr");
  for (const WorkspacePlan &workspace : plan.workspaces)
    workspaces.add({workspace.entryPoint, formatBytes(workspace.size), std::to_string(workspace.buffers.size()),
                    formatBytes(workspace.sum)});
  return text + workspaces.text();
}

std::string dimensions(const format::Dim3 &dim) {
  if (dim.y() <= 1 && dim.z() <= 1)
    return std::to_string(dim.x());
  return format("%ux%ux%u", dim.x(), dim.y(), dim.z());
}

std::string kernelsSection(const Artifact &artifact) {
  const std::vector<std::size_t> launches = countLaunches(artifact.table());
  Table table({"kernel", "launches", "grid", "block", "scratch", "flops", "bytes"}, "lrrrrrr");
  for (unsigned i = 0; i < artifact.table().kernels()->size(); ++i) {
    const format::Kernel &kernel = *artifact.table().kernels()->Get(i);
    table.add({kernel.name()->str(), std::to_string(launches[i]), dimensions(*kernel.grid()),
               dimensions(*kernel.block()), formatBytes(kernel.scratch_bytes() + kernel.shared_bytes()),
               formatCount(static_cast<double>(kernel.flops())), formatBytes(kernel.bytes())});
  }
  return table.text();
}

std::string initializerText(const format::Initializer &initializer, const Artifact &artifact) {
  if (initializer.kind() == format::InitializerKind::copy)
    return "copy of " + artifact.table().variables()->Get(initializer.source())->name()->str();
  if (initializer.kind() == format::InitializerKind::normal)
    return format("normal(%g)", initializer.stddev());
  return format::EnumNameInitializerKind(initializer.kind());
}

std::string variablesSection(const Artifact &artifact) {
  Table table({"variable", "role", "type", "initial", "bytes"}, "llllr");
  for (const format::Variable *variable : *artifact.table().variables())
    table.add({variable->name()->str(), format::EnumNameVariableRole(variable->role()), format::typeString(*variable),
               initializerText(*variable->initializer(), artifact), formatBytes(format::byteSize(*variable))});
  return table.text();
}

std::string programSection(const Artifact &artifact) {
  std::string text;
  for (const format::EntryPoint *entry : *artifact.table().entry_points()) {
    text += "  " + entry->name()->str() + "\n";
    Table table({"", "", ""}, "rll", /*indent=*/4);
    for (unsigned i = 0; i < entry->program()->size(); ++i) {
      const format::Instruction &instruction = *entry->program()->Get(i);
      table.add({std::to_string(i), instruction.label() ? instruction.label()->str() : "",
                 instructionText(artifact.table(), *entry, instruction)});
    }
    text += table.text();
  }
  return text;
}

} // namespace

std::span<const std::string> inspectSections() {
  static const std::array<std::string, 6> sections = {"model",   "entry-points", "memory",
                                                      "kernels", "variables",    "program"};
  return sections;
}

Result<std::string> inspectText(const Artifact &artifact, const std::set<std::string> &sections) {
  Result<ModelInfo> model = readModelInfo(artifact);
  if (!model)
    return model.status();
  std::string text;
  for (const std::string &section : inspectSections()) {
    if (!sections.empty() && !sections.contains(section))
      continue;
    text += (text.empty() ? "" : "\n") + section + "\n";
    text += section == "model"          ? modelSection(artifact, *model)
            : section == "entry-points" ? entryPointsSection(artifact)
            : section == "memory"       ? memorySection(artifact)
            : section == "kernels"      ? kernelsSection(artifact)
            : section == "variables"    ? variablesSection(artifact)
                                        : programSection(artifact);
  }
  return text;
}

} // namespace moe::engine
