//===- SelfTest.h - Does the GPU compute? -----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_SELFTEST_H
#define MOE_RUNTIME_DRIVERS_CUDA_SELFTEST_H

#include "moe/Driver.h"
#include "runtime/drivers/cuda/Device.h"

#include <memory>
#include <vector>

namespace moe::drivers::cuda {

/// Driver::selfTest of `driver`, which is the one of `device`: writes, fills, copies, runs a small kernel compiled from
/// PTX, reads back and compares every element; measures the bandwidths on the way.
Result<std::vector<DeviceFact>> testDevice(Driver &driver, const std::shared_ptr<const Device> &device);

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_SELFTEST_H
