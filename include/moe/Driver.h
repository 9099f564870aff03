//===- Driver.h - What a target implements to execute artifacts -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A driver gives the executor memory, copies and launches on one device. `runtime/drivers/null` is the skeleton to
/// copy for a new target, `runtime/drivers/cpu` the simplest real one.
///
/// A driver does its work in order: an operation sees the effects of all those issued before it. It may return before
/// the work is done; `synchronize` waits. `read` waits for what it reads. A driver is used by one thread at a time, and
/// its memory and kernels are destroyed before it.
///
/// The executor has checked every size and index before it calls: views lie inside their memory, kernels get as many
/// buffers as they take, copies have equal sizes and do not overlap.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_DRIVER_H
#define MOE_DRIVER_H

#include "moe/Status.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace moe {
namespace format {
struct Artifact;
struct Kernel;
} // namespace format

/// Device memory, freed on destruction. Aligned to at least 256 bytes.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  virtual std::size_t size() const = 0;
};

/// A span of device memory: what an instruction's BufferRef resolves to.
struct BufferView {
  DeviceMemory *memory = nullptr;
  std::size_t offset = 0;
  std::size_t size = 0;
};

/// A kernel made ready to launch; lives as long as its module.
class LoadedKernel {
public:
  virtual ~LoadedKernel() = default;
};

/// Operations recorded once and replayed many times, a CUDA graph for example. It names the kernels and memory it was
/// recorded with, so it is destroyed before them.
class Recording {
public:
  virtual ~Recording() = default;
};

/// Something to say about a device in a report: {"architecture", "sm_90"}. Numbers say their unit at the end of the
/// name, `_bytes`, `_gb_per_s` or `_gflop_per_s`; without one they are counts.
struct DeviceFact {
  std::string name;
  std::variant<std::int64_t, double, std::string> value;
};

/// How a driver is opened.
struct DriverOptions {
  int threads = 0; ///< CPU: worker threads; 0 is one per core of the process's affinity mask.
  int device = 0;  ///< Ordinal among the devices of this kind.
};

class Driver {
public:
  virtual ~Driver() = default;

  /// The name in `Target.name`: "cpu", "cuda", "null".
  virtual std::string_view name() const = 0;
  /// The device in words, for reports: "AMD EPYC, 2 threads".
  virtual std::string description() const = 0;

  /// Contents undefined. Zero bytes give a memory too. Too many are ErrorCode::doesNotFit.
  virtual Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) = 0;
  virtual Status fill(BufferView destination, std::uint8_t value) = 0;
  virtual Status copy(BufferView source, BufferView destination) = 0;
  virtual Status write(std::span<const std::byte> source, BufferView destination) = 0;
  virtual Status read(BufferView source, std::span<std::byte> destination) = 0;

  /// Loads every kernel of `artifact`, in its order. `blobs[i]` are the bytes of artifact.blobs[i].
  /// Refuses a target that this device cannot run, naming the feature it lacks (ErrorCode::unsupportedModel).
  virtual Result<std::vector<std::unique_ptr<LoadedKernel>>>
  load(const format::Artifact &artifact, std::span<const std::span<const std::byte>> blobs) = 0;

  /// `buffers` as in `Launch.buffers`: operands, then results.
  virtual Status launch(LoadedKernel &kernel, std::span<const BufferView> buffers) = 0;
  virtual Status synchronize() = 0;

  // What follows has defaults: a driver implements what its device is good at.

  /// The bytes that `allocate` can still give in all, if the device knows: a plan that is larger is refused before
  /// anything is allocated.
  virtual std::optional<std::size_t> availableMemory() { return std::nullopt; }

  /// Records the operations that `issue` asks for (fill, copy and launch, nothing else) instead of executing them.
  /// An error of `issue` is returned as it is. A driver that cannot record returns nullptr and does not call `issue`.
  virtual Result<std::unique_ptr<Recording>> record(const std::function<Status()> &issue) {
    return std::unique_ptr<Recording>();
  }
  /// Executes a recording of this driver, in order with all other operations.
  virtual Status replay(Recording &recording) {
    return Status(ErrorCode::failed, "the driver '" + std::string(name()) + "' has no recordings");
  }

  /// Executes `issue`, waits, and returns how long the device worked at it.
  virtual Result<std::chrono::nanoseconds> time(const std::function<Status()> &issue) {
    const auto begin = std::chrono::steady_clock::now();
    if (Status status = issue(); !status)
      return status;
    if (Status status = synchronize(); !status)
      return status;
    return std::chrono::steady_clock::now() - begin;
  }

  /// What `moe-run doctor` prints about the device, in this order.
  virtual std::vector<DeviceFact> facts() { return {}; }
  /// Checks within some seconds that the device computes what it should; returns what was measured. Called between
  /// sessions, not within one.
  virtual Result<std::vector<DeviceFact>> selfTest() { return std::vector<DeviceFact>(); }
};

using DriverFactory = std::function<Result<std::unique_ptr<Driver>>(const DriverOptions &)>;

/// Makes a driver known under `name`. Returns false if the name is taken. The drivers of runtime/drivers/ are known
/// from the start; these three functions may be called from any thread.
bool registerDriver(std::string_view name, DriverFactory factory);
/// Opens the driver `name`; the error lists the drivers there are.
Result<std::unique_ptr<Driver>> openDriver(std::string_view name, const DriverOptions &options = {});
/// The names known, sorted.
std::vector<std::string> registeredDrivers();

} // namespace moe

#endif // MOE_DRIVER_H
