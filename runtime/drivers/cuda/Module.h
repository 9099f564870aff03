//===- Module.h - Kernels of an artifact on a GPU ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_MODULE_H
#define MOE_RUNTIME_DRIVERS_CUDA_MODULE_H

#include "moe/Driver.h"
#include "runtime/drivers/cuda/Device.h"
#include "runtime/format/artifact_generated.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moe::drivers::cuda {

/// Code on the GPU, unloaded on destruction.
class Module {
public:
  /// Compiles PTX; the text need not end in a zero. The error quotes the compiler's log.
  static Result<std::shared_ptr<Module>> fromPtx(std::shared_ptr<const Device> device, std::string ptx);
  /// Loads machine code that was made for this device. The file's structure is checked first: the driver trusts it.
  static Result<std::shared_ptr<Module>> fromCubin(std::shared_ptr<const Device> device,
                                                   std::span<const std::byte> cubin);
  ~Module();
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;

  /// nullptr if there is no kernel of this name.
  CuFunction find(const char *name) const;

private:
  Module(std::shared_ptr<const Device> device, CuModule handle) : device(std::move(device)), handle(handle) {}

  std::shared_ptr<const Device> device;
  CuModule handle;
};

/// A function with its launch geometry. Its parameters are the addresses of its buffers, one for each, then its tensor
/// maps, encoded for them.
class CudaKernel final : public LoadedKernel {
public:
  /// Finds the kernel in `module` and compares what it needs with what the device has.
  /// Errors: ErrorCode::corruptFile (not there, other parameters), ErrorCode::doesNotFit (with both numbers).
  static Result<std::unique_ptr<CudaKernel>> create(const Device &device, std::shared_ptr<const Module> module,
                                                    const format::Kernel &table);

  CuFunction function = nullptr;
  format::Dim3 grid, block;
  unsigned sharedBytes = 0;
  std::vector<format::TensorMapT> tensorMaps;
  bool dependentLaunch = false; ///< It waits by itself for the kernel before it.

private:
  Status checkLimits(const Device &device, const std::string &name);
  Status checkParameters(const Device &device, const std::string &name, std::size_t numBuffers) const;

  std::shared_ptr<const Module> module; ///< Holds the code.
};

/// What Driver::load does: for each PTX the cubin for exactly this device if there is one, else the driver's compiler.
Result<std::vector<std::unique_ptr<LoadedKernel>>> loadKernels(const std::shared_ptr<const Device> &device,
                                                               const format::Artifact &artifact,
                                                               std::span<const std::span<const std::byte>> blobs);

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_MODULE_H
