//===- KernelCode.h - What compiling a kernel gives -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Enough to run a kernel without the compiler. Machines with a GPU often have no compiler, so code can be recorded
/// where the compiler is, and run from the recording elsewhere (KernelTestMain.cpp).
///
//===----------------------------------------------------------------------===//
#ifndef TEST_PASSES_TARGET_KERNELCODE_H
#define TEST_PASSES_TARGET_KERNELCODE_H

#include "runtime/format/artifact_generated.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe::test {

struct KernelCode {
  std::string target; ///< "cpu:host", "cuda:sm_80", as asked for.
  std::string name;   ///< Of the entry point.
  std::string config; ///< The text of the configuration that was used.
  std::string object; ///< A shared object, or PTX.
  std::array<int64_t, 3> grid = {}, block = {};
  int64_t sharedBytes = 0, scratchBytes = 0, flops = 0, bytes = 0;
  std::vector<format::TensorMapT> tensorMaps;

  bool isForCuda() const { return target.starts_with("cuda"); }
};

/// Compiles one `moe_kernel.kernel` in textual form, configured by the target if the text does not. Fails the test and
/// returns nothing if it does not compile. With `dumpTo`, intermediate code is written there.
std::optional<KernelCode> compileKernel(const std::string &source, const std::string &target,
                                        const std::string &dumpTo);

/// Whether this machine's processor runs code for `target`, "cpu:…".
bool canRunOnProcessor(const std::string &target);

/// The folder where code is looked up instead of being compiled, and the one where compiled code is left instead of
/// being run; empty: none.
struct KernelRecording {
  std::string from, to;
};
KernelRecording &kernelRecording();

/// Code of a recording, by what it was compiled from.
std::optional<KernelCode> readKernelCode(const std::string &folder, const std::string &source,
                                         const std::string &target);
bool writeKernelCode(const std::string &folder, const std::string &source, const KernelCode &code);

} // namespace moe::test

#endif // TEST_PASSES_TARGET_KERNELCODE_H
