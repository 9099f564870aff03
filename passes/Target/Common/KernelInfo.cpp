//===- KernelInfo.cpp - What every emitter asks of a kernel -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/KernelInfo.h"

namespace mlir::moe::target {

Operation *findStructuredOp(moe_kernel::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (isa<moe_kernel::MoEKernelDialect>(op.getDialect()))
      return &op;
  return nullptr;
}

int64_t getCompulsoryBytes(moe_kernel::KernelOp kernel) {
  int64_t bytes = 0;
  for (TypeRange types : {TypeRange(kernel.getArgumentTypes()), TypeRange(kernel.getResultTypes())})
    for (Type type : types) {
      auto shaped = cast<ShapedType>(type);
      bytes += shaped.getNumElements() * llvm::divideCeil(shaped.getElementTypeBitWidth(), 8);
    }
  return bytes;
}

} // namespace mlir::moe::target
