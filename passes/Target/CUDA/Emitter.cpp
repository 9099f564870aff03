//===- Emitter.cpp - What the CUDA emitters share ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Emitter.h"

#include "passes/Target/Common/CloneRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::moe::cuda {

Value EmitterContext::allocateShared(MemRefType type) {
  constexpr int64_t kAlignment = 128;
  auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
  assert(type.getMemorySpace() == space && "shared memory is in the workgroup's address space");
  int64_t offset = llvm::alignTo(sharedBytes, kAlignment);
  sharedBytes = offset + type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  Type bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type(), MemRefLayoutAttrInterface(), space);
  Value all = gpu::DynamicSharedMemoryOp::create(builder, bytes);
  Value start = arith::ConstantIndexOp::create(builder, offset);
  return memref::ViewOp::create(builder, type, all, start, ValueRange());
}

SmallVector<Value> cloneScalarRegion(ImplicitLocOpBuilder &builder, Region &region, ValueRange arguments) {
  return target::cloneRegionAtWidth(builder, region, arguments);
}

} // namespace mlir::moe::cuda
