//===- KernelBuilder.cpp - What emitters of structured ops write with -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "moe/CpuKernel.h"

namespace mlir::moe::cpu {

KernelBuilder::KernelBuilder(EmitterContext &context)
    : CodeBuilder(context.builder), width(context.config.getVectorWidth()), context(context),
      begin(context.builder, context.begin), end(context.builder, context.end) {}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Expr KernelBuilder::lanes() {
  auto numbers = llvm::to_vector(llvm::seq<int32_t>(0, width));
  auto type = VectorType::get(width, builder.getI32Type());
  return wrap(arith::ConstantOp::create(builder, DenseElementsAttr::get(type, ArrayRef(numbers))));
}

Expr KernelBuilder::mask(Expr count) { return lanes() < count.toI32(); }

Expr KernelBuilder::rangeMask(Expr begin, Expr end, Expr column) {
  Expr isBeforeEnd = mask(end - column);
  return begin ? isBeforeEnd & (lanes() > (begin - column - 1).toI32()) : isBeforeEnd;
}

Expr KernelBuilder::tailMask(Expr column, Expr columns) {
  Expr left = columns - column;
  std::optional<int64_t> count = columns.getConstant(), leftCount = left.getConstant();
  if ((count && *count % width == 0) || (leftCount && *leftCount >= width))
    return {};
  return mask(left);
}

Expr KernelBuilder::shuffle(Expr first, Expr second, ArrayRef<int64_t> lanes) {
  return wrap(vector::ShuffleOp::create(builder, Value(first), Value(second), lanes));
}

Expr KernelBuilder::reduce(Expr vector, function_ref<Expr(Expr, Expr)> combine) {
  for (int64_t distance = width / 2; distance > 0; distance /= 2) {
    SmallVector<int64_t> partner;
    for (int64_t lane = 0; lane < width; ++lane)
      partner.push_back(lane ^ distance);
    vector = combine(vector, shuffle(vector, vector, partner));
  }
  return vector;
}
Expr KernelBuilder::reduceSum(Expr vector) {
  return reduce(vector, [](Expr a, Expr b) { return a + b; });
}
Expr KernelBuilder::reduceMax(Expr vector) {
  return reduce(vector, [](Expr a, Expr b) { return max(a, b); });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelBuilder::operand(Value tensor) { return flatten(context.lookup(tensor)); }
Value KernelBuilder::result(Value tensor) {
  return flatten(context.results[tensor.getUses().begin()->getOperandNumber()]);
}

Value KernelBuilder::allocate(int64_t count, Type type) {
  if (!type)
    type = builder.getF32Type();
  Expr start = index(scratchBytes);
  scratchBytes += llvm::alignTo(count * type.getIntOrFloatBitWidth() / 8, ::moe::kCpuBufferAlignment);
  return memref::ViewOp::create(builder, MemRefType::get(count, type), context.scratch, Value(start), ValueRange{});
}

Expr KernelBuilder::loadElements(Value memory, Expr offset, Expr mask) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  auto type = VectorType::get(width, element);
  if (!mask)
    return wrap(vector::LoadOp::create(builder, type, memory, ValueRange{offset}));
  Value zeros = arith::ConstantOp::create(builder, builder.getZeroAttr(type));
  return wrap(vector::MaskedLoadOp::create(builder, type, memory, ValueRange{offset}, mask, zeros));
}

void KernelBuilder::storeVector(Expr value, Value memory, Expr offset, Expr mask) {
  value = roundFor(memory, value);
  if (mask)
    vector::MaskedStoreOp::create(builder, memory, ValueRange{offset}, Value(mask), Value(value));
  else
    vector::StoreOp::create(builder, Value(value), memory, ValueRange{offset});
}

void KernelBuilder::fillZeros(const MatrixView &matrix, Expr rows, int64_t columns) {
  loop(index(0), rows, 1, [&](Expr row) {
    loop(columns, width, [&](Expr column) {
      storeVector(realVector(0), matrix.memory, matrix.at(row, column), tailMask(column, index(columns)));
    });
  });
}

void KernelBuilder::copy(const MatrixView &source, const MatrixView &target, Expr rows, int64_t columns) {
  loop(index(0), rows, 1, [&](Expr row) {
    loop(columns, width, [&](Expr column) {
      Expr mask = tailMask(column, index(columns));
      storeVector(loadVector(source.memory, source.at(row, column), mask), target.memory, target.at(row, column), mask);
    });
  });
}

MatrixView KernelBuilder::extended(const MatrixView &matrix, Expr rows, int64_t mostRows, int64_t columns) {
  if (!holdsBFloat16(matrix.memory))
    return matrix;
  MatrixView target = allocateMatrix(mostRows, roundUp(columns));
  copy(matrix, target, rows, columns);
  return target;
}

} // namespace mlir::moe::cpu
