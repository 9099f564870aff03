//===- Capabilities.cpp - What an NVIDIA GPU can do -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Capabilities.h"

#include "mlir/IR/Diagnostics.h"
#include "passes/Target/Target.h"

namespace mlir::moe::cuda {

/// PTX of sm_80 runs on GPUs whose blocks have 99 KB of shared memory (8.6, 8.9, 12.0), so that is what it may use.
static constexpr int64_t kPortableSharedBytes = 99 << 10;
static constexpr int64_t kHopperSharedBytes = 227 << 10;

static constexpr Capabilities kRecords[] = {
    {"sm_80", "ptx70", kPortableSharedBytes, 48, /*hasTensorMemoryAccess=*/false, /*hasWarpgroupMatmul=*/false,
     /*hasDependentLaunch=*/false, /*hasClusters=*/false},
    {"sm_86", "ptx71", kPortableSharedBytes, 48, false, false, false, false},
    {"sm_89", "ptx78", kPortableSharedBytes, 48, false, false, false, false},
    {"sm_90", "ptx78", kPortableSharedBytes, 48, false, false, true, true}, // Its PTX runs on 12.0.
    {"sm_90a", "ptx80", kHopperSharedBytes, 64, true, true, true, true},
};

std::optional<Capabilities> getCapabilities(StringRef arch, function_ref<InFlightDiagnostic()> emitError) {
  if (arch.empty())
    return kRecords[0];
  for (const Capabilities &record : kRecords)
    if (record.arch == arch)
      return record;
  InFlightDiagnostic error = emitError() << "unknown GPU architecture '" << arch << "'; there are: ";
  llvm::interleave(
      kRecords, [&](const Capabilities &record) { error << record.arch; }, [&] { error << ", "; });
  error << "; code for sm_80 runs on every later GPU too";
  return std::nullopt;
}

std::optional<Capabilities> getCapabilities(ModuleOp module) {
  auto emitError = [&] { return module.emitError(); };
  auto spec = module->getAttrOfType<StringAttr>(kTargetAttrName);
  auto [name, arch] = (spec ? spec.getValue() : StringRef("cuda")).split(':');
  if (name != "cuda") {
    emitError() << "is compiled for '" << spec.getValue() << "', not for cuda";
    return std::nullopt;
  }
  return getCapabilities(arch, emitError);
}

} // namespace mlir::moe::cuda
