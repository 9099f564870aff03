//===- Capabilities.cpp - What an x86-64 CPU can do -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Capabilities.h"

#include "mlir/IR/Diagnostics.h"
#include "passes/Target/Target.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

namespace mlir::moe::cpu {

using FeatureSet = llvm::StringSet<>;

/// The features that generated code may use: vectors, bit manipulation, conversions. Others that a CPU has
/// (cryptography, tiles, cache control) are of no use to kernels and would only make an artifact less portable. Sorted.
static constexpr StringLiteral kUsableFeatures[] = {
    "avx",     "avx2",       "avx512bf16", "avx512bitalg", "avx512bw", "avx512cd",   "avx512dq",
    "avx512f", "avx512ifma", "avx512vbmi", "avx512vbmi2",  "avx512vl", "avx512vnni", "avx512vpopcntdq",
    "avxvnni", "bmi",        "bmi2",       "f16c",         "fma",      "lzcnt",      "movbe",
    "popcnt",  "sse3",       "sse4.1",     "sse4.2",       "ssse3",
};

/// What vectors of 16 lanes need, masks included.
static constexpr StringLiteral kWideFeatures[] = {"avx512f", "avx512vl", "avx512bw", "avx512dq"};

std::string Capabilities::getFeatureString() const {
  return llvm::join(llvm::map_range(features, [](const std::string &feature) { return "+" + feature; }), ",");
}

/// All features of `arch`, which is resolved to LLVM's name; nothing if it is unknown.
static std::optional<FeatureSet> resolve(StringRef &arch) {
  FeatureSet available;
  if (arch.empty() || arch == "host") {
    arch = llvm::sys::getHostCPUName();
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      if (feature.second)
        available.insert(feature.first());
    return available;
  }
  if (llvm::X86::parseArchX86(arch, /*Only64Bit=*/true) == llvm::X86::CK_None)
    return std::nullopt;
  SmallVector<StringRef> features;
  llvm::X86::getFeaturesForCPU(arch, features);
  // LLVM lists only what is not implied by the rest.
  llvm::StringMap<bool> implied;
  for (StringRef feature : features) {
    available.insert(feature);
    llvm::X86::updateImpliedFeatures(feature, /*Enabled=*/true, implied);
  }
  for (const auto &feature : implied)
    if (feature.second)
      available.insert(feature.first());
  return available;
}

std::optional<Capabilities> getCapabilities(StringRef arch, function_ref<InFlightDiagnostic()> emitError) {
  std::optional<FeatureSet> available = resolve(arch);
  if (!available) {
    emitError() << "unknown CPU '" << arch
                << "'; some that are known: host, x86-64-v3, x86-64-v4, haswell, skylake-avx512, sapphirerapids, "
                   "znver2, znver3, znver4, znver5";
    return std::nullopt;
  }
  for (StringRef needed : {"avx2", "fma"})
    if (!available->contains(needed)) {
      emitError() << "CPU '" << arch << "' has no " << needed
                  << ", which kernels need; the least capable CPU supported is x86-64-v3";
      return std::nullopt;
    }

  Capabilities capabilities;
  capabilities.arch = arch.str();
  for (StringRef feature : kUsableFeatures)
    if (available->contains(feature))
      capabilities.features.push_back(feature.str());
  if (llvm::all_of(kWideFeatures, [&](StringRef feature) { return available->contains(feature); })) {
    capabilities.vectorWidth = 16;
    capabilities.vectorRegisters = 32;
  }
  return capabilities;
}

std::optional<Capabilities> getCapabilities(ModuleOp module) {
  auto emitError = [&] { return module.emitError(); };
  auto spec = module->getAttrOfType<StringAttr>(kTargetAttrName);
  auto [name, arch] = (spec ? spec.getValue() : StringRef("cpu")).split(':');
  if (name != "cpu") {
    emitError() << "is compiled for '" << spec.getValue() << "', not for cpu";
    return std::nullopt;
  }
  return getCapabilities(arch, emitError);
}

} // namespace mlir::moe::cpu
