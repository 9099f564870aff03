//===- EntryPoint.h - The loop over a program -------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_EXECUTOR_ENTRYPOINT_H
#define MOE_RUNTIME_EXECUTOR_ENTRYPOINT_H

#include "moe/Session.h"
#include "runtime/format/artifact_generated.h"

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace moe {

/// What an entry point's BufferRefs index.
struct EntryPointMemory {
  BufferView workspace;
  std::span<const BufferView> variables;
  std::vector<BufferView> inputs, outputs;
};

/// A program with every BufferRef and kernel index resolved once, so that running it is a walk over two flat vectors;
/// or, with a driver that can record, the replay of one recorded walk.
class CompiledEntryPoint final : public EntryPoint {
public:
  /// `observer` is looked at in every run; it and all else outlive this object. The artifact has been validated.
  CompiledEntryPoint(Driver &driver, const format::EntryPoint &table,
                     std::span<const std::unique_ptr<LoadedKernel>> kernels, EntryPointMemory memory,
                     const Observer &observer);

  const format::EntryPoint &table() const override { return entryPoint; }
  Status setInput(std::string_view name, std::span<const std::byte> bytes) override;
  Status run() override;
  Status getOutput(std::string_view name, std::span<std::byte> bytes) override;
  Status poison() override;

private:
  struct Step {
    enum class Kind { launch, copy, fill } kind;
    std::uint8_t fillValue = 0;
    std::uint32_t firstView = 0, numViews = 0; ///< In `views`.
    LoadedKernel *kernel = nullptr;
    const char *label = ""; ///< Text of the artifact.
  };

  BufferView resolve(const format::BufferRef &ref) const;
  Status execute(const Step &step);
  Status executeAll();
  Status executeAllTimed();
  Status describe(std::size_t index, const Status &failure) const;

  Driver &driver;
  const format::EntryPoint &entryPoint;
  EntryPointMemory memory;
  const Observer &observer;
  std::vector<Step> steps;
  std::vector<BufferView> views;
  bool recordable = true; ///< Until the driver says otherwise.
  std::unique_ptr<Recording> recording;
};

} // namespace moe

#endif // MOE_RUNTIME_EXECUTOR_ENTRYPOINT_H
