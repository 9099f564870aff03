//===- NullDriver.cpp - The skeleton of a driver --------------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A device that remembers and computes nothing: memory, copies and fills work on host memory, launches check their
/// arguments and return. It runs any program whose target is "null", which tests use to exercise the executor alone.
///
/// To add a target, copy this folder to runtime/drivers/<name>/ and
///   1. rename: the namespace `drivers::null`, the classes, and moe_add_driver in CMakeLists.txt. Nothing else in the
///      tree names a driver, and an artifact asks for it as `Target.name`;
///   2. follow the comments "A real driver". include/moe/Driver.h is the contract, including what the executor has
///      checked already (sizes, indices), which a driver need not check again.
/// If the device's library may be missing (a GPU driver), open it with dlopen in `open`, and return
/// ErrorCode::unsupportedModel with its name: a build then runs on machines with and without the device.
///
//===----------------------------------------------------------------------===//
#include "moe/Driver.h"
#include "runtime/format/artifact_generated.h"

#include <cstring>
#include <new>

namespace moe::drivers::null {
namespace {

/// A real driver: the handle of a device allocation, released in the destructor.
class NullMemory final : public DeviceMemory {
public:
  static constexpr std::align_val_t alignment{256};

  NullMemory(void *address, std::size_t bytes) : address(static_cast<std::byte *>(address)), bytes(bytes) {}
  ~NullMemory() override { ::operator delete(address, alignment); }

  std::size_t size() const override { return bytes; }
  std::byte *data() const { return address; }

private:
  std::byte *address;
  std::size_t bytes;
};

/// Where a view begins. The memory of a driver's views was made by that driver, so the cast is safe.
std::byte *addressOf(const BufferView &view) { return static_cast<NullMemory *>(view.memory)->data() + view.offset; }

/// A real driver: the function's handle and its launch geometry, copied from the table because that may be gone when
/// the kernel is launched.
class NullKernel final : public LoadedKernel {
public:
  explicit NullKernel(const format::Kernel &kernel)
      : name(kernel.name()->str()), numBuffers(std::size_t{kernel.num_operands()} + kernel.num_results()) {}

  const std::string name;
  const std::size_t numBuffers;
};

class NullDriver final : public Driver {
public:
  std::string_view name() const override { return "null"; }
  std::string description() const override { return "no device: launches do nothing"; }

  Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t bytes) override {
    void *address = ::operator new(bytes, NullMemory::alignment, std::nothrow);
    if (!address)
      return Status(ErrorCode::doesNotFit, "cannot allocate " + std::to_string(bytes) + " bytes");
    return std::unique_ptr<DeviceMemory>(std::make_unique<NullMemory>(address, bytes));
  }

  // A real driver: enqueue fills and copies on the stream that launches use, so that they stay in order. `write` must
  // have taken what it needs of `source` when it returns, and `read` must wait, because the host's buffers may be gone
  // right afterwards.
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

  // A real driver, in this order:
  //   - compare artifact.target() with the device and refuse what it lacks by name (ErrorCode::unsupportedModel);
  //   - make each blob of its own kind a module, once;
  //   - find every kernel in its module (ErrorCode::corruptFile if it is not there) and check grid, block, shared and
  //     scratch memory against the device's limits (ErrorCode::doesNotFit, with both numbers).
  Result<std::vector<std::unique_ptr<LoadedKernel>>> load(const format::Artifact &artifact,
                                                          std::span<const std::span<const std::byte>> blobs) override {
    if (artifact.target()->name()->str() != name())
      return Status(ErrorCode::unsupportedModel,
                    "compiled for '" + artifact.target()->name()->str() + "', but this is the driver 'null'");
    std::vector<std::unique_ptr<LoadedKernel>> kernels;
    for (const format::Kernel *kernel : *artifact.kernels())
      kernels.push_back(std::make_unique<NullKernel>(*kernel));
    return kernels;
  }

  // A real driver: turn the views into addresses and enqueue the kernel. It may return before the kernel is done; a
  // failure that shows later is reported by the next call that waits.
  Status launch(LoadedKernel &kernel, std::span<const BufferView> buffers) override {
    const auto &nullKernel = static_cast<const NullKernel &>(kernel);
    if (buffers.size() != nullKernel.numBuffers)
      return Status(ErrorCode::failed, "kernel '" + nullKernel.name + "' takes " +
                                           std::to_string(nullKernel.numBuffers) + " buffers, not " +
                                           std::to_string(buffers.size()));
    for (const BufferView &buffer : buffers)
      if (!buffer.memory || buffer.offset > buffer.memory->size() ||
          buffer.size > buffer.memory->size() - buffer.offset)
        return Status(ErrorCode::failed, "a buffer of kernel '" + nullKernel.name + "' lies outside its memory");
    return {};
  }

  // A real driver: wait until everything issued is done and return its first error.
  Status synchronize() override { return {}; }
};

} // namespace

/// The driver's only symbol; runtime/drivers/Registry.cpp finds it by the folder's name. A real driver uses
/// `options.device` and says ErrorCode::configuration if there is no such device.
Result<std::unique_ptr<Driver>> open(const DriverOptions &options) {
  return std::unique_ptr<Driver>(std::make_unique<NullDriver>());
}

} // namespace moe::drivers::null
