//===- EmitKernels.cpp - Kernels as GPU functions ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/EmitLaunches.h"
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
  bool streams; ///< Each of its parts.
  SmallVector<Attribute> tensorMaps;
  SmallVector<int64_t> earlyInputs;
};
} // namespace

/// Writes the code of `emitter.kernel`, which has a config, where the builder is.
static FailureOr<LaunchShape> emitCode(EmitterContext &emitter) {
  Operation *structured = target::findStructuredOp(emitter.kernel);
  return structured ? emitStructuredOp(structured, emitter) : emitRows(emitter);
}

static moe_kernel::CUDAConfigAttr getConfig(moe_kernel::KernelOp kernel) {
  auto config = dyn_cast_or_null<moe_kernel::CUDAConfigAttr>(kernel.getConfigAttr());
  if (!config)
    kernel.emitOpError() << "has no #moe_kernel.cuda_config; the pass moe-configure sets it";
  return config;
}

/// Writes the code of `kernel` into `code`, which is empty.
static FailureOr<EmittedKernel> emitKernel(moe_kernel::KernelOp kernel, gpu::GPUModuleOp code,
                                           const Capabilities &capabilities) {
  SmallVector<moe_kernel::KernelOp> parts = target::getParts(kernel);
  if (parts.empty())
    parts.push_back(kernel);
  SmallVector<moe_kernel::CUDAConfigAttr> configs = llvm::map_to_vector(parts, getConfig);
  if (llvm::is_contained(configs, moe_kernel::CUDAConfigAttr()))
    return failure();

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
  EmitterContext emitter{builder, kernel, configs.front(),
                         SmallVector<Value>(parameters.take_front(kernel.getNumArguments())),
                         SmallVector<Value>(parameters.drop_front(kernel.getNumArguments()))};
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    if (std::optional<unsigned> result = kernel.getTiedResult(i))
      emitter.results[*result] = emitter.arguments[i];

  if (capabilities.hasDependentLaunch)
    emitter.settled = findSettledOperands(kernel);

  auto finish = [&](Block *body, EmitterContext &emitter, const LaunchShape &shape) -> LogicalResult {
    if (!capabilities.hasDependentLaunch)
      return success();
    SmallVector<Value> later; // What is read after the wait, though it could be before it.
    for (unsigned operand : emitter.settled.set_bits())
      if (emitter.arguments[operand] && !llvm::is_contained(emitter.earlyInputs, operand))
        later.push_back(emitter.arguments[operand]);
    if (shape.grid[0] <= Capabilities::kEnoughBlocks)
      prefetch(body, later);
    return waitForPreviousKernel(body, emitter);
  };
  bool holdsLaunches = kernel.holdsLaunches();
  FailureOr<LaunchShape> shape = holdsLaunches ? emitLaunches(emitter, emitCode, finish) : emitCode(emitter);
  if (succeeded(shape) && !holdsLaunches && failed(finish(entry, emitter, *shape)))
    return failure();
  if (failed(shape))
    return failure();
  if (emitter.sharedBytes > capabilities.sharedBytes)
    return kernel.emitOpError() << "needs " << emitter.sharedBytes << " bytes of shared memory, but a block of "
                                << capabilities.arch << " has " << capabilities.sharedBytes;
  function.setKnownBlockSizeAttr(
      builder.getDenseI32ArrayAttr(SmallVector<int32_t>(shape->block.begin(), shape->block.end())));
  bool streams = llvm::all_of(configs, [](auto config) { return config.getUnit() == moe_kernel::CUDAUnit::stream; });
  return EmittedKernel{*shape, emitter.sharedBytes, streams, std::move(emitter.tensorMaps),
                       std::move(emitter.earlyInputs)};
}

/// The kernels of `module` that only other kernels launch: they have no code of their own.
static llvm::SmallPtrSet<Operation *, 8> findParts(ModuleOp module) {
  llvm::SmallPtrSet<Operation *, 8> parts;
  for (auto kernel : module.getOps<moe_kernel::KernelOp>())
    for (moe_kernel::KernelOp part : target::getParts(kernel))
      parts.insert(part);
  module.walk([&](moe_exec::LaunchOp launch) { parts.erase(module.lookupSymbol(launch.getKernel())); });
  return parts;
}

namespace {
struct CUDAEmitKernelsPass : impl::CUDAEmitKernelsPassBase<CUDAEmitKernelsPass> {
  void runOnOperation() override {
    std::optional<Capabilities> capabilities = getCapabilities(getOperation());
    if (!capabilities)
      return signalPassFailure();
    OpBuilder builder(&getContext());
    bool anyFailed = false;
    llvm::SmallPtrSet<Operation *, 8> parts = findParts(getOperation());
    // Those that launch others first, as long as these are there.
    SmallVector<moe_kernel::KernelOp> kernels;
    for (bool holdsLaunches : {true, false})
      for (auto kernel : getOperation().getOps<moe_kernel::KernelOp>())
        if (kernel.holdsLaunches() == holdsLaunches)
          kernels.push_back(kernel);
    for (moe_kernel::KernelOp kernel : kernels) {
      if (parts.contains(kernel)) {
        kernel.erase();
        continue;
      }
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
      bool isDependent = gainsFromEarlyLaunch(emitted->sharedBytes, emitted->streams, *capabilities);
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
