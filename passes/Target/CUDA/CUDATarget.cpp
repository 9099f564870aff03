//===- CUDATarget.cpp - NVIDIA GPUs as a target -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/CUDATarget.h"
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/EmitLaunches.h"
#include "passes/Target/CUDA/FuseRouter.h"
#include "passes/Target/CUDA/Hopper/MatmulPlan.h"
#include "passes/Target/CUDA/Hopper/SplitAttentionBackward.h"
#include "passes/Target/CUDA/Hopper/SplitMatmul.h"

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CUDA/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"

namespace mlir::moe {

void CUDATarget::getDependentDialects(DialectRegistry &registry) const {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, moe_exec::MoEExecDialect, moe_kernel::MoEKernelDialect, nvgpu::NVGPUDialect,
                  NVVM::NVVMDialect, scf::SCFDialect, vector::VectorDialect>();
}

// A row of a warpgroup's accumulators lies in four neighbouring lanes; elsewhere threads would have to meet. What is
// outside of the last columns would have to be left out of the sums, for which there are too few registers.
bool CUDATarget::sumsRows(moe_kernel::MatmulOp matmul) const {
  int64_t columns = cast<ShapedType>(matmul.getResult(0).getType()).getShape().back();
  return columns % moe_kernel::kRowSumColumns == 0 && cuda::planMatmul(matmul, capabilities).has_value();
}

// Several tokens meet in some experts, whose matrices would be read for each of them.
bool CUDATarget::combinesRows(moe_kernel::MatmulOp matmul, int64_t tokens) const {
  return tokens == 1 && cuda::ampere::findStreamObstacle(matmul).empty();
}

void CUDATarget::splitKernels(ModuleOp module) const {
  cuda::splitAttentionBackward(module, capabilities);
  cuda::splitGathers(module, capabilities);
  cuda::splitContractions(module, capabilities);
}

void CUDATarget::fuseKernels(ModuleOp module) const { cuda::fuseRouters(module, capabilities); }

Attribute CUDATarget::configurePrologue(moe_kernel::KernelOp rows, moe_kernel::KernelOp reader, unsigned operand) const {
  return cuda::configurePrologue(rows, reader, operand);
}

bool CUDATarget::fusesHorizontally(ArrayRef<moe_kernel::KernelOp> kernels) const {
  return cuda::fusesHorizontally(kernels);
}

void CUDATarget::addCodegenPasses(OpPassManager &passes, StringRef dumpTo) const {
  buildCUDACodegenPipeline(passes, dumpTo.empty() ? "" : (dumpTo + "/kernels").str());
}

void buildCUDACodegenPipeline(OpPassManager &passes, StringRef dumpTo) {
  passes.addPass(createCUDAEmitKernelsPass());
  passes.nest<ModuleOp>().nest<gpu::GPUModuleOp>().addPass(createCUDALowerKernelPass());
  passes.addPass(createCUDACompileKernelsPass({/*dumpTo=*/dumpTo.str()}));
}

namespace {
struct CodegenOptions : PassPipelineOptions<CodegenOptions> {
  Option<std::string> dumpTo{*this, "dump-to",
                             llvm::cl::desc("Write <kernel>.ll, <kernel>.ptx and what ptxas says into this folder")};
};
} // namespace

void registerCUDATarget() {
  registerTarget("cuda", [](StringRef arch, function_ref<InFlightDiagnostic()> emitError) -> std::unique_ptr<Target> {
    std::optional<cuda::Capabilities> capabilities = cuda::getCapabilities(arch, emitError);
    return capabilities ? std::make_unique<CUDATarget>(*capabilities) : nullptr;
  });
  registerCUDAPasses();
  PassPipelineRegistration<CodegenOptions>(
      "moe-cuda-codegen", "Compile configured kernels for NVIDIA GPUs: emit, lower, compile to PTX and assemble",
      [](OpPassManager &passes, const CodegenOptions &options) { buildCUDACodegenPipeline(passes, options.dumpTo); });
}

} // namespace mlir::moe
