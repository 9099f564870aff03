//===- TensorMap.h - What TMA moves boxes by --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_TENSORMAP_H
#define MOE_RUNTIME_DRIVERS_CUDA_TENSORMAP_H

#include "runtime/drivers/cuda/CudaApi.h"
#include "runtime/format/artifact_generated.h"

namespace moe::drivers::cuda {

/// Encodes `map`, a valid one, for the buffer at `address`. Needs no context.
/// Errors: ErrorCode::unsupportedModel if the driver cannot; ErrorCode::failed with the map's text if it refuses this.
Result<CuTensorMap> encodeTensorMap(const CudaApi &cuda, const format::TensorMapT &map, CuAddress address);

/// "bf16[4096,768] in boxes of [128,64]", the slowest dimension first.
std::string toString(const format::TensorMapT &map);

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_TENSORMAP_H
