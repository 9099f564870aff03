//===- InspectJson.cpp - What is in an artifact, as JSON ------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Report/Inspect.h"
#include "lib/Engine/Report/MemoryPlan.h"
#include "lib/Engine/Report/ProgramText.h"
#include "runtime/format/DType.h"

namespace moe::engine {
namespace {

constexpr int kSchemaVersion = 1;

template <typename Vector> Json shapeToJson(const Vector &shape) {
  Json json = Json::array();
  for (std::int64_t extent : shape)
    json.push_back(extent);
  return json;
}

Json portsToJson(const flatbuffers::Vector<flatbuffers::Offset<format::Port>> &ports) {
  Json json = Json::array();
  for (const format::Port *port : ports)
    json.push_back({{"name", port->name()->str()},
                    {"dtype", format::EnumNameDType(port->dtype())},
                    {"shape", shapeToJson(*port->shape())}});
  return json;
}

Json entryPointsToJson(const format::Artifact &artifact) {
  Json json = Json::array();
  for (const format::EntryPoint *entry : *artifact.entry_points())
    json.push_back({{"name", entry->name()->str()},
                    {"inputs", portsToJson(*entry->inputs())},
                    {"outputs", portsToJson(*entry->outputs())},
                    {"instructions", entry->program()->size()},
                    {"workspace_bytes", entry->workspace_bytes()}});
  return json;
}

Json memoryToJson(const Artifact &artifact) {
  const MemoryPlan plan = planMemory(artifact);
  Json variables = Json::object(), workspaces = Json::object();
  for (const VariableGroup &group : plan.variables)
    variables[group.role] = {{"count", group.count}, {"elements", group.elements}, {"bytes", group.bytes}};
  for (const WorkspacePlan &workspace : plan.workspaces) {
    Json buffers = Json::array();
    for (const WorkspaceBuffer &buffer : workspace.buffers)
      buffers.push_back({{"offset", buffer.offset},
                         {"size", buffer.size},
                         {"first_use", buffer.firstUse},
                         {"last_use", buffer.lastUse}});
    workspaces[workspace.entryPoint] = {
        {"bytes", workspace.size}, {"bytes_without_reuse", workspace.sum}, {"buffers", std::move(buffers)}};
  }
  return {{"variables", std::move(variables)},
          {"workspace_bytes", plan.sharedWorkspace},
          {"port_bytes", plan.ports},
          {"total_bytes", plan.total()},
          {"workspaces", std::move(workspaces)}};
}

Json kernelsToJson(const format::Artifact &artifact) {
  const auto dim = [](const format::Dim3 &dim) { return Json{dim.x(), dim.y(), dim.z()}; };
  const std::vector<std::size_t> launches = countLaunches(artifact);
  Json json = Json::array();
  for (unsigned i = 0; i < artifact.kernels()->size(); ++i) {
    const format::Kernel &kernel = *artifact.kernels()->Get(i);
    json.push_back({{"name", kernel.name()->str()},
                    {"launches", launches[i]},
                    {"grid", dim(*kernel.grid())},
                    {"block", dim(*kernel.block())},
                    {"scratch_bytes", kernel.scratch_bytes()},
                    {"shared_bytes", kernel.shared_bytes()},
                    {"operands", kernel.num_operands()},
                    {"results", kernel.num_results()},
                    {"flops", kernel.flops()},
                    {"bytes", kernel.bytes()}});
  }
  return json;
}

Json variablesToJson(const format::Artifact &artifact) {
  Json json = Json::array();
  for (const format::Variable *variable : *artifact.variables()) {
    Json initializer = {{"kind", format::EnumNameInitializerKind(variable->initializer()->kind())}};
    if (variable->initializer()->kind() == format::InitializerKind::normal)
      initializer["stddev"] = variable->initializer()->stddev();
    if (variable->initializer()->kind() == format::InitializerKind::copy)
      initializer["source"] = artifact.variables()->Get(variable->initializer()->source())->name()->str();
    json.push_back({{"name", variable->name()->str()},
                    {"role", format::EnumNameVariableRole(variable->role())},
                    {"dtype", format::EnumNameDType(variable->dtype())},
                    {"shape", shapeToJson(*variable->shape())},
                    {"initializer", std::move(initializer)},
                    {"bytes", format::byteSize(*variable)}});
  }
  return json;
}

Json programToJson(const format::Artifact &artifact) {
  Json json = Json::object();
  for (const format::EntryPoint *entry : *artifact.entry_points()) {
    Json instructions = Json::array();
    for (const format::Instruction *instruction : *entry->program())
      instructions.push_back({{"label", instruction->label() ? instruction->label()->str() : ""},
                              {"operation", instructionText(artifact, *entry, *instruction)}});
    json[entry->name()->str()] = std::move(instructions);
  }
  return json;
}

Json targetToJson(const format::Target &target) {
  Json features = Json::array();
  if (target.features())
    for (const auto *feature : *target.features())
      features.push_back(feature->str());
  return {{"name", target.name()->str()}, {"arch", target.arch()->str()}, {"features", std::move(features)}};
}

} // namespace

Result<Json> inspectJson(const Artifact &artifact, const std::set<std::string> &sections) {
  const format::Artifact &table = artifact.table();
  const auto wanted = [&](const char *section) { return sections.empty() || sections.contains(section); };
  Json json = {{"schema_version", kSchemaVersion},
               {"artifact", artifact.path()},
               {"producer", table.producer()->str()},
               {"target", targetToJson(*table.target())}};
  if (wanted("model")) {
    Result<Json> model = parseJson(table.model()->string_view());
    if (!model)
      return model.status().withContext(artifact.path());
    json["model"] = std::move(*model);
  }
  if (wanted("entry-points"))
    json["entry_points"] = entryPointsToJson(table);
  if (wanted("memory"))
    json["memory"] = memoryToJson(artifact);
  if (wanted("kernels"))
    json["kernels"] = kernelsToJson(table);
  if (wanted("variables"))
    json["variables"] = variablesToJson(table);
  if (wanted("program"))
    json["program"] = programToJson(table);
  return json;
}

} // namespace moe::engine
