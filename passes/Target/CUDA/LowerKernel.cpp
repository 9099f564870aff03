//===- LowerKernel.cpp - A GPU function to the LLVM dialect -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Emitter.h"
#include "passes/Target/CUDA/Passes.h"
#include "passes/Target/Common/ExpandMath.h"
#include "passes/Target/Common/Lowering.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/NVGPUToNVVM/NVGPUToNVVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CUDALOWERKERNELPASS
#include "passes/Target/CUDA/Passes.h.inc"

static LogicalResult lowerToLLVMDialect(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  LowerToLLVMOptions options(context);
  options.useBarePtrCallConv = true;
  LLVMTypeConverter converter(context, options);
  configureGpuToNVVMTypeConverter(converter);
  nvgpu::populateCommonGPUTypeAndAttributeConversions(converter);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  // Before the patterns of gpu, which call libdevice.
  populateMathToLLVMConversionPatterns(converter, patterns, /*approximateLog1p=*/false, /*benefit=*/2);
  populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/false);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  populateGpuToNVVMConversionPatterns(converter, patterns);
  populateNVGPUToNVVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalDialect<NVVM::NVVMDialect>();
  SmallVector<Operation *> contents = llvm::map_to_vector(*module.getBody(), [](Operation &op) { return &op; });
  return applyFullConversion(contents, target, std::move(patterns));
}

/// The ops of nvvm that are inline assembly rather than intrinsics.
static LogicalResult expandInlineAssembly(Operation *root) {
  RewritePatternSet patterns(root->getContext());
  populateNVVMToLLVMConversionPatterns(patterns);
  ConversionTarget target(*root->getContext());
  target.addLegalDialect<LLVM::LLVMDialect>();
  return applyPartialConversion(root, target, std::move(patterns));
}

/// What conversions do not say: buffers do not overlap and are aligned, the block has exactly the known size, and names
/// are the kernel's, so that kernels can share a PTX module.
static void annotate(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal())
      continue;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (isa<LLVM::LLVMPointerType>(function.getArgument(i).getType())) {
        function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(context));
        function.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                            IntegerAttr::get(IntegerType::get(context, 64), cuda::kBufferAlignment));
      }
    if (Attribute size = function->removeAttr(NVVM::NVVMDialect::getMaxntidAttrName()))
      function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(), size);
    // Registers before occupancy: without a wish for the number of blocks, ptxas spills to have more of them.
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), IntegerAttr::get(IntegerType::get(context, 32), 1));
    for (auto global : module.getOps<LLVM::GlobalOp>())
      if (global.getAddrSpace() == static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared) && !global.getValueOrNull()) {
        std::string name = (function.getName() + "$shared").str();
        (void)SymbolTable::replaceAllSymbolUses(global.getSymNameAttr(), StringAttr::get(context, name), module);
        global.setSymName(name);
        global.setLinkage(LLVM::Linkage::External); // Its size is the launch's.
        global.setAlignment(cuda::kSharedAlignment);
      }
  }
}

namespace {
struct CUDALowerKernelPass : impl::CUDALowerKernelPassBase<CUDALowerKernelPass> {
  void runOnOperation() override {
    gpu::GPUModuleOp module = getOperation();
    if (failed(target::lowerVectorsAndViews(module)) || failed(target::expandMath(module)))
      return signalPassFailure();
    target::formFusedMultiplyAdds(module);
    if (failed(target::lowerControlFlow(module)) || failed(lowerToLLVMDialect(module)) ||
        failed(expandInlineAssembly(module)))
      return signalPassFailure();
    annotate(module);
  }
};
} // namespace
} // namespace mlir::moe
