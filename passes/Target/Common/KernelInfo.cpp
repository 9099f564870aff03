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

static int64_t getBytes(Type type) {
  auto shaped = cast<ShapedType>(type);
  return shaped.getNumElements() * llvm::divideCeil(shaped.getElementTypeBitWidth(), 8);
}

int64_t getCompulsoryBytes(moe_kernel::KernelOp kernel) {
  int64_t bytes = 0;
  for (TypeRange types : {TypeRange(kernel.getArgumentTypes()), TypeRange(kernel.getResultTypes())})
    for (Type type : types)
      bytes += getBytes(type);
  // Fewer rows than experts leave the weights of the others alone.
  if (auto matmul = dyn_cast_or_null<moe_kernel::MatmulOp>(findStructuredOp(kernel));
      matmul && matmul.getKind() == moe_kernel::MatmulKind::ragged_rows) {
    int64_t experts = matmul.getRhs().getType().getDimSize(0);
    int64_t rows = cast<ShapedType>(matmul.getResults().front().getType()).getDimSize(0);
    bytes -= getBytes(matmul.getRhs().getType()) / experts * (experts - std::min(experts, rows));
  }
  return bytes;
}

} // namespace mlir::moe::target
