//===- CompiledKernel.cpp - A kernel's text, compiled and callable -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CompiledKernel.h"

#include "runtime/drivers/cuda/TensorMap.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <dlfcn.h>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace moe::test {

static constexpr size_t kGuardBytes = 256;
static constexpr std::byte kGuard{0xff};

KernelMemory::KernelMemory(size_t bytes) : bytes(bytes) {
  size_t alignment = kCpuBufferAlignment;
  size_t total = (bytes + kGuardBytes + alignment - 1) / alignment * alignment;
  memory.reset(static_cast<std::byte *>(std::aligned_alloc(alignment, total)));
  std::fill_n(memory.get(), bytes + kGuardBytes, kGuard);
}

bool KernelMemory::isIntact() const {
  return std::all_of(memory.get() + bytes, memory.get() + bytes + kGuardBytes, [](std::byte b) { return b == kGuard; });
}

//===----------------------------------------------------------------------===//
// Processors
//===----------------------------------------------------------------------===//

namespace {
class CpuCode : public CompiledKernel {
public:
  explicit CpuCode(KernelCode given) : CompiledKernel(std::move(given)) {
    descriptor = memfd_create("kernel", MFD_CLOEXEC);
    if (write(descriptor, code.object.data(), code.object.size()) != static_cast<ssize_t>(code.object.size()))
      return;
    std::string path = "/proc/self/fd/" + std::to_string(descriptor);
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle)
      function = reinterpret_cast<CpuKernel>(dlsym(handle, code.name.c_str()));
  }
  ~CpuCode() override {
    if (handle)
      dlclose(handle);
    close(descriptor);
  }
  bool isLoaded() const override { return function; }

  void runInPieces(const KernelBuffers &buffers, int64_t itemsPerCall) const override {
    KernelMemory scratch(code.scratchBytes);
    std::vector<void *> pointers;
    for (const KernelBuffer &buffer : buffers)
      pointers.push_back(buffer.data);
    for (int64_t end = items; end > 0; end -= itemsPerCall)
      function(pointers.data(), std::max<int64_t>(0, end - itemsPerCall), end, scratch.data());
    EXPECT_TRUE(scratch.isIntact()) << "wrote past the end of scratch memory";
  }

private:
  int descriptor = -1;
  void *handle = nullptr;
  CpuKernel function = nullptr;
};

//===----------------------------------------------------------------------===//
// GPUs
//===----------------------------------------------------------------------===//

using drivers::cuda::CudaApi;

/// The first GPU, or null if there is none; its context is current.
const CudaApi *openGpu() {
  static const std::shared_ptr<const CudaApi> gpu = []() -> std::shared_ptr<const CudaApi> {
    auto api = CudaApi::open();
    drivers::cuda::CuDevice device;
    drivers::cuda::CuContext context;
    if (!api || (*api)->deviceGet(&device, 0) || (*api)->devicePrimaryCtxRetain(&context, device) ||
        (*api)->ctxPushCurrent(context))
      return nullptr;
    return *api;
  }();
  return gpu.get();
}

class CudaCode : public CompiledKernel {
public:
  explicit CudaCode(KernelCode given) : CompiledKernel(std::move(given)), api(*openGpu()) {
    char log[4096] = "";
    int options[] = {drivers::cuda::kJitErrorLog, drivers::cuda::kJitErrorLogBytes};
    void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
    check(api.moduleLoadDataEx(&module, code.object.c_str(), 2, options, values), log);
    if (module)
      check(api.moduleGetFunction(&function, module, code.name.c_str()), "the entry point");
    if (function && code.sharedBytes > 0)
      check(api.funcSetAttribute(function, drivers::cuda::kMaxDynamicSharedBytes, code.sharedBytes), "shared memory");
  }
  ~CudaCode() override {
    if (module)
      api.moduleUnload(module);
  }
  bool isLoaded() const override { return function; }

