//===- Nvml.cpp - What the management library says ------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/Nvml.h"

#include <dlfcn.h>

namespace moe::drivers::cuda {

// "NVML API Reference Guide"; 0 is NVML_SUCCESS.
using NvmlDevice = struct NvmlDeviceObject *;
static constexpr unsigned kMaxNvLinks = 18; // NVML_NVLINK_MAX_LINKS

namespace {

/// libnvidia-ml between nvmlInit and nvmlShutdown.
class Nvml {
public:
  Nvml() : library(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    using Init = int (*)();
    const auto init = library ? find<Init>("nvmlInit_v2") : nullptr;
    started = init && init() == 0;
  }
  ~Nvml() {
    if (const auto shutdown = started ? find<int (*)()>("nvmlShutdown") : nullptr)
      shutdown();
    if (library)
      ::dlclose(library);
  }
  Nvml(const Nvml &) = delete;
  Nvml &operator=(const Nvml &) = delete;

  /// Whether `symbol` exists and succeeds.
  template <typename... Parameters> bool call(const char *symbol, Parameters... parameters) const {
    const auto function = started ? find<int (*)(Parameters...)>(symbol) : nullptr;
    return function && function(parameters...) == 0;
  }

private:
  template <typename Function> Function find(const char *symbol) const {
    return reinterpret_cast<Function>(::dlsym(library, symbol));
  }

  void *library;
  bool started;
};

} // namespace

std::vector<DeviceFact> managementFacts(const std::string &busId) {
  std::vector<DeviceFact> facts;
  const Nvml nvml;
  char version[81] = {}; // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE + 1
  if (nvml.call("nvmlSystemGetDriverVersion", &version[0], 80u))
    facts.push_back({"driver", std::string(version)});
  NvmlDevice device = nullptr;
  if (!nvml.call("nvmlDeviceGetHandleByPciBusId_v2", busId.c_str(), &device))
    return facts;

  unsigned generation = 0, width = 0;
  if (nvml.call("nvmlDeviceGetMaxPcieLinkGeneration", device, &generation) &&
      nvml.call("nvmlDeviceGetCurrPcieLinkWidth", device, &width))
    facts.push_back({"pcie", "generation " + std::to_string(generation) + ", " + std::to_string(width) + " lanes"});
  std::int64_t links = 0;
  for (unsigned link = 0; link < kMaxNvLinks; ++link) {
    int active = 0; // nvmlEnableState_t
    links += nvml.call("nvmlDeviceGetNvLinkState", device, link, &active) && active;
  }
  facts.push_back({"nvlinks", links});
  return facts;
}

} // namespace moe::drivers::cuda
