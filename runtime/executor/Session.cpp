//===- Session.cpp - Load an artifact and run it --------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "moe/Session.h"

#include "runtime/executor/EntryPoint.h"
#include "runtime/executor/Initialize.h"
#include "runtime/executor/MemoryLayout.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

namespace moe {
namespace {

using format::VariableRole;

constexpr std::size_t kNumRoles = static_cast<std::size_t>(VariableRole::MAX) + 1;

std::string_view view(const flatbuffers::String &string) { return {string.data(), string.size()}; }

class LocalSession final : public Session {
public:
  LocalSession(std::shared_ptr<const Artifact> artifact, std::unique_ptr<Driver> driver)
      : source(std::move(artifact)), device(std::move(driver)) {}

  /// Loads the kernels, allocates, and resolves the programs.
  Status prepare();

  const Artifact &artifact() const override { return *source; }
  Driver &driver() override { return *device; }
  MemoryUse memoryUse() const override;

  Status initialize(std::uint64_t seed) override;
  Status resetCaches() override;
  Status writeVariable(std::string_view name, std::span<const std::byte> bytes) override;
  Status readVariable(std::string_view name, std::span<std::byte> bytes) override;

  EntryPoint *find(std::string_view name) override;
  std::vector<std::string> entryPointNames() const override;
  void setObserver(Observer newObserver) override { observer = std::move(newObserver); }

private:
  Status loadKernels();
  Status allocateVariables();
  Status createEntryPoints();
  Result<DeviceMemory *> allocate(std::size_t bytes, const char *purpose);
  Result<BufferView> findVariable(std::string_view name, std::size_t size) const;

  std::shared_ptr<const Artifact> source;
  std::unique_ptr<Driver> device;
  Observer observer;

  // Destroyed in reverse order: before the driver, kernels last.
  std::vector<std::unique_ptr<LoadedKernel>> kernels;
  std::vector<std::unique_ptr<DeviceMemory>> allocations;
  std::array<DeviceMemory *, kNumRoles> roleMemory = {};
  std::vector<BufferView> variables;
  std::unordered_map<std::string_view, std::size_t> variableIndex;
  DeviceMemory *workspace = nullptr, *ports = nullptr;
  std::vector<std::unique_ptr<CompiledEntryPoint>> entryPoints;
};

Status LocalSession::prepare() {
  if (Status status = loadKernels(); !status)
    return status;
  if (Status status = allocateVariables(); !status)
    return status;
  return createEntryPoints();
}

Status LocalSession::loadKernels() {
  std::vector<std::span<const std::byte>> blobs;
  for (std::size_t i = 0; i < source->table().blobs()->size(); ++i)
    blobs.push_back(source->blob(i));
  auto loaded = device->load(source->table(), blobs);
  if (!loaded)
    return loaded.status();
  kernels = std::move(*loaded);
  return {};
}

/// Zeroed memory.
Result<DeviceMemory *> LocalSession::allocate(std::size_t bytes, const char *purpose) {
  auto memory = device->allocate(bytes);
  if (!memory)
    return memory.status().withContext(purpose);
  if (Status status = device->fill({memory->get(), 0, bytes}, 0); !status)
    return status.withContext(purpose);
  allocations.push_back(std::move(*memory));
  return allocations.back().get();
}

Status LocalSession::allocateVariables() {
  std::array<MemoryLayout, kNumRoles> layouts;
  for (const format::Variable *variable : *source->table().variables()) {
    const std::size_t size = format::byteSize(*variable);
    variableIndex.emplace(view(*variable->name()), variables.size());
    variables.push_back({nullptr, layouts[static_cast<std::size_t>(variable->role())].add(size), size});
  }
  for (std::size_t role = 0; role < kNumRoles; ++role) {
    auto memory = allocate(layouts[role].size(), format::EnumNamesVariableRole()[role]);
    if (!memory)
      return memory.status();
    roleMemory[role] = *memory;
  }
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const auto role = source->table().variables()->Get(static_cast<unsigned>(i))->role();
    variables[i].memory = roleMemory[static_cast<std::size_t>(role)];
  }
  return {};
}

Status LocalSession::createEntryPoints() {
  MemoryLayout portLayout;
  std::size_t workspaceBytes = 0;
  std::vector<EntryPointMemory> memories;
  auto layOutPorts = [&](const flatbuffers::Vector<flatbuffers::Offset<format::Port>> &tables) {
    std::vector<BufferView> views;
    for (const format::Port *port : tables) {
      const std::size_t size = format::byteSize(*port);
      views.push_back({nullptr, portLayout.add(size), size});
    }
    return views;
  };
  for (const format::EntryPoint *table : *source->table().entry_points()) {
    workspaceBytes = std::max<std::size_t>(workspaceBytes, table->workspace_bytes());
    EntryPointMemory &memory = memories.emplace_back();
    memory.inputs = layOutPorts(*table->inputs());
    memory.outputs = layOutPorts(*table->outputs());
  }

  auto workspaceMemory = allocate(workspaceBytes, "workspace");
  if (!workspaceMemory)
    return workspaceMemory.status();
  workspace = *workspaceMemory;
  auto portMemory = allocate(portLayout.size(), "inputs and outputs");
  if (!portMemory)
    return portMemory.status();
  ports = *portMemory;

  for (std::size_t i = 0; i < memories.size(); ++i) {
    const format::EntryPoint &table = *source->table().entry_points()->Get(static_cast<unsigned>(i));
    EntryPointMemory &memory = memories[i];
    memory.workspace = {workspace, 0, table.workspace_bytes()};
    memory.variables = variables;
    for (BufferView &input : memory.inputs)
      input.memory = ports;
    for (BufferView &output : memory.outputs)
      output.memory = ports;
    entryPoints.push_back(std::make_unique<CompiledEntryPoint>(*device, table, kernels, std::move(memory), observer));
  }
  return {};
}

MemoryUse LocalSession::memoryUse() const {
  auto sizeOf = [&](VariableRole role) { return roleMemory[static_cast<std::size_t>(role)]->size(); };
  MemoryUse use;
  use.parameters = sizeOf(VariableRole::parameter);
  use.optimizer = sizeOf(VariableRole::optimizer);
  use.buffers = sizeOf(VariableRole::buffer);
  use.caches = sizeOf(VariableRole::cache);
  use.workspace = workspace->size();
  use.ports = ports->size();
  return use;
}

Status LocalSession::initialize(std::uint64_t seed) {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const format::Variable &variable = *source->table().variables()->Get(static_cast<unsigned>(i));
    if (Status status = initializeVariable(*device, variable, seed, variables[i]); !status)
      return status.withContext("initial value of '" + variable.name()->str() + "'");
  }
  return {};
}

