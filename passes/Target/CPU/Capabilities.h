//===- Capabilities.h - What an x86-64 CPU can do -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_CAPABILITIES_H
#define PASSES_TARGET_CPU_CAPABILITIES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <optional>
#include <string>
#include <vector>

namespace mlir::moe::cpu {

/// What the rest of the target asks instead of an architecture's name. Sizes are bytes.
struct Capabilities {
  std::string arch; ///< LLVM's name of the CPU: "znver4", "x86-64-v3".
  /// Every feature that generated code may use beyond baseline x86-64, sorted; LLVM's names. A loader checks these.
  std::vector<std::string> features;

  int64_t vectorWidth = 8;      ///< float32 lanes of a vector register.
  int64_t vectorRegisters = 16; ///< Architectural vector registers.

  // Not in LLVM's tables. These defaults are the smallest of Zen 2–5 and Skylake–Sapphire Rapids servers (AMD and Intel
  // optimisation manuals), so that blocks chosen from them fit everywhere.
  int64_t l1Bytes = 32 << 10;
  int64_t l2Bytes = 512 << 10;
  /// Threads to keep busy. The machine that runs an artifact is not known here; 64 items feed 16 cores with 4 each.
  int64_t targetItems = 64;

  /// LLVM's feature string: "+avx,+avx2,...".
  std::string getFeatureString() const;
};

/// Capabilities of the architecture `arch`: "" or "host" for this machine, or a name LLVM knows. Emits an error and
/// returns nothing if the name is unknown or the CPU has no AVX2 and FMA.
std::optional<Capabilities> getCapabilities(StringRef arch, function_ref<InFlightDiagnostic()> emitError);

/// Those of the module's target (attribute `moe.target`).
std::optional<Capabilities> getCapabilities(ModuleOp module);

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_CAPABILITIES_H
