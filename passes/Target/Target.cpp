//===- Target.cpp - The registry of targets ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Target.h"

#include "llvm/ADT/STLExtras.h"
#include <map>

namespace mlir::moe {

static std::map<std::string, TargetFactory> &registry() {
  // Never destroyed: plug-ins, whose code factories are, are gone when static objects go.
  static auto &factories = *new std::map<std::string, TargetFactory>;
  return factories;
}

bool registerTarget(llvm::StringRef name, TargetFactory factory) {
  return registry().emplace(name.str(), std::move(factory)).second;
}

std::unique_ptr<Target> createTarget(llvm::StringRef spec, function_ref<InFlightDiagnostic()> emitError) {
  auto [name, arch] = spec.split(':');
  auto found = registry().find(name.str());
  if (found == registry().end()) {
    InFlightDiagnostic error = emitError() << "unknown target '" << name << "'; there are: ";
    llvm::interleave(
        registry(), [&](auto &entry) { error << entry.first; }, [&] { error << ", "; });
    return nullptr;
  }
  return found->second(arch, emitError);
}

std::unique_ptr<Target> getTarget(ModuleOp module) {
  auto spec = module->getAttrOfType<StringAttr>(kTargetAttrName);
  if (!spec) {
    module.emitError() << "has no '" << kTargetAttrName << "' attribute; compile with target=cpu";
    return nullptr;
  }
  return createTarget(spec.getValue(), [&] { return module.emitError(); });
}

} // namespace mlir::moe