  // A launch cannot be divided.
  void runInPieces(const KernelBuffers &buffers, int64_t) const override {
    std::map<void *, drivers::cuda::CuAddress> addresses;
    std::vector<drivers::cuda::CuAddress> parameters;
    for (const KernelBuffer &buffer : buffers) {
      auto [entry, isNew] = addresses.try_emplace(buffer.data);
      size_t bytes = buffer.bytes + kGuardBytes;
      if (isNew) {
        check(api.memAlloc(&entry->second, bytes), "memory");
        check(api.memcpyHtoDAsync(entry->second, buffer.data, bytes, nullptr), "a copy to the GPU");
      }
      parameters.push_back(entry->second);
    }
    std::vector<void *> pointers;
    for (drivers::cuda::CuAddress &parameter : parameters)
      pointers.push_back(&parameter);
    std::vector<drivers::cuda::CuTensorMap> tensorMaps;
    tensorMaps.reserve(code.tensorMaps.size());
    for (const format::TensorMapT &map : code.tensorMaps) {
      auto encoded = drivers::cuda::encodeTensorMap(api, map, parameters[map.buffer]);
      ASSERT_TRUE(encoded.ok()) << encoded.status().message();
      tensorMaps.push_back(*encoded);
      pointers.push_back(&tensorMaps.back());
    }
    auto extent = [](const auto &extents, size_t i) { return static_cast<unsigned>(extents[i]); };
    drivers::cuda::CuLaunchConfig config = {
        extent(code.grid, 0),  extent(code.grid, 1),  extent(code.grid, 2),
        extent(code.block, 0), extent(code.block, 1), extent(code.block, 2),
        static_cast<unsigned>(code.sharedBytes), nullptr, nullptr, 0};
    check(api.launchKernel(&config, function, pointers.data(), nullptr), "the launch");
    check(api.streamSynchronize(nullptr), "the kernel");
    for (const KernelBuffer &buffer : buffers)
      check(api.memcpyDtoHAsync(buffer.data, addresses[buffer.data], buffer.bytes + kGuardBytes, nullptr),
            "a copy from the GPU");
    check(api.streamSynchronize(nullptr), "the copies");
    for (auto [host, address] : addresses)
      api.memFree(address);
  }

private:
  void check(drivers::cuda::CuResult result, const char *what) const {
    EXPECT_EQ(result, drivers::cuda::kSuccess) << what << ": " << api.describe(result) << " in " << code.name;
  }

  const CudaApi &api;
  drivers::cuda::CuModule module = nullptr;
  drivers::cuda::CuFunction function = nullptr;
};

/// Where code is recorded it is not run.
class RecordedCode : public CompiledKernel {
public:
  using CompiledKernel::CompiledKernel;
  bool isLoaded() const override { return true; }
  void runInPieces(const KernelBuffers &, int64_t) const override {}
};
} // namespace

//===----------------------------------------------------------------------===//
// CompiledKernel
//===----------------------------------------------------------------------===//

static bool isCuda(const std::string &target) { return target.starts_with("cuda"); }

bool CompiledKernel::canRun(const std::string &target) {
  if (!kernelRecording().to.empty())
    return isCuda(target);
  return isCuda(target) ? openGpu() != nullptr : canRunOnProcessor(target);
}

std::unique_ptr<CompiledKernel> CompiledKernel::compile(const std::string &source, const std::string &target,
                                                        const std::string &dumpTo) {
  const KernelRecording &recording = kernelRecording();
  std::optional<KernelCode> code = recording.from.empty() ? compileKernel(source, target, dumpTo)
                                                          : readKernelCode(recording.from, source, target);
  if (!code) {
    if (!recording.from.empty())
      ADD_FAILURE() << "the recording has no such kernel:\n" << source;
    return nullptr;
  }
  std::unique_ptr<CompiledKernel> kernel;
  if (!recording.to.empty()) {
    EXPECT_TRUE(writeKernelCode(recording.to, source, *code)) << "cannot write to " << recording.to;
    kernel = std::make_unique<RecordedCode>(std::move(*code));
  } else if (isCuda(target)) {
    kernel = std::make_unique<CudaCode>(std::move(*code));
  } else {
    kernel = std::make_unique<CpuCode>(std::move(*code));
  }
  EXPECT_TRUE(kernel->isLoaded()) << "cannot be loaded:\n" << source;
  return kernel->isLoaded() ? std::move(kernel) : nullptr;
}

CompiledKernel::CompiledKernel(KernelCode given)
    : code(std::move(given)), items(code.grid[0]), scratchBytes(code.scratchBytes), flops(code.flops),
      bytes(code.bytes), config(code.config) {}

} // namespace moe::test
