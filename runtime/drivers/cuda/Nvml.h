//===- Nvml.h - What the management library says ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_NVML_H
#define MOE_RUNTIME_DRIVERS_CUDA_NVML_H

#include "moe/Driver.h"

#include <string>
#include <vector>

namespace moe::drivers::cuda {

/// The version of the kernel driver, the PCIe link and the NVLinks of the GPU with this PCI bus id, from
/// libnvidia-ml.so.1 opened at run time. Says nothing of what it cannot find out.
std::vector<DeviceFact> managementFacts(const std::string &busId);

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_NVML_H
