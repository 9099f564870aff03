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

/// How many parameters of each kernel are buffers: memrefs. Tensor maps follow them.
static llvm::StringMap<unsigned> countBuffers(gpu::GPUModuleOp module) {
  llvm::StringMap<unsigned> counts;
  for (auto function : module.getOps<gpu::GPUFuncOp>())
    counts[function.getName()] = llvm::count_if(function.getArgumentTypes(), llvm::IsaPred<MemRefType>);
  return counts;
}

static void annotateBuffer(LLVM::LLVMFuncOp function, unsigned number) {
  OpBuilder builder(function);
  function.setArgAttr(number, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
  function.setArgAttr(number, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(cuda::kBufferAlignment));
}

/// Passed by value and never copied: the ops that read it need its address in the parameter space.
static void annotateTensorMap(LLVM::LLVMFuncOp function, unsigned number) {
  constexpr int64_t kBytes = 128, kAlignment = 64;
  OpBuilder builder(function);
  Type bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), kBytes);
  function.setArgAttr(number, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes));
  function.setArgAttr(number, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(kAlignment));
  function.setArgAttr(number, NVVM::NVVMDialect::getGridConstantAttrName(), builder.getUnitAttr());
}

/// What conversions do not say: buffers do not overlap and are aligned, what tensor maps are, that the block has exactly
/// the known size, and names are the kernel's, so that kernels can share a PTX module.
static void annotate(gpu::GPUModuleOp module, const llvm::StringMap<unsigned> &numBuffers) {
  MLIRContext *context = module.getContext();
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal())
      continue;
    unsigned buffers = numBuffers.lookup(function.getName());
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      i < buffers ? annotateBuffer(function, i) : annotateTensorMap(function, i);
    if (Attribute size = function->removeAttr(NVVM::NVVMDialect::getMaxntidAttrName()))
      function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(), size);
    // The conversion keeps what a loop says under its own name, from which no LLVM IR is made.
    function.walk([](LLVM::BrOp branch) {
      if (auto loop = dyn_cast_or_null<LLVM::LoopAnnotationAttr>(branch->removeDiscardableAttr("llvm.loop_annotation")))
        branch.setLoopAnnotationAttr(loop);
    });
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
    llvm::StringMap<unsigned> numBuffers = countBuffers(module);
    if (failed(target::lowerControlFlow(module)) || failed(lowerToLLVMDialect(module)) ||
        failed(expandInlineAssembly(module)))
      return signalPassFailure();
    annotate(module, numBuffers);
  }
};
} // namespace
} // namespace mlir::moe
