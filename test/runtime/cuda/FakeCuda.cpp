//===- FakeCuda.cpp - A libcuda without a GPU -----------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Implements the functions of CudaApi.h over host memory, strictly and lazily: work on a stream is queued and only
/// done when somebody waits, as late as a real GPU might; calls without a current context, waits within a capture and
/// unknown handles are errors. Kernels are those of CudaKernels.cpp and the driver's self-test, known by name.
///
/// The environment variable MOE_FAKE_CUDA configures it: "version=12040 devices=1 capability=90 memory=1048576", and
/// "cuStreamCreate=2" to make a function fail with a code. `fakeCudaCalls` and `fakeCudaObjects` tell tests what was
/// called and what is still alive; "dependent launch" counts launches that may begin before the kernel before them
/// ends, which only a kernel may be followed by.
///
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cuda/CudaApi.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using namespace moe::drivers::cuda;

namespace moe::drivers::cuda {
struct CuContextObject {};
struct CuFunctionObject {
  std::string name;
  std::vector<std::size_t> parameterBytes;
  int maxSharedBytes = 48 << 10;
};
struct CuModuleObject {
  std::deque<CuFunctionObject> functions;
};
struct CuStreamObject {};
struct CuEventObject {};
struct CuGraphObject {
  std::vector<std::function<void()>> work;
};
struct CuGraphExecObject : CuGraphObject {};
} // namespace moe::drivers::cuda

namespace {

constexpr CuResult kInvalidValue = 1, kInvalidContext = 201, kCaptureUnsupported = 900;

struct {
  std::map<std::string, long, std::less<>> calls;
  long objects = 0;
  CuContextObject context;
  std::vector<CuContext> contextStack;
  std::deque<std::function<void()>> queue;
  CuGraph capture = nullptr;
  std::map<CuAddress, std::size_t> allocations;
  std::size_t bytesInUse = 0;
  CuResult sticky = kSuccess; ///< Once a kernel has crashed.
  bool followsKernel = false; ///< What the stream, or the graph that is captured, was last given is a kernel.
} fake;

long setting(std::string_view name, long otherwise) {
  const char *variable = std::getenv("MOE_FAKE_CUDA");
  const std::string text = std::string(" ") + (variable ? variable : "");
  const std::string key = " " + std::string(name) + "=";
  const std::size_t found = text.find(key);
  return found == std::string::npos ? otherwise : std::atol(text.c_str() + found + key.size());
}

int capability() { return static_cast<int>(setting("capability", 90)); }
std::size_t memorySize() { return static_cast<std::size_t>(setting("memory", 1 << 30)); }

/// Counts the call; the error that was asked for, or that there is anyway.
CuResult enter(const char *function, bool needsContext = true) {
  ++fake.calls[function];
  if (const long failure = setting(function, 0))
    return static_cast<CuResult>(failure);
  if (needsContext && fake.contextStack.empty())
    return kInvalidContext;
  return needsContext ? fake.sticky : kSuccess;
}

#define ENTER(...)                                                                                                     \
  if (const CuResult error = enter(__func__ __VA_OPT__(, ) __VA_ARGS__))                                               \
  return error
#define REFUSE_IF(CONDITION, ERROR)                                                                                    \
  if (CONDITION)                                                                                                       \
  return ERROR

void issue(std::function<void()> work, bool isKernel = false) {
  fake.followsKernel = isKernel;
  if (fake.capture)
    fake.capture->work.push_back(std::move(work));
  else
    fake.queue.push_back(std::move(work));
}

CuResult drain() {
  for (; !fake.queue.empty(); fake.queue.pop_front())
    if (!fake.sticky)
      fake.queue.front()();
  return fake.sticky;
}

template <typename T> T *create() {
  ++fake.objects;
  return new T;
}
template <typename T> CuResult destroy(T *object) {
  --fake.objects;
  delete object;
  return kSuccess;
}

/// Whether [address, address + bytes) lies in one allocation.
bool isAllocated(CuAddress address, std::size_t bytes) {
  auto after = fake.allocations.upper_bound(address);
  if (after == fake.allocations.begin())
    return false;
  const auto &[begin, size] = *--after;
  return address - begin <= size && bytes <= size - (address - begin);
}

void execute(const std::string &name, const std::vector<float *> &buffers, std::size_t threads, std::size_t block) {
  auto forEach = [&](auto body) {
    for (std::size_t i = 0; i < threads; ++i)
      body(i);
  };
  if (name == "test_add")
    forEach([&](std::size_t i) { buffers[2][i] = buffers[0][i] + buffers[1][i]; });
  else if (name == "test_double")
    forEach([&](std::size_t i) { buffers[1][i] = 2 * buffers[0][i]; });
  else if (name == "test_increment")
    forEach([&](std::size_t i) { buffers[1][i] = buffers[0][i] + 1; });
  else if (name == "test_reverse")
    forEach([&](std::size_t i) { buffers[1][i] = buffers[0][i / block * block + (block - 1 - i % block)]; });
  else if (name == "test_row_sums")
    forEach([&](std::size_t i) {
      float sum = 0;
      for (std::size_t j = 0; j < 64; ++j)
        sum = __builtin_fmaf(sum, 0.999f, buffers[0][i * 64 + j]);
      buffers[1][i] = sum;
    });
  else if (name == "test_double_mapped") // Of a tensor map of each buffer.
    forEach([&](std::size_t i) { buffers[3][i] = 2 * buffers[2][i]; });
  else if (name == "moe_self_test")
    forEach([&](std::size_t i) { buffers[1][i] = 2 * buffers[0][i] + 1; });
  else
    fake.sticky = kIllegalAddress;
}

void parse(std::string_view ptx, CuModule module) {
  for (std::size_t at = 0; (at = ptx.find(".entry ", at)) != std::string_view::npos;) {
    at += 7;
    const std::size_t open = ptx.find('(', at), close = ptx.find(')', at);
    if (open == std::string_view::npos || close == std::string_view::npos)
      return;
    CuFunctionObject &function = module->functions.emplace_back();
    function.name = ptx.substr(at, open - at);
    for (std::size_t p = open; (p = ptx.find(".param", p + 1)) < close;)
      // An array of bytes is a tensor map: ".param .align 64 .b8 map[128]".
      function.parameterBytes.push_back(ptx.substr(p, ptx.find_first_of(",)", p) - p).find("[128]") ==
                                                std::string_view::npos
                                            ? sizeof(CuAddress)
                                            : sizeof(CuTensorMap));
  }
}

} // namespace

