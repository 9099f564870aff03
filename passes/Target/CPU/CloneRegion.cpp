//===- CloneRegion.cpp - Scalar code at vector width ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::moe::cpu {

Value cloneElementwise(ImplicitLocOpBuilder &builder, Operation *op, ValueRange operands) {
  VectorType shape;
  for (Value operand : operands)
    if (auto vector = dyn_cast<VectorType>(operand.getType()))
      shape = vector;

  SmallVector<Value> widened(operands);
  Type resultType = op->getResult(0).getType();
  if (shape) {
    resultType = shape.clone(resultType);
    for (auto [index, operand] : llvm::enumerate(widened)) {
      // One condition for all lanes stays a scalar: a choice, not a blend.
      bool isCondition = isa<arith::SelectOp>(op) && index == 0;
      if (!isCondition && !isa<VectorType>(operand.getType()))
        operand = vector::BroadcastOp::create(builder, shape.clone(operand.getType()), operand);
    }
  }
  OperationState state(builder.getLoc(), op->getName(), widened, resultType, op->getAttrs());
  return builder.create(state)->getResult(0);
}

SmallVector<Value> cloneRegionAtWidth(ImplicitLocOpBuilder &builder, Region &region, ValueRange arguments) {
  Block &block = region.front();
  IRMapping mapping;
  mapping.map(block.getArguments(), arguments);
  auto lookUp = [&](Value value) { return mapping.lookupOrDefault(value); };
  for (Operation &op : block.without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      builder.clone(op, mapping);
    else
      mapping.map(op.getResult(0), cloneElementwise(builder, &op, llvm::map_to_vector(op.getOperands(), lookUp)));
  }
  return llvm::map_to_vector(block.getTerminator()->getOperands(), lookUp);
}

Value reduceLanes(ImplicitLocOpBuilder &builder, Value vector, function_ref<Value(Value, Value)> combine) {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  assert(llvm::isPowerOf2_64(lanes) && "lanes are combined in halves");
  while (lanes > 1) {
    lanes /= 2;
    auto half = [&](int64_t offset) -> Value {
      return vector::ExtractStridedSliceOp::create(builder, vector, ArrayRef<int64_t>{offset}, ArrayRef<int64_t>{lanes},
                                                   ArrayRef<int64_t>{1});
    };
    Value low = half(0);
    vector = combine(low, half(lanes));
  }
  return vector::ExtractOp::create(builder, vector, ArrayRef<int64_t>{0});
}

} // namespace mlir::moe::cpu
