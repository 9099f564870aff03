//===- EmitKernels.cpp - Kernels as GPU functions ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/Emitter.h"
#include "passes/Target/CUDA/Passes.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CUDAEMITKERNELSPASS
#include "passes/Target/CUDA/Passes.h.inc"

using namespace cuda;

static MemRefType getMemRefType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

namespace {
struct EmittedKernel {
  LaunchShape shape;
  int64_t sharedBytes;
  SmallVector<Attribute> tensorMaps;
  SmallVector<int64_t> earlyInputs;
};
} // namespace

/// Writes the code of `kernel` into `code`, which is empty.
static FailureOr<EmittedKernel> emitKernel(moe_kernel::KernelOp kernel, gpu::GPUModuleOp code,
                                           const Capabilities &capabilities) {
  auto config = dyn_cast_or_null<moe_kernel::CUDAConfigAttr>(kernel.getConfigAttr());
  if (!config) {
    kernel.emitOpError() << "has no #moe_kernel.cuda_config; the pass moe-configure sets it";
    return failure();
  }

  SmallVector<Type> types =
      llvm::map_to_vector(kernel.getArgumentTypes(), [](Type t) -> Type { return getMemRefType(t); });
  llvm::append_range(types, llvm::map_range(kernel.getResultTypes(), getMemRefType));
  auto builder = ImplicitLocOpBuilder::atBlockBegin(kernel.getLoc(), code.getBody());
  auto function = gpu::GPUFuncOp::create(builder, kernel.getName(), builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  Block *entry = &function.getBody().front();
  builder.setInsertionPointToEnd(entry);
  auto end = gpu::ReturnOp::create(builder);
  builder.setInsertionPoint(end);

  auto parameters = entry->getArguments();
  EmitterContext emitter{builder, kernel, config, SmallVector<Value>(parameters.take_front(kernel.getNumArguments())),
                         SmallVector<Value>(parameters.drop_front(kernel.getNumArguments()))};
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    if (std::optional<unsigned> result = kernel.getTiedResult(i))
      emitter.results[*result] = emitter.arguments[i];

  if (capabilities.hasDependentLaunch)
    emitter.settled = findSettledOperands(kernel);

  Operation *structured = target::findStructuredOp(kernel);
  FailureOr<LaunchShape> shape = structured ? emitStructuredOp(structured, emitter) : emitRows(emitter);
  if (failed(shape))
    return failure();
  if (emitter.sharedBytes > capabilities.sharedBytes)
    return kernel.emitOpError() << "needs " << emitter.sharedBytes << " bytes of shared memory, but a block of "
                                << capabilities.arch << " has " << capabilities.sharedBytes;
  if (capabilities.hasDependentLaunch && failed(waitForPreviousKernel(function, emitter)))
    return failure();
  function.setKnownBlockSizeAttr(
      builder.getDenseI32ArrayAttr(SmallVector<int32_t>(shape->block.begin(), shape->block.end())));
  return EmittedKernel{*shape, emitter.sharedBytes, std::move(emitter.tensorMaps),
                       std::move(emitter.earlyInputs)};
}

namespace {
struct CUDAEmitKernelsPass : impl::CUDAEmitKernelsPassBase<CUDAEmitKernelsPass> {
  void runOnOperation() override {
    std::optional<Capabilities> capabilities = getCapabilities(getOperation());
    if (!capabilities)
      return signalPassFailure();
    OpBuilder builder(&getContext());
    bool anyFailed = false;
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<moe_kernel::KernelOp>())) {
      builder.setInsertionPoint(kernel);
      auto module = ModuleOp::create(builder, kernel.getLoc());
      builder.setInsertionPointToStart(module.getBody());
      auto code = gpu::GPUModuleOp::create(builder, kernel.getLoc(), "code");
      FailureOr<EmittedKernel> emitted = emitKernel(kernel, code, *capabilities);
      if (failed(emitted)) {
        module.erase();
        anyFailed = true;
        continue;
      }
      builder.setInsertionPoint(module);
      const LaunchShape &shape = emitted->shape;
      ArrayAttr tensorMaps = emitted->tensorMaps.empty() ? ArrayAttr() : builder.getArrayAttr(emitted->tensorMaps);
      bool isDependent = gainsFromEarlyLaunch(emitted->sharedBytes, shape.grid[0], *capabilities);
      DenseI64ArrayAttr earlyInputs; // Launched after the one before it, a kernel reads nothing early.
      if (isDependent && !emitted->earlyInputs.empty())
        earlyInputs = builder.getDenseI64ArrayAttr(emitted->earlyInputs);
      moe_exec::KernelOp::create(builder, kernel.getLoc(), kernel.getName(), kObjectName,
                                 ArrayRef<int64_t>(shape.grid), ArrayRef<int64_t>(shape.block), emitted->sharedBytes,
                                 /*scratch_bytes=*/0, kernel.getNumArguments(), kernel.getNumResults(), shape.flops,
                                 target::getCompulsoryBytes(kernel), tensorMaps,
                                 isDependent, earlyInputs);
      kernel.erase();
    }
    if (anyFailed)
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
