//===- CompileKernels.cpp - Kernels' modules to one moe_exec.object ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/CPU/ObjectCode.h"
#include "passes/Target/CPU/Passes.h"

#include "mlir/IR/Threading.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CPUCOMPILEKERNELSPASS
#include "passes/Target/CPU/Passes.h.inc"

using namespace cpu;

/// The name of the kernel whose code `module` is: its only function that can be called from outside.
static StringRef getKernelName(ModuleOp module) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal() && function.getLinkage() == LLVM::Linkage::External)
      return function.getName();
  return "";
}

namespace {
struct CPUCompileKernelsPass : impl::CPUCompileKernelsPassBase<CPUCompileKernelsPass> {
  using CPUCompileKernelsPassBase::CPUCompileKernelsPassBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    CPUCompileKernelsPassBase::getDependentDialects(registry);
    registerBuiltinDialectTranslation(registry);
    registerLLVMDialectTranslation(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto emitError = [&] { return module.emitError(); };
    std::optional<Capabilities> capabilities = getCapabilities(module);
    if (!capabilities)
      return signalPassFailure();
    if (!dumpTo.empty())
      if (std::error_code error = llvm::sys::fs::create_directories(dumpTo)) {
        emitError() << "cannot create " << dumpTo << ": " << error.message();
        return signalPassFailure();
      }

    auto kernels = llvm::to_vector(module.getOps<ModuleOp>());
    if (kernels.empty())
      return;
    std::vector<ObjectCode> objects(kernels.size());
    auto compileOne = [&](size_t i) -> LogicalResult {
      SmallString<128> dumpPrefix(dumpTo);
      if (!dumpTo.empty())
        llvm::sys::path::append(dumpPrefix, getKernelName(kernels[i]));
      FailureOr<ObjectCode> object = compile(kernels[i], *capabilities, dumpPrefix);
      if (succeeded(object))
        objects[i] = std::move(*object);
      return object;
    };
    if (failed(failableParallelForEachN(&getContext(), 0, kernels.size(), compileOne)))
      return signalPassFailure();
    FailureOr<ObjectCode> support = compileSupport(*capabilities, emitError);
    if (failed(support))
      return signalPassFailure();
    objects.push_back(std::move(*support));
    FailureOr<ObjectCode> linked = link(objects, emitError);
    if (failed(linked))
      return signalPassFailure();

    auto builder = ImplicitLocOpBuilder::atBlockBegin(module.getLoc(), module.getBody());
    for (Operation &op : *module.getBody())
      if (isa<moe_exec::KernelOp>(op)) {
        builder.setInsertionPoint(&op);
        break;
      }
    auto features = llvm::map_to_vector(capabilities->features, [](const std::string &f) { return StringRef(f); });
    moe_exec::ObjectOp::create(builder, kObjectName, "elf", "cpu", capabilities->arch,
                               builder.getStrArrayAttr(features),
                               builder.getStringAttr(StringRef(linked->data(), linked->size())),
                               /*source=*/FlatSymbolRefAttr());
    for (ModuleOp kernel : kernels)
      kernel.erase();
  }
};
} // namespace
} // namespace mlir::moe
