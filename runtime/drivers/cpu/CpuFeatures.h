//===- CpuFeatures.h - What this processor can execute ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CPU_CPUFEATURES_H
#define MOE_RUNTIME_DRIVERS_CPU_CPUFEATURES_H

#include <string>
#include <string_view>

namespace moe::drivers::cpu {

enum class FeatureSupport {
  supported,
  missing, ///< By the processor, or by the operating system, which does not save its registers.
  unknown, ///< No x86-64 feature of this name is known here.
};

/// Whether code that uses `feature`, an LLVM name such as "avx512f", can run on this machine.
FeatureSupport featureSupport(std::string_view feature);

/// The newest level of the x86-64 psABI that this machine runs whole: "x86-64-v3"; "" on other processors.
std::string architectureLevel();

/// The processor's name in words: "AMD EPYC 9654".
std::string processorName();

} // namespace moe::drivers::cpu

#endif // MOE_RUNTIME_DRIVERS_CPU_CPUFEATURES_H
