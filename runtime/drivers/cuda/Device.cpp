//===- Device.cpp - One GPU, its context and a stream ---------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/Device.h"

namespace moe::drivers::cuda {

Result<std::shared_ptr<const Device>> Device::open(int ordinal) {
  auto cuda = CudaApi::open();
  if (!cuda)
    return cuda.status();
  int count = 0;
  if (Status status = (*cuda)->check((*cuda)->deviceGetCount(&count), "counting GPUs"); !status)
    return status;
  if (ordinal < 0 || ordinal >= count)
    return Status(ErrorCode::configuration, "there is no CUDA device " + std::to_string(ordinal) + ", only " +
                                                (count == 1 ? "0" : "0 to " + std::to_string(count - 1)));
  std::shared_ptr<Device> device(new Device);
  device->cuda = std::move(*cuda);
  if (Status status = device->start(ordinal); !status)
    return status.withContext("CUDA device " + std::to_string(ordinal));
  return std::shared_ptr<const Device>(std::move(device));
}

Status Device::start(int ordinal) {
  if (Status status = cuda->check(cuda->deviceGet(&handle, ordinal), "opening it"); !status)
    return status;
  char text[256] = {};
  if (Status status = cuda->check(cuda->deviceGetName(text, sizeof(text) - 1, handle), "reading its name"); !status)
    return status;
  deviceName = text;
  computeCapability = 10 * attribute(kCapabilityMajor) + attribute(kCapabilityMinor);
  if (Status status = cuda->check(cuda->devicePrimaryCtxRetain(&context, handle), "creating a context"); !status) {
    context = nullptr;
    return status;
  }
  ContextScope scope(*this);
  return cuda->check(cuda->streamCreate(&workStream, kStreamNonBlocking), "creating a stream");
}

Device::~Device() {
  if (!context)
    return;
  if (workStream) {
    ContextScope scope(*this);
    cuda->streamDestroy(workStream);
  }
  cuda->devicePrimaryCtxRelease(handle);
}

std::string Device::busId() const {
  char text[32] = {};
  return cuda->deviceGetPCIBusId(text, sizeof(text), handle) == kSuccess ? text : "";
}

int Device::attribute(int attribute) const {
  int value = 0;
  return cuda->deviceGetAttribute(&value, attribute, handle) == kSuccess ? value : 0;
}

} // namespace moe::drivers::cuda
