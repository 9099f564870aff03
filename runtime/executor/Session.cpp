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
#include <cstdio>
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

  /// Loads the kernels, lays out the memory, allocates it, and resolves the programs.
  Status prepare();

  const Artifact &artifact() const override { return *source; }
  Driver &driver() override { return *device; }
  MemoryUse memoryUse() const override { return plan; }

  Status initialize(std::uint64_t seed) override;
  Status initializeCopies() override;
  Status resetCaches() override;
  Status writeVariable(std::string_view name, std::span<const std::byte> bytes) override;
  Status readVariable(std::string_view name, std::span<std::byte> bytes) override;

  EntryPoint *find(std::string_view name) override;
  std::vector<std::string> entryPointNames() const override;
  void setObserver(Observer newObserver) override { observer = std::move(newObserver); }

private:
  Status loadKernels();
  void layOutMemory();
  Status checkThatItFits();
  Status allocateMemory();
  void createEntryPoints();
  Result<BufferView> findVariable(std::string_view name, std::size_t size) const;

  std::shared_ptr<const Artifact> source;
  std::unique_ptr<Driver> device;
  Observer observer;

  // Destroyed in reverse order: before the driver, kernels last.
  std::vector<std::unique_ptr<LoadedKernel>> kernels;
  std::vector<std::unique_ptr<DeviceMemory>> allocations;
  MemoryUse plan;
  DeviceMemory *caches = nullptr;
  std::vector<BufferView> variables;
  std::unordered_map<std::string_view, std::size_t> variableIndex;
  std::vector<EntryPointMemory> entryPointMemory; ///< Taken by the entry points.
  std::vector<std::unique_ptr<CompiledEntryPoint>> entryPoints;
};

Status LocalSession::prepare() {
  // Kernels take device memory too, so they come before the check.
  if (Status status = loadKernels(); !status)
    return status;
  layOutMemory();
  if (Status status = checkThatItFits(); !status)
    return status;
  if (Status status = allocateMemory(); !status)
    return status;
  createEntryPoints();
  return {};
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

/// Gives every variable, port and workspace its place, in memories that do not exist yet.
void LocalSession::layOutMemory() {
  std::array<MemoryLayout, kNumRoles> roles;
  for (const format::Variable *variable : *source->table().variables()) {
    const std::size_t size = format::byteSize(*variable);
    variableIndex.emplace(view(*variable->name()), variables.size());
    variables.push_back({nullptr, roles[static_cast<std::size_t>(variable->role())].add(size), size});
  }

  MemoryLayout ports;
  auto layOut = [&](const flatbuffers::Vector<flatbuffers::Offset<format::Port>> &tables) {
    std::vector<BufferView> views;
    for (const format::Port *port : tables) {
      const std::size_t size = format::byteSize(*port);
      views.push_back({nullptr, ports.add(size), size});
    }
    return views;
  };
  for (const format::EntryPoint *table : *source->table().entry_points()) {
    EntryPointMemory &memory = entryPointMemory.emplace_back();
    memory.workspace = {nullptr, 0, table->workspace_bytes()};
    memory.inputs = layOut(*table->inputs());
    memory.outputs = layOut(*table->outputs());
    plan.workspace = std::max(plan.workspace, memory.workspace.size);
  }

  auto sizeOf = [&](VariableRole role) { return roles[static_cast<std::size_t>(role)].size(); };
  plan.parameters = sizeOf(VariableRole::parameter);
  plan.optimizer = sizeOf(VariableRole::optimizer);
  plan.buffers = sizeOf(VariableRole::buffer);
  plan.caches = sizeOf(VariableRole::cache);
  plan.ports = ports.size();
}

std::string mebibytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

Status LocalSession::checkThatItFits() {
  const std::optional<std::size_t> available = device->availableMemory();
  if (!available || plan.total() <= *available)
    return {};
  std::string parts;
  for (const auto &[name, bytes] :
       {std::pair("parameters", plan.parameters), std::pair("optimizer", plan.optimizer),
        std::pair("buffers", plan.buffers), std::pair("caches", plan.caches), std::pair("workspace", plan.workspace),
        std::pair("inputs and outputs", plan.ports)})
    if (bytes)
      parts += (parts.empty() ? "" : ", ") + std::string(name) + " " + mebibytes(bytes);
  return Status(ErrorCode::doesNotFit, "needs " + mebibytes(plan.total()) + " of device memory (" + parts + "), but " +
                                           mebibytes(*available) + " are free on " + device->description() +
                                           "; compile with a smaller batch or sequence, or use a larger device");
}

/// Zeroed memory for everything that was laid out.
Status LocalSession::allocateMemory() {
  auto allocate = [&](std::size_t bytes, const char *purpose) -> Result<DeviceMemory *> {
    auto memory = device->allocate(bytes);
    if (!memory)
      return memory.status().withContext(purpose);
    if (Status status = device->fill({memory->get(), 0, bytes}, 0); !status)
      return status.withContext(purpose);
    allocations.push_back(std::move(*memory));
    return allocations.back().get();
  };

  const std::array<std::size_t, kNumRoles> sizes = {plan.parameters, plan.optimizer, plan.buffers, plan.caches};
  std::array<DeviceMemory *, kNumRoles> roles = {};
  for (std::size_t role = 0; role < kNumRoles; ++role) {
    auto memory = allocate(sizes[role], format::EnumNamesVariableRole()[role]);
    if (!memory)
      return memory.status();
    roles[role] = *memory;
  }
  auto workspace = allocate(plan.workspace, "workspace");
  if (!workspace)
    return workspace.status();
  auto ports = allocate(plan.ports, "inputs and outputs");
  if (!ports)
    return ports.status();

  for (std::size_t i = 0; i < variables.size(); ++i)
    variables[i].memory =
        roles[static_cast<std::size_t>(source->table().variables()->Get(static_cast<unsigned>(i))->role())];
  for (EntryPointMemory &memory : entryPointMemory) {
    memory.workspace.memory = *workspace;
    for (std::vector<BufferView> *views : {&memory.inputs, &memory.outputs})
      for (BufferView &port : *views)
        port.memory = *ports;
  }
  caches = roles[static_cast<std::size_t>(VariableRole::cache)];
  return {};
}

void LocalSession::createEntryPoints() {
  for (std::size_t i = 0; i < entryPointMemory.size(); ++i) {
    const format::EntryPoint &table = *source->table().entry_points()->Get(static_cast<unsigned>(i));
    entryPointMemory[i].variables = variables;
    entryPoints.push_back(
        std::make_unique<CompiledEntryPoint>(*device, table, kernels, std::move(entryPointMemory[i]), observer));
  }
}

Status LocalSession::initialize(std::uint64_t seed) {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const format::Variable &variable = *source->table().variables()->Get(static_cast<unsigned>(i));
    if (Status status = initializeVariable(*device, variable, seed, variables[i]); !status)
      return status.withContext("initial value of '" + variable.name()->str() + "'");
  }
  return initializeCopies();
}

// What a copy copies comes before it in the table, so that in order every source has its value already.
Status LocalSession::initializeCopies() {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const format::Variable &variable = *source->table().variables()->Get(static_cast<unsigned>(i));
    if (variable.initializer()->kind() != format::InitializerKind::copy)
      continue;
    const unsigned original = variable.initializer()->source();
    if (Status status = copyVariable(*device, *source->table().variables()->Get(original), variables[original],
                                     variable, variables[i]);
        !status)
      return status.withContext("initial value of '" + variable.name()->str() + "'");
  }
  return {};
}

Status LocalSession::resetCaches() { return device->fill({caches, 0, caches->size()}, 0); }

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