extern "C" {

long fakeCudaCalls(const char *function) { return fake.calls[function]; }
long fakeCudaObjects() { return fake.objects; }

CuResult cuInit(unsigned) {
  ENTER(false);
  return kSuccess;
}
CuResult cuDriverGetVersion(int *version) {
  *version = static_cast<int>(setting("version", 13000));
  return kSuccess;
}
CuResult cuGetErrorName(CuResult error, const char **text) {
  *text = error == kOutOfMemory      ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == kNoDevice       ? "CUDA_ERROR_NO_DEVICE"
          : error == kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                     : "CUDA_ERROR_OTHER";
  return kSuccess;
}
CuResult cuGetErrorString(CuResult error, const char **text) {
  *text = "what the fake driver says";
  return kSuccess;
}
CuResult cuDeviceGetCount(int *count) {
  ENTER(false);
  *count = static_cast<int>(setting("devices", 1));
  return kSuccess;
}
CuResult cuDeviceGet(CuDevice *device, int ordinal) {
  ENTER(false);
  *device = ordinal;
  return kSuccess;
}
CuResult cuDeviceGetName(char *name, int length, CuDevice) {
  ENTER(false);
  std::strncpy(name, "Fake GPU", static_cast<std::size_t>(length));
  return kSuccess;
}
CuResult cuDeviceGetAttribute(int *value, int attribute, CuDevice) {
  ENTER(false);
  switch (attribute) {
  case kCapabilityMajor:
    *value = capability() / 10;
    return kSuccess;
  case kCapabilityMinor:
    *value = capability() % 10;
    return kSuccess;
  case kMultiprocessors:
    *value = 2;
    return kSuccess;
  case kMaxSharedBytesOptIn:
    *value = 227 << 10;
    return kSuccess;
  case kMaxGridX:
    *value = 0x7fffffff;
    return kSuccess;
  case kMaxGridY:
  case kMaxGridZ:
    *value = 65535;
    return kSuccess;
  }
  return kInvalidValue;
}
CuResult cuDeviceGetPCIBusId(char *id, int length, CuDevice) {
  ENTER(false);
  std::strncpy(id, "ffff:ff:1f.0", static_cast<std::size_t>(length));
  return kSuccess;
}

CuResult cuDevicePrimaryCtxRetain(CuContext *context, CuDevice) {
  ENTER(false);
  ++fake.objects;
  *context = &fake.context;
  return kSuccess;
}
CuResult cuDevicePrimaryCtxRelease_v2(CuDevice) {
  --fake.objects;
  if (fake.objects == 0) {
    fake.queue.clear();
    fake.sticky = kSuccess;
  }
  return kSuccess;
}
CuResult cuCtxPushCurrent_v2(CuContext context) {
  fake.contextStack.push_back(context);
  return kSuccess;
}
CuResult cuCtxPopCurrent_v2(CuContext *context) {
  REFUSE_IF(fake.contextStack.empty(), kInvalidContext);
  *context = fake.contextStack.back();
  fake.contextStack.pop_back();
  return kSuccess;
}

CuResult cuMemGetInfo_v2(std::size_t *free, std::size_t *total) {
  ENTER();
  *total = memorySize();
  *free = *total - std::min(*total, fake.bytesInUse);
  return kSuccess;
}
CuResult cuMemAlloc_v2(CuAddress *address, std::size_t bytes) {
  ENTER();
  REFUSE_IF(bytes == 0, kInvalidValue);
  REFUSE_IF(fake.capture, kCaptureUnsupported);
  REFUSE_IF(bytes > memorySize() || fake.bytesInUse + bytes > memorySize(), kOutOfMemory);
  void *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(memory, 0xcd, bytes);
  *address = reinterpret_cast<CuAddress>(memory);
  fake.allocations[*address] = bytes;
  fake.bytesInUse += bytes;
  ++fake.objects;
  return kSuccess;
}
CuResult cuMemFree_v2(CuAddress address) {
  if (fake.sticky == kSuccess)
    drain(); // As the real one does.
  const auto found = fake.allocations.find(address);
  REFUSE_IF(found == fake.allocations.end(), kInvalidValue);
  fake.bytesInUse -= found->second;
  fake.allocations.erase(found);
  --fake.objects;
  std::free(reinterpret_cast<void *>(address));
  return kSuccess;
}
CuResult cuMemHostAlloc(void **address, std::size_t bytes, unsigned) {
  ENTER();
  *address = std::malloc(bytes);
  ++fake.objects;
  return kSuccess;
}
CuResult cuMemFreeHost(void *address) {
  drain();
  --fake.objects;
  std::free(address);
  return kSuccess;
}

CuResult cuMemsetD8Async(CuAddress to, unsigned char value, std::size_t count, CuStream) {
  ENTER();
  REFUSE_IF(!isAllocated(to, count), kInvalidValue);
  issue([=] { std::memset(reinterpret_cast<void *>(to), value, count); });
  return kSuccess;
}
CuResult cuMemsetD32Async(CuAddress to, unsigned value, std::size_t count, CuStream) {
  ENTER();
  REFUSE_IF(!isAllocated(to, 4 * count) || to % 4, kInvalidValue);
  issue([=] { std::fill_n(reinterpret_cast<unsigned *>(to), count, value); });
  return kSuccess;
}
CuResult cuMemcpyDtoDAsync_v2(CuAddress to, CuAddress from, std::size_t bytes, CuStream) {
  ENTER();
  REFUSE_IF(!isAllocated(to, bytes) || !isAllocated(from, bytes), kInvalidValue);
  issue([=] { std::memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes); });
  return kSuccess;
}
CuResult cuMemcpyHtoDAsync_v2(CuAddress to, const void *from, std::size_t bytes, CuStream) {
  ENTER();
  REFUSE_IF(!isAllocated(to, bytes), kInvalidValue);
  issue([=] { std::memcpy(reinterpret_cast<void *>(to), from, bytes); });
  return kSuccess;
}
CuResult cuMemcpyDtoHAsync_v2(void *to, CuAddress from, std::size_t bytes, CuStream) {
  ENTER();
  REFUSE_IF(!isAllocated(from, bytes), kInvalidValue);
  issue([=] { std::memcpy(to, reinterpret_cast<void *>(from), bytes); });
  return kSuccess;
}

