//===- CompiledKernel.h - A kernel's text, compiled and callable ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_PASSES_TARGET_CPU_COMPILEDKERNEL_H
#define TEST_PASSES_TARGET_CPU_COMPILEDKERNEL_H

#include "moe/CpuKernel.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
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
  operator void *() const { return memory.data(); }

private:
  KernelMemory memory;
  size_t size;
};

/// One `moe_kernel.kernel` in textual form, configured by the CPU target if the text does not, compiled and loaded.
class CompiledKernel {
public:
  /// Fails the test and returns null if `source` does not compile for `arch`. With `dumpTo`, LLVM IR and assembly are
  /// written there.
  static std::unique_ptr<CompiledKernel> compile(llvm::StringRef source, llvm::StringRef arch = "host",
                                                 llvm::StringRef dumpTo = "");
  ~CompiledKernel();

  /// Whether the machine running the test can run code for `arch`.
  static bool canRun(llvm::StringRef arch);

  /// Runs the whole grid in one call.
  void run(const std::vector<void *> &buffers) const { runInPieces(buffers, items); }
  /// Runs the grid in calls of `itemsPerCall` items, the last ones first: items are independent.
  void runInPieces(const std::vector<void *> &buffers, int64_t itemsPerCall) const;

  int64_t items = 0, scratchBytes = 0, flops = 0, bytes = 0;
  std::string config; ///< The text of the configuration that was used.

private:
  CompiledKernel() = default;
  int descriptor = -1;
  void *handle = nullptr;
  CpuKernel function = nullptr;
};

} // namespace moe::test

#endif // TEST_PASSES_TARGET_CPU_COMPILEDKERNEL_H
