//===- CodeBuilder.cpp - Loops and flat memory for emitters -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/CodeBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::moe::target {

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Expr CodeBuilder::index(int64_t number) { return wrap(arith::ConstantIndexOp::create(builder, number)); }
Expr CodeBuilder::i32(int64_t number) { return wrap(arith::ConstantIntOp::create(builder, number, 32)); }
Expr CodeBuilder::real(double number) {
  return wrap(arith::ConstantOp::create(builder, builder.getF32FloatAttr(number)));
}

Expr CodeBuilder::blockSize(Expr start, int64_t block, int64_t total) {
  return total % block == 0 ? index(block) : min(index(total) - start, index(block));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value CodeBuilder::flatten(Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  if (type.getRank() == 1)
    return memory;
  int64_t count = type.getNumElements();
  auto flat = MemRefType::get(count, type.getElementType(), MemRefLayoutAttrInterface(), type.getMemorySpace());
  return memref::ReinterpretCastOp::create(builder, flat, memory,
                                           /*offset=*/0, /*sizes=*/ArrayRef<int64_t>{count},
                                           /*strides=*/ArrayRef<int64_t>{1});
}

Expr CodeBuilder::load(Value memory, Expr offset) { return extend(loadElement(memory, offset)); }
void CodeBuilder::store(Expr value, Value memory, Expr offset) {
  memref::StoreOp::create(builder, roundFor(memory, value), memory, ValueRange{offset});
}
Expr CodeBuilder::loadElement(Value memory, Expr offset) {
  return wrap(memref::LoadOp::create(builder, memory, ValueRange{offset}));
}

/// `type` with elements of `element`: a scalar or a vector.
static Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.clone(element) : element;
}

Expr CodeBuilder::extend(Expr value) {
  if (!getElementTypeOrSelf(value.getType()).isBF16())
    return value;
  return wrap(arith::ExtFOp::create(builder, withElement(value.getType(), builder.getF32Type()), Value(value)));
}

Expr CodeBuilder::roundFor(Value memory, Expr value) {
  if (!holdsBFloat16(memory) || !getElementTypeOrSelf(value.getType()).isF32())
    return value;
  return wrap(arith::TruncFOp::create(builder, withElement(value.getType(), builder.getBF16Type()), Value(value)));
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void CodeBuilder::loop(Expr lower, Expr upper, int64_t step, function_ref<void(Expr)> body) {
  loop(lower, upper, step, {}, [&](Expr counter, ArrayRef<Expr>) -> SmallVector<Expr> {
    body(counter);
    return {};
  });
}

SmallVector<Expr> CodeBuilder::loop(Expr lower, Expr upper, int64_t step, ArrayRef<Expr> initial,
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

void CodeBuilder::ifThen(Expr condition, function_ref<void()> then) {
  auto branch = scf::IfOp::create(builder, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(branch.thenYield());
  then();
}

void CodeBuilder::ifThenElse(Expr condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(builder, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(branch.thenYield());
  then();
  builder.setInsertionPoint(branch.elseYield());
  otherwise();
}

} // namespace mlir::moe::target
