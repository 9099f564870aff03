//===- CpuDriver.cpp - The driver of the host's processor -----------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Kernels are functions of ELF shared objects (include/moe/CpuKernel.h), launched over a thread pool. Everything is
/// done when a call returns.
///
//===----------------------------------------------------------------------===//
#include "moe/CpuKernel.h"
#include "moe/Driver.h"
#include "runtime/drivers/cpu/CpuFeatures.h"
#include "runtime/drivers/cpu/SelfTest.h"
#include "runtime/drivers/cpu/SharedObject.h"
#include "runtime/drivers/cpu/ThreadPool.h"
#include "runtime/format/artifact_generated.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace moe::drivers::cpu {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

constexpr std::size_t roundUp(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Aligned memory of the host; big ones on huge pages where the system has them.
class HostMemory final : public DeviceMemory {
public:
  static Result<std::unique_ptr<HostMemory>> allocate(std::size_t bytes) {
    const std::size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
    void *address = nullptr;
    if (bytes <= SIZE_MAX - kHugePage)
      address = std::aligned_alloc(alignment, std::max(roundUp(bytes, alignment), alignment));
    if (!address)
      return Status(ErrorCode::doesNotFit, "cannot allocate " + std::to_string(bytes) + " bytes of memory");
    if (alignment == kHugePage)
      ::madvise(address, bytes, MADV_HUGEPAGE); // Only advice: without huge pages it is slower, not wrong.
    return std::unique_ptr<HostMemory>(new HostMemory(static_cast<std::byte *>(address), bytes));
  }
  ~HostMemory() override { std::free(address); }

  std::size_t size() const override { return bytes; }
  std::byte *data() const { return address; }

private:
  HostMemory(std::byte *address, std::size_t bytes) : address(address), bytes(bytes) {}

  std::byte *address;
  std::size_t bytes;
};

std::byte *addressOf(const BufferView &view) { return static_cast<HostMemory *>(view.memory)->data() + view.offset; }

class HostKernel final : public LoadedKernel {
public:
  HostKernel(std::shared_ptr<SharedObject> object, CpuKernel function, std::int64_t items)
      : function(function), items(items), object(std::move(object)) {}

  const CpuKernel function;
  const std::int64_t items;

private:
  std::shared_ptr<SharedObject> object; ///< Holds the code.
};

/// Within its life, floating point on this thread follows IEEE 754 with rounding to nearest and no traps, whatever the
/// application has set: the same bits on every thread.
class FloatingPointScope {
public:
#if defined(__x86_64__)
  FloatingPointScope() : saved(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FloatingPointScope() { _mm_setcsr(saved); }

private:
  static constexpr unsigned kDefault = 0x1f80; // MXCSR after reset (Intel SDM volume 1, section 10.2.3).
  unsigned saved;
#endif
};

class CpuDriver final : public Driver {
public:
  explicit CpuDriver(std::unique_ptr<ThreadPool> pool) : pool(std::move(pool)) {}

  std::string_view name() const override { return "cpu"; }
  std::string description() const override {
    const unsigned threads = pool->numThreads();
    return processorName() + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  }

  Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) override {
    auto memory = HostMemory::allocate(bytes);
    if (!memory)
      return memory.status();
    return std::unique_ptr<DeviceMemory>(std::move(*memory));
  }
  Status fill(BufferView destination, std::uint8_t value) override {
    std::memset(addressOf(destination), value, destination.size);
    return {};
  }
  Status copy(BufferView source, BufferView destination) override {
    std::memcpy(addressOf(destination), addressOf(source), source.size);
    return {};
  }
  Status write(std::span<const std::byte> source, BufferView destination) override {
    if (!source.empty())
      std::memcpy(addressOf(destination), source.data(), source.size());
    return {};
  }
  Status read(BufferView source, std::span<std::byte> destination) override {
    if (!destination.empty())
      std::memcpy(destination.data(), addressOf(source), source.size);
    return {};
  }

  Result<std::vector<std::unique_ptr<LoadedKernel>>> load(const format::Artifact &artifact,
                                                          std::span<const std::span<const std::byte>> blobs) override;
  Status launch(LoadedKernel &kernel, std::span<const BufferView> buffers) override;
  Status synchronize() override { return {}; }

  std::vector<DeviceFact> facts() override;
  Result<std::vector<DeviceFact>> selfTest() override { return testProcessor(*pool); }

private:
  static Status checkTarget(const format::Target &target);
  static Status checkAlignment(const format::Artifact &artifact);
  Status reserveScratch(const format::Artifact &artifact);

  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<HostMemory> scratch; ///< One slice of `scratchStride` bytes for each thread.
  std::size_t scratchStride = 0;
  std::vector<void *> pointers; ///< Of the current launch.
};

Status CpuDriver::checkTarget(const format::Target &target) {
  if (target.name()->str() != "cpu")
    return Status(ErrorCode::unsupportedModel, "compiled for '" + target.name()->str() + "', not for 'cpu'");
  if (!target.features())
    return {};
  for (const flatbuffers::String *feature : *target.features()) {
    const std::string compiled =
        "compiled for " + target.arch()->str() + ", which needs the CPU feature '" + feature->str() + "', ";
    const char *advice = "; compile with a target that this machine has, e.g. cpu:x86-64-v3";
    switch (featureSupport({feature->data(), feature->size()})) {
    case FeatureSupport::supported:
      break;
    case FeatureSupport::missing:
      return Status(ErrorCode::unsupportedModel,
                    compiled + "but this machine (" + processorName() + ") lacks it" + advice);
    case FeatureSupport::unknown:
      return Status(ErrorCode::unsupportedModel, compiled + "which this program does not know" + advice);
    }
  }
  return {};
}

/// Kernels may use aligned loads: refuses a program that would give them less.
Status CpuDriver::checkAlignment(const format::Artifact &artifact) {
  for (const format::EntryPoint *entryPoint : *artifact.entry_points())
    for (unsigned i = 0; i < entryPoint->program()->size(); ++i)
      if (const format::Launch *launch = entryPoint->program()->Get(i)->operation_as_Launch())
        for (const format::BufferRef *ref : *launch->buffers())
          if (ref->offset() % kCpuBufferAlignment != 0)
            return Status(ErrorCode::corruptFile, "entry point '" + entryPoint->name()->str() + "', instruction " +
                                                      std::to_string(i) + ": a buffer at offset " +
                                                      std::to_string(ref->offset()) + " is not aligned to " +
                                                      std::to_string(kCpuBufferAlignment) + " bytes");
  return {};
}

Status CpuDriver::reserveScratch(const format::Artifact &artifact) {
  std::size_t bytes = 0;
  for (const format::Kernel *kernel : *artifact.kernels())
    bytes = std::max<std::size_t>(bytes, kernel->scratch_bytes());
  // A page apart, so that threads share no cache line and no prefetched neighbour.
  const std::size_t stride = roundUp(std::max<std::size_t>(bytes, 1), 4096);
  if (stride <= scratchStride)
    return {};
  if (stride > SIZE_MAX / pool->numThreads())
    return Status(ErrorCode::doesNotFit, "kernels need " + std::to_string(bytes) + " bytes of scratch per thread");
  auto memory = HostMemory::allocate(stride * pool->numThreads());
  if (!memory)
    return memory.status().withContext("scratch of kernels");
  scratch = std::move(*memory);
  scratchStride = stride;
  return {};
}

Result<std::vector<std::unique_ptr<LoadedKernel>>> CpuDriver::load(const format::Artifact &artifact,
                                                                   std::span<const std::span<const std::byte>> blobs) {
  for (Status status : {checkTarget(*artifact.target()), checkAlignment(artifact)})
    if (!status)
      return status;
  if (Status status = reserveScratch(artifact); !status)
    return status;

  std::vector<std::shared_ptr<SharedObject>> objects;
  for (unsigned i = 0; i < blobs.size(); ++i) {
    const std::string what = "blob " + std::to_string(i);
    if (artifact.blobs()->Get(i)->kind() != format::BlobKind::elf)
      return Status(ErrorCode::corruptFile, what + " is " + format::EnumNameBlobKind(artifact.blobs()->Get(i)->kind()) +
                                                ", but the driver 'cpu' loads elf");
    auto object = SharedObject::load(blobs[i]);
    if (!object)
      return object.status().withContext(what);
    objects.push_back(std::move(*object));
  }

  std::vector<std::unique_ptr<LoadedKernel>> kernels;
  for (const format::Kernel *kernel : *artifact.kernels()) {
    const auto &object = objects[kernel->blob()];
    const auto function = reinterpret_cast<CpuKernel>(object->find(kernel->name()->c_str()));
    if (!function)
      return Status(ErrorCode::corruptFile, "blob " + std::to_string(kernel->blob()) + " does not hold the kernel '" +
                                                kernel->name()->str() + "'");
    kernels.push_back(std::make_unique<HostKernel>(object, function, kernel->grid()->x()));
  }
  return kernels;
}

Status CpuDriver::launch(LoadedKernel &kernel, std::span<const BufferView> buffers) {
  const auto &hostKernel = static_cast<const HostKernel &>(kernel);
  pointers.clear();
  for (const BufferView &buffer : buffers)
    pointers.push_back(addressOf(buffer));

  pool->run(hostKernel.items, [&](std::int64_t begin, std::int64_t end, unsigned thread) {
    FloatingPointScope ieee;
    hostKernel.function(pointers.data(), begin, end, scratch->data() + thread * scratchStride);
  });
  return {};
}

std::vector<DeviceFact> CpuDriver::facts() {
  // Of the many, those that decide what kernels are generated.
  std::string features;
  for (const char *feature : {"sse4.2", "avx", "avx2", "fma", "f16c", "bmi2", "avxvnni", "avx512f", "avx512bw",
                              "avx512dq", "avx512vl", "avx512vnni", "avx512bf16", "avx512fp16", "amx-bf16"})
    if (featureSupport(feature) == FeatureSupport::supported)
      features += (features.empty() ? "" : " ") + std::string(feature);
  return {{"name", processorName()},
          {"architecture", architectureLevel()},
          {"features", features},
          {"threads", std::int64_t{pool->numThreads()}}};
}

/// The cores that this process may use.
unsigned availableCores() {
  // 1024 processors is the size of cpu_set_t; a machine with more gives EINVAL, then the C++ library knows.
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof(cores), &cores) == 0)
    return static_cast<unsigned>(CPU_COUNT(&cores));
  return std::max(1u, std::thread::hardware_concurrency());
}

} // namespace

Result<std::unique_ptr<Driver>> open(const DriverOptions &options) {
  constexpr int maxThreads = 4096;
  if (options.threads < 0 || options.threads > maxThreads)
    return Status(ErrorCode::configuration, std::to_string(options.threads) +
                                                " threads are not between 0 (one per core) and " +
                                                std::to_string(maxThreads));
  if (options.device != 0)
    return Status(ErrorCode::configuration, "there is no CPU device " + std::to_string(options.device) + ", only 0");
  auto pool = ThreadPool::create(options.threads ? static_cast<unsigned>(options.threads) : availableCores());
  if (!pool)
    return pool.status();
  return std::unique_ptr<Driver>(std::make_unique<CpuDriver>(std::move(*pool)));
}

} // namespace moe::drivers::cpu