CuResult cuStreamCreate(CuStream *stream, unsigned) {
  ENTER();
  *stream = create<CuStreamObject>();
  return kSuccess;
}
CuResult cuStreamDestroy_v2(CuStream stream) { return destroy(stream); }
CuResult cuStreamSynchronize(CuStream) {
  ENTER();
  REFUSE_IF(fake.capture, kCaptureUnsupported);
  return drain();
}
CuResult cuStreamBeginCapture_v2(CuStream, int) {
  ENTER();
  REFUSE_IF(fake.capture, kCaptureUnsupported);
  fake.capture = create<CuGraphObject>();
  fake.followsKernel = false;
  return kSuccess;
}
CuResult cuStreamEndCapture(CuStream, CuGraph *graph) {
  *graph = std::exchange(fake.capture, nullptr);
  fake.followsKernel = false;
  ENTER();
  return *graph ? kSuccess : kCaptureUnsupported;
}
CuResult cuGraphInstantiateWithFlags(CuGraphExec *exec, CuGraph graph, unsigned long long) {
  ENTER();
  *exec = create<CuGraphExecObject>();
  (*exec)->work = graph->work;
  return kSuccess;
}
CuResult cuGraphLaunch(CuGraphExec exec, CuStream) {
  ENTER();
  for (const auto &work : exec->work)
    issue(work);
  return kSuccess;
}
CuResult cuGraphExecDestroy(CuGraphExec exec) { return destroy(exec); }
CuResult cuGraphDestroy(CuGraph graph) { return destroy(graph); }

