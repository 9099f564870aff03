//===- ClusterExchange.cpp - Blocks that hand over to a neighbour -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/ClusterExchange.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::moe::cuda {

static Type getPointerType(BlockBuilder &b, NVVM::NVVMMemorySpace space) {
  return LLVM::LLVMPointerType::get(b.builder.getContext(), static_cast<unsigned>(space));
}

ClusterExchange::ClusterExchange(BlockBuilder &b, int64_t blocks, int64_t count)
    : b(b), blocks(blocks), memory(b.allocateShared(count)) {
  auto function = b.builder.getInsertionBlock()->getParent()->getParentOfType<gpu::GPUFuncOp>();
  function->setAttr(NVVM::NVVMDialect::getClusterDimAttrName(),
                    b.builder.getDenseI32ArrayAttr({static_cast<int32_t>(blocks), 1, 1}));
}

void ClusterExchange::begin() { NVVM::ClusterArriveRelaxedOp::create(b.builder, b.builder.getUnitAttr()); }
void ClusterExchange::meet() { NVVM::ClusterWaitOp::create(b.builder, b.builder.getUnitAttr()); }

void ClusterExchange::handOver() {
  NVVM::ClusterArriveOp::create(b.builder, b.builder.getUnitAttr());
  NVVM::ClusterWaitOp::create(b.builder, b.builder.getUnitAttr());
}

void ClusterExchange::store(Expr value, Expr offset) {
  constexpr int64_t kBytes = 4;
  ImplicitLocOpBuilder &builder = b.builder;
  Expr start = b.wrap(memref::ExtractAlignedPointerAsIndexOp::create(builder, memory));
  Value address = arith::IndexCastOp::create(builder, builder.getI64Type(), Value(start + offset * kBytes));
  Value mine = LLVM::IntToPtrOp::create(builder, getPointerType(b, NVVM::NVVMMemorySpace::Shared), address);
  Value first =
      NVVM::MapaOp::create(builder, getPointerType(b, NVVM::NVVMMemorySpace::SharedCluster), mine, b.i32(0));
  LLVM::StoreOp::create(builder, value, first, /*alignment=*/kBytes);
}

} // namespace mlir::moe::cuda
