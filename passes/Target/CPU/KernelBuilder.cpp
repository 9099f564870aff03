//===- KernelBuilder.cpp - What emitters of structured ops write with -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "moe/CpuKernel.h"

namespace mlir::moe::cpu {

KernelBuilder::KernelBuilder(EmitterContext &context)
    : width(context.config.getVectorWidth()), builder(context.builder), context(context),
      begin(context.builder, context.begin), end(context.builder, context.end) {}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Expr KernelBuilder::index(int64_t number) { return wrap(arith::ConstantIndexOp::create(builder, number)); }
Expr KernelBuilder::i32(int64_t number) { return wrap(arith::ConstantIntOp::create(builder, number, 32)); }
Expr KernelBuilder::real(double number) {
  return wrap(arith::ConstantOp::create(builder, builder.getF32FloatAttr(number)));
}

Expr KernelBuilder::lanes() {
  auto numbers = llvm::to_vector(llvm::seq<int32_t>(0, width));
  auto type = VectorType::get(width, builder.getI32Type());
  return wrap(arith::ConstantOp::create(builder, DenseElementsAttr::get(type, ArrayRef(numbers))));
}

Expr KernelBuilder::mask(Expr count) { return lanes() < count.toI32(); }

Expr KernelBuilder::tailMask(Expr column, Expr columns) {
  Expr left = columns - column;
  std::optional<int64_t> count = columns.getConstant(), leftCount = left.getConstant();
  if ((count && *count % width == 0) || (leftCount && *leftCount >= width))
    return {};
  return mask(left);
}

Expr KernelBuilder::blockSize(Expr start, int64_t block, int64_t total) {
  return total % block == 0 ? index(block) : min(index(total) - start, index(block));
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

Value KernelBuilder::flatten(Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  if (type.getRank() == 1)
    return memory;
  int64_t count = type.getNumElements();
  return memref::ReinterpretCastOp::create(builder, MemRefType::get(count, type.getElementType()), memory,
                                           /*offset=*/0, /*sizes=*/ArrayRef<int64_t>{count},
                                           /*strides=*/ArrayRef<int64_t>{1});
}

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

Expr KernelBuilder::load(Value memory, Expr offset) {
  return wrap(memref::LoadOp::create(builder, memory, ValueRange{offset}));
}
void KernelBuilder::store(Expr value, Value memory, Expr offset) {
  memref::StoreOp::create(builder, value, memory, ValueRange{offset});
}

Expr KernelBuilder::loadVector(Value memory, Expr offset, Expr mask) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  auto type = VectorType::get(width, element);
  if (!mask)
    return wrap(vector::LoadOp::create(builder, type, memory, ValueRange{offset}));
  Value zeros = arith::ConstantOp::create(builder, builder.getZeroAttr(type));
  return wrap(vector::MaskedLoadOp::create(builder, type, memory, ValueRange{offset}, mask, zeros));
}

void KernelBuilder::storeVector(Expr value, Value memory, Expr offset, Expr mask) {
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

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void KernelBuilder::loop(Expr lower, Expr upper, int64_t step, function_ref<void(Expr)> body) {
  loop(lower, upper, step, {}, [&](Expr counter, ArrayRef<Expr>) -> SmallVector<Expr> {
    body(counter);
    return {};
  });
}

SmallVector<Expr> KernelBuilder::loop(Expr lower, Expr upper, int64_t step, ArrayRef<Expr> initial,
                                      function_ref<SmallVector<Expr>(Expr, ArrayRef<Expr>)> body) {
  SmallVector<Value> inits(initial.begin(), initial.end());
  auto wrapAll = [&](ValueRange values) {
    return llvm::map_to_vector(values, [&](Value value) { return wrap(value); });
  };
  auto loop = scf::ForOp::create(builder, lower, upper, index(step), inits);
  OpBuilder::InsertionGuard guard(builder);
  // Without carried values the loop comes with its terminator.
  if (inits.empty())
    builder.setInsertionPoint(loop.getBody()->getTerminator());
  else
    builder.setInsertionPointToEnd(loop.getBody());
  SmallVector<Expr> next = body(wrap(loop.getInductionVar()), wrapAll(loop.getRegionIterArgs()));
  if (!inits.empty())
    scf::YieldOp::create(builder, SmallVector<Value>(next.begin(), next.end()));
  return wrapAll(loop.getResults());
}

void KernelBuilder::ifThen(Expr condition, function_ref<void()> then) {
  auto branch = scf::IfOp::create(builder, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(branch.thenYield());
  then();
}

void KernelBuilder::ifThenElse(Expr condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(builder, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(branch.thenYield());
  then();
  builder.setInsertionPoint(branch.elseYield());
  otherwise();
}

} // namespace mlir::moe::cpu
