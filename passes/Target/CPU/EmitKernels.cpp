//===- EmitKernels.cpp - Kernels as loop nests over work items ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/CPU/Passes.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/UB/IR/UBOps.h"
#include "moe/CpuKernel.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CPUEMITKERNELSPASS
#include "passes/Target/CPU/Passes.h.inc"

using namespace cpu;

static MemRefType getMemRefType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

static FailureOr<LaunchShape> emitKernel(moe_kernel::KernelOp kernel, ModuleOp code) {
  auto config = dyn_cast_or_null<moe_kernel::CPUConfigAttr>(kernel.getConfigAttr());
  if (!config) {
    kernel.emitOpError() << "has no #moe_kernel.cpu_config; the pass moe-configure sets it";
    return failure();
  }

  // One parameter per argument and per result that is not tied to one.
  SmallVector<Type> types;
  SmallVector<int64_t> buffers;
  SmallVector<std::optional<unsigned>> parameterOfResult(kernel.getNumResults());
  for (Type type : kernel.getArgumentTypes()) {
    buffers.push_back(types.size());
    types.push_back(getMemRefType(type));
  }
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    if (std::optional<unsigned> result = kernel.getTiedResult(i))
      parameterOfResult[*result] = i;
  for (auto [index, type] : llvm::enumerate(kernel.getResultTypes()))
    if (!parameterOfResult[index]) {
      parameterOfResult[index] = types.size();
      buffers.push_back(kernel.getNumArguments() + index);
      types.push_back(getMemRefType(type));
    }
  unsigned numBuffers = types.size();
  MLIRContext *context = kernel.getContext();
  auto builder = ImplicitLocOpBuilder::atBlockEnd(kernel.getLoc(), code.getBody());
  Type bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
  types.append({builder.getIndexType(), builder.getIndexType(), bytes});

  auto function = func::FuncOp::create(builder, kernel.getName(), builder.getFunctionType(types, {}));
  function->setAttr(kBuffersAttrName, builder.getDenseI64ArrayAttr(buffers));
  for (unsigned i = 0; i < numBuffers; ++i) {
    function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(context));
    function.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                        builder.getI64IntegerAttr(::moe::kCpuBufferAlignment));
  }
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  auto end = func::ReturnOp::create(builder);
  builder.setInsertionPoint(end);

  auto parameters = entry->getArguments();
  EmitterContext emitter{builder,
                         kernel,
                         config,
                         SmallVector<Value>(parameters.take_front(kernel.getNumArguments())),
                         llvm::map_to_vector(parameterOfResult, [&](auto i) -> Value { return parameters[*i]; }),
                         parameters[numBuffers],
                         parameters[numBuffers + 1],
                         parameters[numBuffers + 2]};
  Operation *structured = target::findStructuredOp(kernel);
  FailureOr<LaunchShape> shape = structured ? emitStructuredOp(structured, emitter) : emitRows(emitter);
  if (failed(shape))
    return failure();

  // Now that its size is known, scratch memory gets a static type, which a bare pointer can be.
  BlockArgument scratch = parameters[numBuffers + 2];
  scratch.setType(MemRefType::get({shape->scratchBytes}, builder.getI8Type()));
  if (!scratch.use_empty()) {
    builder.setInsertionPointToStart(entry);
    auto cast = memref::CastOp::create(builder, bytes, scratch);
    scratch.replaceAllUsesExcept(cast, cast);
  }
  function.setType(builder.getFunctionType(entry->getArgumentTypes(), {}));
  return shape;
}

namespace {
struct CPUEmitKernelsPass : impl::CPUEmitKernelsPassBase<CPUEmitKernelsPass> {
  void runOnOperation() override {
    OpBuilder builder(&getContext());
    bool anyFailed = false;
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<moe_kernel::KernelOp>())) {
      builder.setInsertionPoint(kernel);
      auto code = ModuleOp::create(builder, kernel.getLoc());
      FailureOr<LaunchShape> shape = emitKernel(kernel, code);
      if (failed(shape)) {
        code.erase();
        anyFailed = true;
        continue;
      }
      builder.setInsertionPoint(code);
      moe_exec::KernelOp::create(builder, kernel.getLoc(), kernel.getName(), kObjectName,
                                 /*grid=*/ArrayRef<int64_t>{shape->items, 1, 1}, /*block=*/ArrayRef<int64_t>{1, 1, 1},
                                 /*shared_bytes=*/0, shape->scratchBytes, kernel.getNumArguments(),
                                 kernel.getNumResults(), shape->flops, target::getCompulsoryBytes(kernel),
                                 /*tensor_maps=*/ArrayAttr(),
                                 /*dependent_launch=*/false, /*early_inputs=*/DenseI64ArrayAttr());
      kernel.erase();
    }
    if (anyFailed)
      signalPassFailure();
  }
};
} // namespace
} // namespace mlir::moe
