//===- Emitter.cpp - What the CUDA emitters share ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Emitter.h"

#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/Common/CloneRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
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

Value EmitterContext::tensorMap(Value buffer, ArrayRef<int64_t> dims, ArrayRef<int64_t> byteStrides,
                                ArrayRef<int64_t> box, int64_t swizzleBytes) {
  auto function = cast<gpu::GPUFuncOp>(cast<BlockArgument>(buffer).getOwner()->getParentOp());
  unsigned number = cast<BlockArgument>(buffer).getArgNumber();
  Type elementType = cast<MemRefType>(buffer.getType()).getElementType();
  Attribute map = moe_exec::TensorMapAttr::get(builder.getContext(), number, elementType, dims, byteStrides, box,
                                               swizzleBytes);
  unsigned firstMap = function.getNumArguments() - tensorMaps.size();
  auto known = llvm::find(tensorMaps, map);
  if (known != tensorMaps.end())
    return function.getArgument(firstMap + (known - tensorMaps.begin()));
  tensorMaps.push_back(map);
  unsigned position = function.getNumArguments();
  (void)function.insertArgument(position, LLVM::LLVMPointerType::get(builder.getContext()), {}, builder.getLoc());
  return function.getArgument(position);
}

SmallVector<Value> cloneScalarRegion(ImplicitLocOpBuilder &builder, Region &region, ValueRange arguments) {
  return target::cloneRegionAtWidth(builder, region, arguments);
}

} // namespace mlir::moe::cuda
