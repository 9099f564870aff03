//===- Architecture.h - What runs on which GPU ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_DRIVERS_CUDA_ARCHITECTURE_H
#define MOE_RUNTIME_DRIVERS_CUDA_ARCHITECTURE_H

#include <optional>
#include <string>
#include <string_view>

namespace moe::drivers::cuda {

/// The architecture that code was compiled for: "sm_80", "sm_90a", "sm_100f".
struct Architecture {
  int capability = 0; ///< 10 · major + minor.
  char suffix = 0;    ///< 'a': this architecture only; 'f': its family, the same major; 0: this and later ones.

  static std::optional<Architecture> parse(std::string_view text);

  /// Whether PTX for this architecture runs on a device of `capability` (PTX ISA, ".target").
  bool ptxRunsOn(int capability) const;
  /// "compute capability 9.0 only".
  std::string requirement() const;
};

/// "9.0" from 90.
std::string capabilityText(int capability);

} // namespace moe::drivers::cuda

#endif // MOE_RUNTIME_DRIVERS_CUDA_ARCHITECTURE_H
