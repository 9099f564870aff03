//===- GridCounter.cpp - Blocks that finish what others began ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/GridCounter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::moe::cuda {

/// What a fence orders for and a counter is shared by: the GPU.
static constexpr llvm::StringLiteral kDevice = "device";

GridCounter::GridCounter(BlockBuilder &b, EmitterContext &context, StringRef name, int64_t groups, int64_t size)
    : b(b), size(size), isLast(b.allocateShared(1, b.builder.getI32Type())) {
  auto function = b.builder.getInsertionBlock()->getParent()->getParentOfType<gpu::GPUFuncOp>();
  Type i32 = b.builder.getI32Type();
  auto zeros = DenseElementsAttr::get(RankedTensorType::get(groups, i32), b.builder.getI32IntegerAttr(0));
  auto type = MemRefType::get(groups, i32);
  memref::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(b.builder);
    b.builder.clearInsertionPoint();
    global = memref::GlobalOp::create(b.builder, (function.getName() + "." + name).str(),
                                      b.builder.getStringAttr("private"), type, zeros, /*constant=*/false,
                                      /*alignment=*/IntegerAttr());
  }
  // A kernel that launches others may have several.
  SymbolTable(function->getParentOfType<gpu::GPUModuleOp>()).insert(global, function->getBlock()->begin());
  counters = memref::GetGlobalOp::create(b.builder, type, global.getSymName());
}

void GridCounter::ifLast(Expr group, function_ref<void()> body) {
  ImplicitLocOpBuilder &builder = b.builder;
  b.barrier(); // What the block has written comes before its count, by the fence of one thread for all.
  b.ifThen(b.thread == 0, [&] {
    LLVM::FenceOp::create(builder, LLVM::AtomicOrdering::acq_rel, kDevice);
    Expr start = b.wrap(memref::ExtractAlignedPointerAsIndexOp::create(builder, counters));
    Value address = arith::IndexCastOp::create(builder, builder.getI64Type(), Value(start + group * 4));
    address = LLVM::IntToPtrOp::create(builder, LLVM::LLVMPointerType::get(builder.getContext(), /*addressSpace=*/1),
                                       address);
    // Begins again at zero after the last one.
    Expr count = b.wrap(LLVM::AtomicRMWOp::create(builder, LLVM::AtomicBinOp::uinc_wrap, address,
                                                  Value(b.i32(size - 1)), LLVM::AtomicOrdering::monotonic, kDevice));
    LLVM::FenceOp::create(builder, LLVM::AtomicOrdering::acq_rel, kDevice);
    b.store(b.wrap(arith::ExtUIOp::create(builder, builder.getI32Type(), Value(count == size - 1))), isLast,
            b.index(0));
  });
  b.barrier();
  b.ifThen(b.load(isLast, b.index(0)) == 1, body);
}

} // namespace mlir::moe::cuda
