//===- CompiledKernel.h - A kernel's text, compiled and callable ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_PASSES_TARGET_COMPILEDKERNEL_H
#define TEST_PASSES_TARGET_COMPILEDKERNEL_H

#include "KernelCode.h"
#include "moe/CpuKernel.h"
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace moe::test {

/// Memory as the runtime gives it to kernels: aligned, and followed by a pattern that shows a kernel writing past its
/// end.
class KernelMemory {
public:
  explicit KernelMemory(size_t bytes);
  void *data() const { return memory.get(); }
  /// Whether the pattern behind the end is as it was.
  bool isIntact() const;

private:
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  size_t bytes;
  std::unique_ptr<std::byte, Free> memory;
};

/// What a kernel gets for an operand or a result: host memory that is copied to the device and back where that is
/// another.
struct KernelBuffer {
  void *data;
  size_t bytes;
};
using KernelBuffers = std::vector<KernelBuffer>;

/// A buffer of `T`.
template <typename T> class Buffer {
public:
  explicit Buffer(size_t size, T value = T()) : memory(size * sizeof(T)), size(size) {
    for (T &element : *this)
      element = value;
  }
  Buffer(const std::vector<T> &values) : Buffer(values.size()) { std::copy(values.begin(), values.end(), begin()); }

  T *begin() const { return static_cast<T *>(memory.data()); }
  T *end() const { return begin() + size; }
  T &operator[](size_t i) const { return begin()[i]; }
  std::vector<T> values() const { return {begin(), end()}; }
  bool isIntact() const { return memory.isIntact(); }
  operator KernelBuffer() const { return {memory.data(), size * sizeof(T)}; }

private:
  KernelMemory memory;
  size_t size;
};

/// One `moe_kernel.kernel` in textual form, configured by the target if the text does not, compiled and loaded.
class CompiledKernel {
public:
  /// Fails the test and returns null if `source` does not compile for `target`. With `dumpTo`, intermediate code is
  /// written there.
  static std::unique_ptr<CompiledKernel> compile(const std::string &source, const std::string &target = "cpu:host",
                                                 const std::string &dumpTo = "");
  virtual ~CompiledKernel() = default;

  /// Whether the machine running the test can run code for `target`.
  static bool canRun(const std::string &target);

  /// Runs the whole grid in one call.
  void run(const KernelBuffers &buffers) const { runInPieces(buffers, items); }
  /// Runs the grid in calls of `itemsPerCall` items, the last ones first: items are independent. A GPU runs it at once.
  virtual void runInPieces(const KernelBuffers &buffers, int64_t itemsPerCall) const = 0;
  virtual bool isLoaded() const = 0;

  const KernelCode code;
  const int64_t items, scratchBytes, flops, bytes;
  const std::string config; ///< The text of the configuration that was used.

  explicit CompiledKernel(KernelCode code);
};

} // namespace moe::test

#endif // TEST_PASSES_TARGET_COMPILEDKERNEL_H
