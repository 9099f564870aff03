//===- LowerBFloat16.cpp - bf16 as 16 bits of memory ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/LowerBFloat16.h"

#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace mlir::moe::cpu {

void expandBFloat16Conversions(Operation *root) {
  RewritePatternSet patterns(root->getContext());
  arith::populateExpandBFloat16Patterns(patterns);
  walkAndApplyPatterns(root, std::move(patterns));
}

namespace {
struct BFloat16ConstantLowering : ConvertOpToLLVMPattern<arith::ConstantOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult matchAndRewrite(arith::ConstantOp op, OpAdaptor, ConversionPatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isBF16())
      return rewriter.notifyMatchFailure(op, "is not of bf16");
    Attribute bits;
    if (auto elements = dyn_cast<DenseElementsAttr>(op.getValue()))
      bits = elements.bitcast(rewriter.getI16Type());
    else
      bits = rewriter.getIntegerAttr(rewriter.getI16Type(), cast<FloatAttr>(op.getValue()).getValue().bitcastToAPInt());
    rewriter.replaceOpWithNewOp<LLVM::ConstantOp>(op, getTypeConverter()->convertType(op.getType()), bits);
    return success();
  }
};
} // namespace

void populateBFloat16AsBits(LLVMTypeConverter &converter, RewritePatternSet &patterns) {
  auto bits = IntegerType::get(&converter.getContext(), 16);
  converter.addConversion([bits](BFloat16Type) -> Type { return bits; });
  converter.addConversion([bits](VectorType type) -> std::optional<Type> {
    return type.getElementType().isBF16() ? std::optional<Type>(type.clone(bits)) : std::nullopt;
  });
  patterns.add<BFloat16ConstantLowering>(converter, /*benefit=*/2);
}

} // namespace mlir::moe::cpu
