//===- Capabilities.h - What an NVIDIA GPU can do ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_CAPABILITIES_H
#define PASSES_TARGET_CUDA_CAPABILITIES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <optional>

namespace mlir::moe::cuda {

/// What the rest of the target asks instead of an architecture's number (CUDA Programming Guide, "Compute
/// Capabilities").
struct Capabilities {
  StringRef arch;             ///< ptxas's and LLVM's name: "sm_80", "sm_90a".
  StringRef ptxFeature;       ///< LLVM's name of the PTX version: the oldest that has the architecture.
  int64_t sharedBytes;        ///< Shared memory that a block may have.
  int64_t warps;              ///< Warps that a multiprocessor runs at once.
  bool hasTensorMemoryAccess; ///< cp.async.bulk.tensor and mbarrier transactions.
  bool hasWarpgroupMatmul;    ///< wgmma.
  bool hasDependentLaunch;    ///< griddepcontrol.
  bool hasClusters;           ///< Of blocks that write each other's shared memory.

  // The same everywhere since 8.0.
  static constexpr int64_t kWarpSize = 32;
  static constexpr int64_t kMostThreads = 1024; ///< Of a block.
  static constexpr int64_t kVectorBytes = 16;   ///< The widest access of a thread.
  /// Blocks that keep a large GPU busy: the machine that runs an artifact is not known here; 132 multiprocessors of an
  /// H100 with two each.
  static constexpr int64_t kEnoughBlocks = 264;
};

/// The record of `arch`, "" meaning sm_80, which runs on every GPU since then. Emits an error that lists them and
/// returns nothing if there is none.
std::optional<Capabilities> getCapabilities(StringRef arch, function_ref<InFlightDiagnostic()> emitError);

/// Those of the module's target (attribute `moe.target`); of sm_80 if it has none.
std::optional<Capabilities> getCapabilities(ModuleOp module);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_CAPABILITIES_H
