//===- Session.h - Load an artifact and run it ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The embedding API of the runtime.
///
///   auto artifact = moe::Artifact::open("tiny.moe");
///   auto session = moe::Session::create(*artifact);
///   (*session)->initialize(/*seed=*/1);
///   moe::EntryPoint *step = (*session)->find("decode_step");
///   step->setInput("tokens", tokens);  step->run();  step->getOutput("logits", logits);
///
//===----------------------------------------------------------------------===//
#ifndef MOE_SESSION_H
#define MOE_SESSION_H

#include "moe/Driver.h"
#include "moe/Status.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace moe {
namespace format {
struct Artifact;
struct Variable;
struct Port;
struct EntryPoint;
} // namespace format

/// An artifact file, memory-mapped, bounds-checked and checksummed as a whole before anything else reads it.
class Artifact {
public:
  /// Errors: ErrorCode::failed (cannot be read), ErrorCode::corruptFile (says which field is wrong; a version or
  /// schema mismatch says who wrote the file, who reads it and how to rebuild it).
  static Result<std::shared_ptr<const Artifact>> open(const std::string &path);
  /// The same from bytes, which are copied.
  static Result<std::shared_ptr<const Artifact>> fromBytes(std::span<const std::byte> bytes);

  virtual ~Artifact() = default;
  /// The FlatBuffer (runtime/format/artifact.fbs, generated `artifact_generated.h`).
  virtual const format::Artifact &table() const = 0;
  virtual std::span<const std::byte> blob(std::size_t index) const = 0;
  /// Where it was read from, for messages.
  virtual const std::string &path() const = 0;
};

/// Anything contiguous whose elements are plain values: a vector, an array, a span.
template <typename Range>
concept ValueRange = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
    std::is_trivially_copyable_v<std::ranges::range_value_t<Range>>;

/// One compiled function with its own inputs and outputs. Owned by the session.
class EntryPoint {
public:
  virtual ~EntryPoint() = default;
  virtual const format::EntryPoint &table() const = 0;

  /// `bytes` must have exactly the port's size (ErrorCode::usage otherwise, as for an unknown name). Inputs are zero at
  /// first and keep their value between runs.
  virtual Status setInput(std::string_view name, std::span<const std::byte> bytes) = 0;
  /// Executes the program. May return before an asynchronous device is done; getOutput waits, as does
  /// `Session::driver().synchronize()`. The error names the instruction.
  virtual Status run() = 0;
  /// The value after the last run; zeros before the first.
  virtual Status getOutput(std::string_view name, std::span<std::byte> bytes) = 0;
  /// Fills the outputs and the workspace with bytes 0xff, which are NaN in every float type: what a run does not
  /// compute shows. For tests.
  virtual Status poison() = 0;

  template <typename T> Status setInput(std::string_view name, std::span<const T> values) {
    return setInput(name, std::as_bytes(values));
  }
  template <typename T> Status getOutput(std::string_view name, std::span<T> values) {
    return getOutput(name, std::as_writable_bytes(values));
  }

  template <ValueRange Range> Status setInput(std::string_view name, const Range &values) {
    return setInput(name, std::span<const std::byte>(std::as_bytes(std::span(values))));
  }
  template <ValueRange Range> Status getOutput(std::string_view name, Range &values) {
    return getOutput(name, std::span<std::byte>(std::as_writable_bytes(std::span(values))));
  }
};

/// When one instruction of a program ran. `end` is when the host saw it done, `begin` that minus the time that the
/// device worked at it.
struct InstructionTiming {
  const EntryPoint &entryPoint;
  std::size_t instruction; ///< Index in `entryPoint.table().program()`.
  std::chrono::steady_clock::time_point begin, end;
};

/// Called after each instruction, on the thread that called EntryPoint::run.
using Observer = std::function<void(const InstructionTiming &)>;

/// Device memory that a session asks for, in bytes; each variable and port is rounded up to a multiple of 256.
struct MemoryUse {
  std::size_t parameters = 0, optimizer = 0, buffers = 0, caches = 0;
  std::size_t workspace = 0; ///< The largest entry point's: entry points share one workspace.
  std::size_t ports = 0;     ///< Inputs and outputs of all entry points.
  std::size_t total() const { return parameters + optimizer + buffers + caches + workspace + ports; }
};

/// An artifact on a device: its kernels, variables and entry points. A session and what it owns are used by one thread
/// at a time; different sessions are independent.
class Session {
public:
  /// Opens the driver that the artifact's target names and allocates everything. Variables hold zeros.
  /// Errors: ErrorCode::unsupportedModel (no such driver, or this device lacks what the kernels need; named),
  /// ErrorCode::doesNotFit (with the sizes), ErrorCode::corruptFile (a kernel is missing from its blob).
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Artifact> artifact,
                                                 const DriverOptions &options = {});
  virtual ~Session() = default;

  virtual const Artifact &artifact() const = 0;
  virtual Driver &driver() = 0;
  virtual MemoryUse memoryUse() const = 0;

  /// Gives every variable its initial value. Each element depends only on (seed, variable name, element index).
  virtual Status initialize(std::uint64_t seed) = 0;
  /// Gives the variables that start as copies of others (the float32 masters of bf16 parameters) the values that those
  /// have now: to be called when parameters were written and their optimizer's state was not. Part of `initialize`.
  virtual Status initializeCopies() = 0;
  /// Sets the variables of role `cache` to zero.
  virtual Status resetCaches() = 0;

  /// `bytes` must have exactly the variable's size (ErrorCode::usage otherwise, as for an unknown name).
  virtual Status writeVariable(std::string_view name, std::span<const std::byte> bytes) = 0;
  virtual Status readVariable(std::string_view name, std::span<std::byte> bytes) = 0;

  /// The entry point, or nullptr.
  virtual EntryPoint *find(std::string_view name) = 0;
  /// In the order of the artifact.
  virtual std::vector<std::string> entryPointNames() const = 0;

  /// Times every instruction from now on, waiting for the device after each; an empty function switches this off again.
  /// Off costs nothing.
  virtual void setObserver(Observer observer) = 0;
};

} // namespace moe

#endif // MOE_SESSION_H
