//===- LowerKernel.cpp - A kernel's loop nest to the LLVM dialect ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/CPU/LowerBFloat16.h"
#include "passes/Target/CPU/Passes.h"
#include "passes/Target/Common/ExpandMath.h"
#include "passes/Target/Common/Lowering.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CPULOWERKERNELPASS
#include "passes/Target/CPU/Passes.h.inc"

using namespace cpu;

static LogicalResult lowerToLLVMDialect(ModuleOp module) {
  LowerToLLVMOptions options(module.getContext());
  options.useBarePtrCallConv = true;
  LLVMTypeConverter converter(module.getContext(), options);
  RewritePatternSet patterns(module.getContext());
  populateBFloat16AsBits(converter, patterns);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/false);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*module.getContext());
  SmallVector<Operation *> contents = llvm::map_to_vector(*module.getBody(), [](Operation &op) { return &op; });
  return applyFullConversion(contents, target, std::move(patterns));
}

/// Makes `body` internal and adds the function that include/moe/CpuKernel.h describes:
///
/// ```mlir
/// llvm.func @name(%buffers: !llvm.ptr, %begin: i64, %end: i64, %scratch: !llvm.ptr) {
///   %buffer0 = llvm.load (%buffers + 0) ...
///   llvm.call @name.body(%buffer0, ..., %begin, %end, %scratch)
/// ```
/// A call, not inlined code, keeps the no-alias attributes of the pointers exact.
static void addEntryPoint(LLVM::LLVMFuncOp body, ArrayRef<int64_t> bufferOfParameter) {
  MLIRContext *context = body.getContext();
  std::string name = body.getName().str();
  body.setName(name + ".body");
  body.setLinkage(LLVM::Linkage::Internal);
  body.setNoInline(true);

  ImplicitLocOpBuilder builder(body.getLoc(), context);
  builder.setInsertionPointAfter(body);
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = builder.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {pointer, i64, i64, pointer});
  auto entryPoint = LLVM::LLVMFuncOp::create(builder, name, type);
  Block *entry = entryPoint.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  SmallVector<Value> operands;
  for (int64_t buffer : bufferOfParameter) {
    Value address = LLVM::GEPOp::create(builder, pointer, pointer, entry->getArgument(0), LLVM::GEPArg(buffer));
    operands.push_back(LLVM::LoadOp::create(builder, pointer, address));
  }
  llvm::append_range(operands, entry->getArguments().drop_front());
  LLVM::CallOp::create(builder, body, operands);
  LLVM::ReturnOp::create(builder, ValueRange());
}

namespace {
struct CPULowerKernelPass : impl::CPULowerKernelPassBase<CPULowerKernelPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
    if (functions.size() != 1) {
      module.emitOpError() << "holds " << functions.size() << " functions, but a kernel's module has one";
      return signalPassFailure();
    }
    auto buffers = functions.front()->getAttrOfType<DenseI64ArrayAttr>(kBuffersAttrName);
    if (!buffers) {
      functions.front()->emitOpError() << "has no '" << kBuffersAttrName << "'; the pass moe-cpu-emit-kernels sets it";
      return signalPassFailure();
    }
    functions.front()->removeAttr(kBuffersAttrName);

    if (failed(target::lowerVectorsAndViews(module)) || failed(target::expandMath(module)))
      return signalPassFailure();
    target::formFusedMultiplyAdds(module);
    expandBFloat16Conversions(module);
    if (failed(target::lowerControlFlow(module)) || failed(lowerToLLVMDialect(module)))
      return signalPassFailure();
    addEntryPoint(*module.getOps<LLVM::LLVMFuncOp>().begin(), buffers);
  }
};
} // namespace
} // namespace mlir::moe