Status LocalSession::resetCaches() {
  DeviceMemory *caches = roleMemory[static_cast<std::size_t>(VariableRole::cache)];
  return device->fill({caches, 0, caches->size()}, 0);
}

Result<BufferView> LocalSession::findVariable(std::string_view name, std::size_t size) const {
  const std::string what = "variable '" + std::string(name) + "'";
  const auto found = variableIndex.find(name);
  if (found == variableIndex.end())
    return Status(ErrorCode::usage, what + " does not exist in " + source->path());
  if (const BufferView &variable = variables[found->second]; size == variable.size)
    return variable;
  const format::Variable &table = *source->table().variables()->Get(static_cast<unsigned>(found->second));
  return Status(ErrorCode::usage, what + " is " + format::typeString(table) + " of " +
                                      std::to_string(format::byteSize(table)) + " bytes, not " + std::to_string(size));
}

Status LocalSession::writeVariable(std::string_view name, std::span<const std::byte> bytes) {
  auto variable = findVariable(name, bytes.size());
  return variable ? device->write(bytes, *variable) : variable.status();
}

Status LocalSession::readVariable(std::string_view name, std::span<std::byte> bytes) {
  auto variable = findVariable(name, bytes.size());
  return variable ? device->read(*variable, bytes) : variable.status();
}

EntryPoint *LocalSession::find(std::string_view name) {
  for (const auto &entryPoint : entryPoints)
    if (view(*entryPoint->table().name()) == name)
      return entryPoint.get();
  return nullptr;
}

std::vector<std::string> LocalSession::entryPointNames() const {
  std::vector<std::string> names;
  for (const auto &entryPoint : entryPoints)
    names.push_back(entryPoint->table().name()->str());
  return names;
}

} // namespace

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Artifact> artifact,
                                                 const DriverOptions &options) {
  auto driver = openDriver(view(*artifact->table().target()->name()), options);
  if (!driver)
    return driver.status().withContext(artifact->path());
  auto session = std::make_unique<LocalSession>(artifact, std::move(*driver));
  if (Status status = session->prepare(); !status)
    return status.withContext(artifact->path());
  return std::unique_ptr<Session>(std::move(session));
}

} // namespace moe
