//===- CPUTarget.cpp - The CPU as a target ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/CPUTarget.h"

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CPU/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"

namespace mlir::moe {

void CPUTarget::getDependentDialects(DialectRegistry &registry) const {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, moe_exec::MoEExecDialect, moe_kernel::MoEKernelDialect, scf::SCFDialect,
                  vector::VectorDialect>();
}

void CPUTarget::addCodegenPasses(OpPassManager &passes, StringRef dumpTo) const {
  buildCPUCodegenPipeline(passes, dumpTo.empty() ? "" : (dumpTo + "/kernels").str());
}

void buildCPUCodegenPipeline(OpPassManager &passes, StringRef dumpTo) {
  passes.addPass(createCPUEmitKernelsPass());
  passes.nest<ModuleOp>().addPass(createCPULowerKernelPass());
  passes.addPass(createCPUCompileKernelsPass({/*dumpTo=*/dumpTo.str()}));
}

namespace {
struct CodegenOptions : PassPipelineOptions<CodegenOptions> {
  Option<std::string> dumpTo{*this, "dump-to",
                             llvm::cl::desc("Write <kernel>.ll, <kernel>.opt.ll and <kernel>.s into this folder")};
};
} // namespace

void registerCPUTarget() {
  registerTarget("cpu", [](StringRef arch, function_ref<InFlightDiagnostic()> emitError) -> std::unique_ptr<Target> {
    std::optional<cpu::Capabilities> capabilities = cpu::getCapabilities(arch, emitError);
    return capabilities ? std::make_unique<CPUTarget>(std::move(*capabilities)) : nullptr;
  });
  registerCPUPasses();
  PassPipelineRegistration<CodegenOptions>(
      "moe-cpu-codegen", "Compile configured kernels for the CPU: emit, lower, compile and link",
      [](OpPassManager &passes, const CodegenOptions &options) { buildCPUCodegenPipeline(passes, options.dumpTo); });
}

} // namespace mlir::moe
