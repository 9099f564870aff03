//===- CudaApi.cpp - The functions of libcuda that we use -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/CudaApi.h"

#include <cstdlib>
#include <dlfcn.h>

namespace moe::drivers::cuda {

/// CUDA 12.0: the first that loads PTX 8.0, which `sm_90a` needs (PTX ISA, "Release Notes").
static constexpr int kOldestVersion = 12000;
static constexpr const char *kOldestDriver = "525"; // CUDA Toolkit release notes, table "CUDA Toolkit and driver".

std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

static std::string updateAdvice() {
  return std::string("; update the NVIDIA driver to version ") + kOldestDriver + " or newer";
}

static Status noDevice(const std::string &reason) {
  const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return Status(ErrorCode::unsupportedModel, "no NVIDIA GPU is available: " + reason +
                                                 (visible ? "; CUDA_VISIBLE_DEVICES is '" + std::string(visible) + "'"
                                                          : "; `nvidia-smi` lists what the driver sees") +
                                                 "; to run on the CPU, compile with target=cpu");
}

Result<std::shared_ptr<const CudaApi>> CudaApi::open() {
  const char *chosen = std::getenv("MOE_CUDA_LIBRARY");
  const std::string path = chosen && *chosen ? chosen : "libcuda.so.1";
  void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = ::dlerror();
    return Status(ErrorCode::unsupportedModel, "no NVIDIA driver (" + std::string(reason ? reason : path) +
                                                   "); install version " + kOldestDriver +
                                                   " or newer, name its libcuda.so.1 in MOE_CUDA_LIBRARY, or compile "
                                                   "with target=cpu");
  }

  auto api = std::make_shared<CudaApi>();
  std::string missing;
  auto resolve = [&](auto &member, const char *symbol, bool required) {
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(::dlsym(library, symbol));
    if (!member && required && missing.empty())
      missing = symbol;
  };
#define MOE_CUDA_RESOLVE(member, symbol, parameters) resolve(api->member, #symbol, true);
  MOE_CUDA_FUNCTIONS(MOE_CUDA_RESOLVE)
#undef MOE_CUDA_RESOLVE
#define MOE_CUDA_RESOLVE(member, symbol, parameters) resolve(api->member, #symbol, false);
  MOE_CUDA_OPTIONAL_FUNCTIONS(MOE_CUDA_RESOLVE)
#undef MOE_CUDA_RESOLVE

  // The version first: it can be asked before anything else, and an old library lacks functions.
  if (api->driverGetVersion && api->driverGetVersion(&api->version) == kSuccess && api->version < kOldestVersion)
    return Status(ErrorCode::unsupportedModel, "the NVIDIA driver supports CUDA " + versionText(api->version) +
                                                   ", but " + versionText(kOldestVersion) + " is needed" +
                                                   updateAdvice());
  if (!missing.empty())
    return Status(ErrorCode::unsupportedModel, path + " has no function " + missing + updateAdvice());

  if (const CuResult result = api->init(0); result == kNoDevice || result == kStubLibrary)
    return noDevice(api->describe(result));
  else if (result != kSuccess)
    return Status(ErrorCode::unsupportedModel,
                  "the NVIDIA driver does not start: " + api->describe(result) + "; see whether `nvidia-smi` works");
  int count = 0;
  if (const CuResult result = api->deviceGetCount(&count); result != kSuccess || count == 0)
    return noDevice(result == kSuccess ? "the driver counts 0" : api->describe(result));
  return std::shared_ptr<const CudaApi>(std::move(api));
}

std::string CudaApi::describe(CuResult result) const {
  const char *name = nullptr, *text = nullptr;
  getErrorName(result, &name);
  getErrorString(result, &text);
  std::string description = std::string(text ? text : "unknown error") + " (" +
                            (name ? std::string(name) : "CUDA error " + std::to_string(result)) + ")";
  switch (result) {
  case kIllegalAddress:
  case kLaunchTimeout:
  case kHardwareStackError:
  case kIllegalInstruction:
  case kMisalignedAddress:
  case kLaunchFailed:
    // The context is lost, and so is the kernel's name.
    return description + ", by a kernel that was launched before; `compute-sanitizer` says by which";
  default:
    return description;
  }
}

Status CudaApi::check(CuResult result, const char *what) const {
  if (result == kSuccess)
    return {};
  return Status(result == kOutOfMemory ? ErrorCode::doesNotFit : ErrorCode::failed,
                std::string(what) + ": " + describe(result));
}

} // namespace moe::drivers::cuda
