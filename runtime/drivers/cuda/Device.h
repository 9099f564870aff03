//===- Device.h - One GPU, its context and a stream -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_DEVICE_H
#define MOE_RUNTIME_DRIVERS_CUDA_DEVICE_H

#include "runtime/drivers/cuda/CudaApi.h"

#include <memory>
#include <string>

namespace moe::drivers::cuda {

/// A GPU with its primary context, which other libraries of the process share, and the stream that all work goes to.
class Device {
public:
  /// Errors: those of CudaApi::open; ErrorCode::configuration if there is no device `ordinal`.
  static Result<std::shared_ptr<const Device>> open(int ordinal);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const CudaApi &api() const { return *cuda; }
  CuStream stream() const { return workStream; }
  const std::string &name() const { return deviceName; }
  /// Compute capability, 10 · major + minor.
  int capability() const { return computeCapability; }
  std::string busId() const;
  int attribute(int attribute) const;

  /// Waits for the stream.
  Status synchronize() const { return cuda->check(cuda->streamSynchronize(workStream), "waiting for the GPU"); }

private:
  friend class ContextScope;
  Device() = default;
  Status start(int ordinal);

  std::shared_ptr<const CudaApi> cuda;
  CuDevice handle = 0;
  CuContext context = nullptr;
  CuStream workStream = nullptr;
  std::string deviceName;
  int computeCapability = 0;
};

/// Within its life, calls of this thread go to the device; afterwards to where they went before. If the context is
/// broken, those calls fail and say so.
class [[nodiscard]] ContextScope {
public:
  explicit ContextScope(const Device &device) : cuda(*device.cuda) {
    pushed = cuda.ctxPushCurrent(device.context) == kSuccess;
  }
  ~ContextScope() {
    CuContext ignored;
    if (pushed)
      cuda.ctxPopCurrent(&ignored);
  }
  ContextScope(const ContextScope &) = delete;
  ContextScope &operator=(const ContextScope &) = delete;

private:
  const CudaApi &cuda;
  bool pushed;
};

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_DEVICE_H
