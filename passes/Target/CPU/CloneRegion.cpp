//===- CloneRegion.cpp - Scalar regions at vector width ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/CPU/Expr.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::moe::cpu {

SmallVector<Value> cloneRegionAtWidth(ImplicitLocOpBuilder &builder, Region &region, ValueRange arguments) {
  Block &block = region.front();
  IRMapping mapping;
  mapping.map(block.getArguments(), arguments);
  for (Operation &op : block.without_terminator()) {
    int64_t width = 0;
    for (Value operand : op.getOperands())
      if (auto type = dyn_cast<VectorType>(mapping.lookupOrDefault(operand).getType()))
        width = type.getDimSize(0);
    SmallVector<Value> operands;
    for (Value operand : op.getOperands()) {
      Expr value(builder, mapping.lookupOrDefault(operand));
      operands.push_back(width && !isa<VectorType>(value.getType()) ? value.splat(width) : value);
    }
    SmallVector<Type> types(op.getResultTypes());
    if (width)
      for (Type &type : types)
        type = VectorType::get(width, type);
    Operation *clone = builder.create(op.getLoc(), op.getName().getIdentifier(), operands, types, op.getAttrs());
    mapping.map(op.getResults(), clone->getResults());
  }
  return llvm::map_to_vector(block.getTerminator()->getOperands(),
                             [&](Value value) { return mapping.lookupOrDefault(value); });
}

} // namespace mlir::moe::cpu
