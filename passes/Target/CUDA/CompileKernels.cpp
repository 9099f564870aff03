//===- CompileKernels.cpp - Kernels' modules to moe_exec.objects --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CUDA/Emitter.h"
#include "passes/Target/CUDA/Passes.h"
#include "passes/Target/CUDA/Ptx.h"
#include "passes/Target/Common/CodeGeneration.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Threading.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CUDACOMPILEKERNELSPASS
#include "passes/Target/CUDA/Passes.h.inc"

using namespace cuda;

/// The name of the kernel whose code `module` is.
static StringRef getKernelName(gpu::GPUModuleOp module) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (function->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
      return function.getName();
  return "";
}

namespace {
struct CUDACompileKernelsPass : impl::CUDACompileKernelsPassBase<CUDACompileKernelsPass> {
  using CUDACompileKernelsPassBase::CUDACompileKernelsPassBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    CUDACompileKernelsPassBase::getDependentDialects(registry);
    registerBuiltinDialectTranslation(registry);
    registerGPUDialectTranslation(registry);
    registerLLVMDialectTranslation(registry);
    registerNVVMDialectTranslation(registry);
  }

  void runOnOperation() override {
    std::optional<Capabilities> capabilities = getCapabilities(getOperation());
    if (!capabilities)
      return signalPassFailure();
    SmallVector<ModuleOp> modules = llvm::to_vector(getOperation().getOps<ModuleOp>());
    if (modules.empty())
      return;
    if (!dumpTo.empty())
      if (std::error_code error = llvm::sys::fs::create_directories(dumpTo)) {
        getOperation().emitError() << "cannot create " << dumpTo << ": " << error.message();
        return signalPassFailure();
      }

    FailureOr<std::string> ptx = compile(modules, *capabilities);
    if (failed(ptx))
      return signalPassFailure();
    auto builder = ImplicitLocOpBuilder::atBlockBegin(getOperation().getLoc(), getOperation().getBody());
    auto kernels = getOperation().getOps<moe_exec::KernelOp>();
    if (!kernels.empty())
      builder.setInsertionPoint(*kernels.begin());
    ArrayAttr features = builder.getStrArrayAttr({});
    moe_exec::ObjectOp::create(builder, kObjectName, "ptx", "cuda", capabilities->arch, features,
                               builder.getStringAttr(*ptx), /*source=*/FlatSymbolRefAttr());
    std::string assembler = assemble ? findAssembler() : "";
    if (!assembler.empty()) {
      FailureOr<std::string> cubin = assembleAll(assembler, *ptx, *capabilities);
      if (failed(cubin))
        return signalPassFailure();
      moe_exec::ObjectOp::create(builder, (kObjectName + "_" + capabilities->arch).str(), "cubin", "cuda",
                                 capabilities->arch, features, builder.getStringAttr(*cubin),
                                 FlatSymbolRefAttr::get(&getContext(), kObjectName));
    }
    for (ModuleOp module : modules)
      module.erase();
  }

private:
  FailureOr<std::string> compile(ArrayRef<ModuleOp> modules, const Capabilities &capabilities) {
    std::vector<std::string> texts(modules.size());
    auto compileOne = [&](size_t i) -> LogicalResult {
      ModuleOp module = modules[i];
      auto code = *module.getOps<gpu::GPUModuleOp>().begin();
      SmallString<128> dumpPrefix(dumpTo);
      if (!dumpTo.empty())
        llvm::sys::path::append(dumpPrefix, getKernelName(code));
      FailureOr<std::string> ptx = compileToPtx(code, capabilities, dumpPrefix);
      if (succeeded(ptx))
        texts[i] = std::move(*ptx);
      return ptx;
    };
    if (failed(failableParallelForEachN(&getContext(), 0, modules.size(), compileOne)))
      return failure();
    return mergePtx(texts);
  }

  FailureOr<std::string> assembleAll(StringRef assembler, StringRef ptx, const Capabilities &capabilities) {
    auto emitError = [&] { return getOperation().emitError(); };
    FailureOr<MachineCode> code = cuda::assemble(assembler, ptx, capabilities.arch, emitError);
    if (failed(code))
      return failure();
    if (!dumpTo.empty()) {
      SmallString<128> path(dumpTo);
      llvm::sys::path::append(path, "ptxas.txt");
      if (failed(target::dump(getOperation(), path, [&](auto &stream) { stream << code->log; })))
        return failure();
    }
    for (const KernelResources &kernel : code->kernels)
      report(kernel);
    return code->cubin;
  }

  void report(const KernelResources &kernel) {
    auto op = getOperation().lookupSymbol<moe_exec::KernelOp>(kernel.name);
    Location location = op ? op.getLoc() : getOperation().getLoc();
    for (StringRef remark : kernel.remarks)
      emitWarning(location) << "kernel '" << kernel.name << "' has slow warpgroup matmuls; ptxas says " << remark;
    if (kernel.spillBytes == 0 && kernel.stackBytes == 0)
      return;
    emitWarning(location)
        << "kernel '" << kernel.name << "' takes " << kernel.registers << " registers, spills " << kernel.spillBytes
        << " bytes of them and has " << kernel.stackBytes << " bytes of local memory";
  }
};
} // namespace
} // namespace mlir::moe
