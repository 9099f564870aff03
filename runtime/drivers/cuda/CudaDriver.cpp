//===- CudaDriver.cpp - The driver of NVIDIA GPUs -------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Everything goes to one stream, in order. A program is captured once as a CUDA graph and replayed (Driver::record).
/// A kernel that waits by itself for the one before it (programmatic dependent launch) may be launched before that
/// ends. docs/cuda.md has the errors and what to do.
///
//===----------------------------------------------------------------------===//
#include "moe/Driver.h"
#include "runtime/drivers/cuda/Architecture.h"
#include "runtime/drivers/cuda/Device.h"
#include "runtime/drivers/cuda/Module.h"
#include "runtime/drivers/cuda/Nvml.h"
#include "runtime/drivers/cuda/SelfTest.h"
#include "runtime/drivers/cuda/Staging.h"
#include "runtime/drivers/cuda/TensorMap.h"

#include <cstdlib>
#include <cstring>

namespace moe::drivers::cuda {
namespace {

class CudaMemory final : public DeviceMemory {
public:
  static Result<std::unique_ptr<DeviceMemory>> allocate(std::shared_ptr<const Device> device, std::size_t bytes) {
    const CudaApi &cuda = device->api();
    ContextScope scope(*device);
    CuAddress address = 0;
    if (bytes) // The driver has no empty allocations.
      if (const CuResult result = cuda.memAlloc(&address, bytes); result != kSuccess) {
        std::size_t free = 0, total = 0;
        cuda.memGetInfo(&free, &total);
        return cuda.check(result, ("allocating " + std::to_string(bytes) + " bytes on the GPU, of which " +
                                   std::to_string(free) + " of " + std::to_string(total) + " are free")
                                      .c_str());
      }
    return std::unique_ptr<DeviceMemory>(new CudaMemory(std::move(device), address, bytes));
  }
  ~CudaMemory() override {
    ContextScope scope(*device);
    if (address)
      device->api().memFree(address);
  }

  std::size_t size() const override { return bytes; }
  CuAddress data() const { return address; }

private:
  CudaMemory(std::shared_ptr<const Device> device, CuAddress address, std::size_t bytes)
      : device(std::move(device)), address(address), bytes(bytes) {}

  std::shared_ptr<const Device> device;
  CuAddress address;
  std::size_t bytes;
};

CuAddress addressOf(const BufferView &view) { return static_cast<CudaMemory *>(view.memory)->data() + view.offset; }

/// A graph, ready to be launched.
class CudaRecording final : public Recording {
public:
  CudaRecording(std::shared_ptr<const Device> device, CuGraphExec graph) : device(std::move(device)), graph(graph) {}
  ~CudaRecording() override {
    ContextScope scope(*device);
    device->api().graphExecDestroy(graph);
  }

  std::shared_ptr<const Device> device;
  CuGraphExec graph;
};

/// An event that takes the time, destroyed with this.
class TimingEvent {
public:
  explicit TimingEvent(const Device &device) : cuda(device.api()) { cuda.eventCreate(&event, kEventTiming); }
  ~TimingEvent() {
    if (event)
      cuda.eventDestroy(event);
  }
  TimingEvent(const TimingEvent &) = delete;
  TimingEvent &operator=(const TimingEvent &) = delete;

  CuEvent get() const { return event; }

private:
  const CudaApi &cuda;
  CuEvent event = nullptr;
};

/// Dependent launches become edges of a captured graph since CUDA 12.3 (CUDA Programming Guide, "Use in CUDA Graphs").
constexpr int kDependentLaunchInGraphs = 12030;

/// Whether kernels may be launched before the one before them ends. MOE_CUDA_DEPENDENT_LAUNCH=0 forbids it.
bool allowsDependentLaunch(const CudaApi &cuda) {
  const char *chosen = std::getenv("MOE_CUDA_DEPENDENT_LAUNCH");
  return cuda.version >= kDependentLaunchInGraphs && !(chosen && std::strcmp(chosen, "0") == 0);
}

class CudaDriver final : public Driver {
public:
  CudaDriver(std::shared_ptr<const Device> device, std::unique_ptr<Staging> staging)
      : device(std::move(device)), cuda(this->device->api()), staging(std::move(staging)),
        dependentLaunch(allowsDependentLaunch(cuda)) {}

