//===- CompileKernel.cpp - Compiles kernels for tests -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelCode.h"

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "lib/Compiler/Artifact/ModuleToArtifact.h"
#include "lib/Compiler/Pipeline/Registration.h"
#include "passes/Target/CPU/Capabilities.h"
#include "passes/Target/Target.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <mutex>

using namespace mlir;

namespace moe::test {

static std::unique_ptr<MLIRContext> createContext() {
  static std::once_flag once;
  std::call_once(once, mlir::moe::registerAllPasses);
  DialectRegistry registry;
  mlir::moe::registerAllDialects(registry);
  return std::make_unique<MLIRContext>(registry);
}

bool canRunOnProcessor(const std::string &target) {
  auto context = createContext();
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(context.get())); };
  auto host = mlir::moe::cpu::getCapabilities("host", emitError);
  auto wanted = mlir::moe::cpu::getCapabilities(StringRef(target).split(':').second, emitError);
  return host && wanted && std::ranges::includes(host->features, wanted->features);
}

std::optional<KernelCode> compileKernel(const std::string &source, const std::string &targetName,
                                        const std::string &dumpTo) {
  auto context = createContext();
  std::string diagnostics;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(diagnostics) << diagnostic.getLocation() << ": " << diagnostic << "\n";
  });
  auto fail = [&](const char *what) -> std::optional<KernelCode> {
    ADD_FAILURE() << what << "\n" << diagnostics << "in\n" << source;
    return std::nullopt;
  };

  auto module = parseSourceString<ModuleOp>(source, context.get());
  if (!module)
    return fail("does not parse");
  (*module)->setAttr(mlir::moe::kTargetAttrName, StringAttr::get(context.get(), targetName));
  auto target = mlir::moe::getTarget(*module);
  auto kernels = llvm::to_vector(module->getOps<moe_kernel::KernelOp>());
  if (!target || kernels.size() != 1)
    return fail("no target, or not one kernel");
  DialectRegistry registry;
  target->getDependentDialects(registry);
  context->appendDialectRegistry(registry);
  moe_kernel::KernelOp kernel = kernels.front();
  if (!kernel.getConfigAttr() && failed(target->configure(kernel)))
    return fail("cannot be configured");
  KernelCode code;
  code.target = targetName;
  llvm::raw_string_ostream(code.config) << kernel.getConfigAttr();

  PassManager passes(context.get());
  target->addCodegenPasses(passes, dumpTo);
  if (failed(passes.run(*module)))
    return fail("does not compile");
  auto compiled = *module->getOps<moe_exec::KernelOp>().begin();
  auto object = *module->getOps<moe_exec::ObjectOp>().begin();
  code.name = compiled.getSymName();
  llvm::copy(compiled.getGrid(), code.grid.begin());
  llvm::copy(compiled.getBlock(), code.block.begin());
  code.sharedBytes = compiled.getSharedBytes();
  code.scratchBytes = compiled.getScratchBytes();
  code.flops = compiled.getFlops();
  code.bytes = compiled.getBytes();
  code.object = object.getData();
  if (std::optional<ArrayAttr> maps = compiled.getTensorMaps())
    for (auto map : maps->getAsRange<moe_exec::TensorMapAttr>())
      code.tensorMaps.push_back(mlir::moe::toArtifact(map));
  return code;
}

} // namespace moe::test