CuResult cuEventCreate(CuEvent *event, unsigned) {
  ENTER();
  *event = create<CuEventObject>();
  return kSuccess;
}
CuResult cuEventDestroy_v2(CuEvent event) { return destroy(event); }
CuResult cuEventRecord(CuEvent, CuStream) {
  ENTER();
  fake.followsKernel = false;
  return kSuccess;
}
CuResult cuEventSynchronize(CuEvent) {
  ENTER();
  REFUSE_IF(fake.capture, kCaptureUnsupported);
  return drain();
}
CuResult cuEventElapsedTime(float *milliseconds, CuEvent, CuEvent) {
  ENTER();
  *milliseconds = 0.25f;
  return kSuccess;
}

CuResult cuModuleLoadDataEx(CuModule *module, const void *image, unsigned count, int *options, void **values) {
  ENTER();
  const char *text = static_cast<const char *>(image);
  const bool isCubin = std::memcmp(text, "\177ELF", 4) == 0;
  if (isCubin) {
    ++fake.calls["cubin"];
    text += 64; // The PTX follows the header.
  }
  const std::string_view ptx = text;
  if (ptx.find("syntax error") != std::string_view::npos) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == kJitErrorLog)
        std::strcpy(static_cast<char *>(values[i]), "ptxas application ptx input, line 7; fatal : Parsing error");
    return kInvalidPtx;
  }
  REFUSE_IF(ptx.starts_with(".version 99"), kUnsupportedPtxVersion);
  *module = create<CuModuleObject>();
  parse(ptx, *module);
  return kSuccess;
}
CuResult cuModuleUnload(CuModule module) { return destroy(module); }
CuResult cuModuleGetFunction(CuFunction *function, CuModule module, const char *name) {
  ENTER();
  for (CuFunctionObject &candidate : module->functions)
    if (candidate.name == name) {
      *function = &candidate;
      return kSuccess;
    }
  return kNotFound;
}
CuResult cuFuncGetAttribute(int *value, int attribute, CuFunction) {
  ENTER();
  REFUSE_IF(attribute != kMaxThreadsPerBlock && attribute != kStaticSharedBytes, kInvalidValue);
  *value = attribute == kMaxThreadsPerBlock ? 1024 : 1024;
  return kSuccess;
}
CuResult cuFuncSetAttribute(CuFunction function, int attribute, int value) {
  ENTER();
  REFUSE_IF(attribute != kMaxDynamicSharedBytes || value > (227 << 10), kInvalidValue);
  function->maxSharedBytes = value;
  return kSuccess;
}
CuResult cuFuncGetParamInfo(CuFunction function, std::size_t index, std::size_t *offset, std::size_t *size) {
  ENTER();
  REFUSE_IF(index >= function->parameterBytes.size(), kInvalidValue);
  *offset = 8 * index;
  *size = function->parameterBytes[index];
  return kSuccess;
}
CuResult cuTensorMapEncodeTiled(CuTensorMap *map, int, unsigned rank, void *address, const std::uint64_t *,
                                const std::uint64_t *, const std::uint32_t *, const std::uint32_t *, int, int, int,
                                int) {
  ENTER();
  REFUSE_IF(rank < 1 || rank > 5 || reinterpret_cast<std::uintptr_t>(address) % 16 != 0, kInvalidValue);
  std::memset(map, 0, sizeof(*map));
  std::memcpy(map, &address, sizeof(address));
  return kSuccess;
}
CuResult cuLaunchKernelEx(const CuLaunchConfig *config, CuFunction function, void **parameters, void **) {
  ENTER();
  REFUSE_IF(static_cast<int>(config->sharedBytes) > function->maxSharedBytes, kInvalidValue);
  for (unsigned i = 0; i < config->numAttributes; ++i) {
    REFUSE_IF(config->attributes[i].id != kProgrammaticStreamSerialization || config->attributes[i].value != 1,
              kInvalidValue);
    REFUSE_IF(!fake.followsKernel, kInvalidValue);
    ++fake.calls["dependent launch"];
  }
  std::vector<float *> buffers;
  for (std::size_t i = 0; i < function->parameterBytes.size(); ++i) {
    // Of a tensor map, kernels here use the address, which comes first.
    REFUSE_IF(function->parameterBytes[i] == sizeof(CuTensorMap) &&
                  reinterpret_cast<std::uintptr_t>(parameters[i]) % alignof(CuTensorMap) != 0,
              kInvalidValue);
    buffers.push_back(reinterpret_cast<float *>(*static_cast<CuAddress *>(parameters[i])));
  }
  const std::size_t block = std::size_t{config->blockX} * config->blockY * config->blockZ;
  const std::size_t threads = block * config->gridX * config->gridY * config->gridZ;
  issue([=, name = function->name] { execute(name, buffers, threads, block); }, /*isKernel=*/true);
  return kSuccess;
}

} // extern "C"