  std::string_view name() const override { return "cuda"; }
  std::string description() const override {
    return device->name() + ", compute capability " + capabilityText(device->capability());
  }

  Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) override {
    return CudaMemory::allocate(device, bytes);
  }
  std::optional<std::size_t> availableMemory() override;

  Status fill(BufferView destination, std::uint8_t value) override;
  Status copy(BufferView source, BufferView destination) override;
  Status write(std::span<const std::byte> source, BufferView destination) override {
    ContextScope scope(*device);
    followsKernel = false;
    return staging->upload(source, addressOf(destination));
  }
  Status read(BufferView source, std::span<std::byte> destination) override {
    ContextScope scope(*device);
    followsKernel = false;
    return staging->download(addressOf(source), destination);
  }

  Result<std::vector<std::unique_ptr<LoadedKernel>>> load(const format::Artifact &artifact,
                                                          std::span<const std::span<const std::byte>> blobs) override {
    return loadKernels(device, artifact, blobs);
  }
  Status launch(LoadedKernel &kernel, std::span<const BufferView> buffers) override;
  Status synchronize() override {
    ContextScope scope(*device);
    return device->synchronize();
  }

  Result<std::unique_ptr<Recording>> record(const std::function<Status()> &issue) override;
  Status replay(Recording &recording) override {
    ContextScope scope(*device);
    followsKernel = false;
    return cuda.check(cuda.graphLaunch(static_cast<CudaRecording &>(recording).graph, device->stream()),
                      "launching a graph");
  }
  Result<std::chrono::nanoseconds> time(const std::function<Status()> &issue) override;

  std::vector<DeviceFact> facts() override;
  Result<std::vector<DeviceFact>> selfTest() override { return testDevice(*this, device); }

private:
  std::shared_ptr<const Device> device;
  const CudaApi &cuda;
  std::unique_ptr<Staging> staging;
  const bool dependentLaunch;
  /// What was last recorded is a kernel. Only such work can be followed by a dependent launch: what a program's
  /// launches may read early is known within that program alone.
  bool followsKernel = false, isRecording = false;
  // Of the current launch; the driver copies them, also into a graph.
  std::vector<CuAddress> addresses;
  std::vector<CuTensorMap> tensorMaps;
  std::vector<void *> parameters; ///< Where those are.
};

std::optional<std::size_t> CudaDriver::availableMemory() {
  ContextScope scope(*device);
  std::size_t free = 0, total = 0;
  if (cuda.memGetInfo(&free, &total) != kSuccess)
    return std::nullopt;
  return free;
}

Status CudaDriver::fill(BufferView destination, std::uint8_t value) {
  if (destination.size == 0)
    return {};
  ContextScope scope(*device);
  followsKernel = false;
  const CuAddress address = addressOf(destination);
  // Words are written faster than bytes.
  const bool words = address % 4 == 0 && destination.size % 4 == 0;
  return cuda.check(words ? cuda.memsetD32Async(address, value * 0x01010101u, destination.size / 4, device->stream())
                          : cuda.memsetD8Async(address, value, destination.size, device->stream()),
                    "filling memory");
}

Status CudaDriver::copy(BufferView source, BufferView destination) {
  if (source.size == 0)
    return {};
  ContextScope scope(*device);
  followsKernel = false;
  return cuda.check(cuda.memcpyDtoDAsync(addressOf(destination), addressOf(source), source.size, device->stream()),
                    "copying on the GPU");
}

Status CudaDriver::launch(LoadedKernel &kernel, std::span<const BufferView> buffers) {
  const auto &cudaKernel = static_cast<const CudaKernel &>(kernel);
  addresses.clear();
  tensorMaps.clear();
  parameters.clear();
  for (const BufferView &buffer : buffers)
    addresses.push_back(addressOf(buffer));
  ContextScope scope(*device);
  for (const format::TensorMapT &map : cudaKernel.tensorMaps) {
    auto encoded = encodeTensorMap(cuda, map, addresses[map.buffer]);
    if (!encoded)
      return encoded.status();
    tensorMaps.push_back(*encoded);
  }
  for (CuAddress &address : addresses)
    parameters.push_back(&address);
  for (CuTensorMap &map : tensorMaps)
    parameters.push_back(&map);

  const format::Dim3 &grid = cudaKernel.grid, &block = cudaKernel.block;
  CuLaunchAttribute early = {kProgrammaticStreamSerialization, 1, {}};
  CuLaunchConfig config = {grid.x(),  grid.y(),  grid.z(),  block.x(), block.y(), block.z(), cudaKernel.sharedBytes,
                           device->stream(), &early, dependentLaunch && followsKernel && cudaKernel.dependentLaunch};
  followsKernel = isRecording;
  return cuda.check(cuda.launchKernel(&config, cudaKernel.function, parameters.data(), nullptr),
                    "launching the kernel");
}

Result<std::unique_ptr<Recording>> CudaDriver::record(const std::function<Status()> &issue) {
  ContextScope scope(*device);
  if (Status status = cuda.check(cuda.streamBeginCapture(device->stream(), kCaptureThreadLocal), "beginning a graph");
      !status)
    return status;
  followsKernel = false; // A graph begins when all before it has ended.
  isRecording = true;
  const Status issued = issue();
  followsKernel = isRecording = false;
  CuGraph graph = nullptr;
  const Status ended = cuda.check(cuda.streamEndCapture(device->stream(), &graph), "ending a graph");
  CuGraphExec executable = nullptr;
  Status status = issued ? ended : issued;
  if (status)
    status = cuda.check(cuda.graphInstantiate(&executable, graph, 0), "making a graph executable");
  if (graph)
    cuda.graphDestroy(graph);
  if (!status)
    return status;
  return std::unique_ptr<Recording>(std::make_unique<CudaRecording>(device, executable));
}

/// By events on the GPU, so that the time it takes to ask for the work and to hear of its end does not count.
Result<std::chrono::nanoseconds> CudaDriver::time(const std::function<Status()> &issue) {
  ContextScope scope(*device);
  const TimingEvent begin(*device), end(*device);
  if (Status status = cuda.check(cuda.eventRecord(begin.get(), device->stream()), "taking the time"); !status)
    return status;
  followsKernel = false; // What is timed begins alone.
  if (Status status = issue(); !status)
    return status;
  if (Status status = cuda.check(cuda.eventRecord(end.get(), device->stream()), "taking the time"); !status)
    return status;
  if (Status status = device->synchronize(); !status)
    return status;
  float milliseconds = 0;
  if (Status status = cuda.check(cuda.eventElapsedTime(&milliseconds, begin.get(), end.get()), "taking the time");
      !status)
    return status;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double, std::milli>(milliseconds));
}

std::vector<DeviceFact> CudaDriver::facts() {
  std::size_t free = 0, total = 0;
  {
    ContextScope scope(*device);
    cuda.memGetInfo(&free, &total);
  }
  std::vector<DeviceFact> facts = {
      {"name", device->name()},
      {"architecture", "sm_" + std::to_string(device->capability())},
      {"multiprocessors", std::int64_t{device->attribute(kMultiprocessors)}},
      {"memory_total_bytes", static_cast<std::int64_t>(total)},
      {"memory_free_bytes", static_cast<std::int64_t>(free)},
      {"cuda", versionText(cuda.version)},
      {"pci_bus_id", device->busId()},
  };
  for (DeviceFact &fact : managementFacts(device->busId()))
    facts.push_back(std::move(fact));
  return facts;
}

} // namespace

Result<std::unique_ptr<Driver>> open(const DriverOptions &options) {
  auto device = Device::open(options.device);
  if (!device)
    return device.status();
  auto staging = Staging::create(*device);
  if (!staging)
    return staging.status();
  return std::unique_ptr<Driver>(std::make_unique<CudaDriver>(std::move(*device), std::move(*staging)));
}

} // namespace moe::drivers::cuda
