//===- RowThreads.cpp - The threads that share a row ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/RowThreads.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::moe::cuda {

RowThreads::RowThreads(EmitterContext &context, const RowsShape &shape, bool mayDiverge)
    : context(context), builder(context.builder), count(shape.getThreadsPerRow()), slots(shape.rows),
      mayDiverge(mayDiverge) {
  blockThread = gpu::ThreadIdOp::create(builder, gpu::Dimension::x);
  Value threads = arith::ConstantIndexOp::create(builder, count);
  thread = shape.rows == 1 ? blockThread : builder.createOrFold<arith::RemUIOp>(blockThread, threads);
  slot = shape.rows == 1 ? arith::ConstantIndexOp::create(builder, 0)
                         : builder.createOrFold<arith::DivUIOp>(blockThread, threads);
}

Value RowThreads::isFirst() {
  Value zero = arith::ConstantIndexOp::create(builder, 0);
  return arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, thread, zero);
}

/// The lanes of this row.
Value RowThreads::getMask() {
  if (count >= kWarpSize || !mayDiverge)
    return integer(-1);
  Value lane = arith::IndexCastUIOp::create(builder, builder.getI32Type(), blockThread);
  Value first = arith::AndIOp::create(builder, lane, integer((kWarpSize - 1) & ~(count - 1)));
  return arith::ShLIOp::create(builder, integer((int64_t(1) << count) - 1), first);
}

/// Of the warps of the row. Rows that share a block have a barrier each: the first one is the block's.
void RowThreads::meet() {
  if (slots == 1)
    return (void)gpu::BarrierOp::create(builder);
  Value number = arith::IndexCastUIOp::create(builder, builder.getI32Type(), slot);
  NVVM::BarrierOp::create(builder, TypeRange(), arith::AddIOp::create(builder, number, integer(1)), integer(count),
                          NVVM::BarrierReductionAttr(), Value());
}

void RowThreads::synchronize() {
  if (count > kWarpSize)
    meet();
  else if (count > 1)
    NVVM::SyncWarpOp::create(builder, getMask());
}

Value RowThreads::shuffle(Value value, int64_t distance) {
  Type type = value.getType(), i32 = builder.getI32Type(), i64 = builder.getI64Type();
  if (type.getIntOrFloatBitWidth() == 32) {
    Value shuffled = NVVM::ShflOp::create(builder, type, getMask(), value, integer(distance), integer(kWarpSize - 1),
                                          NVVM::ShflKind::bfly, /*return_value_and_is_valid=*/UnitAttr());
    return shuffled;
  }
  // Two halves.
  Value bits = isa<FloatType>(type) ? arith::BitcastOp::create(builder, i64, value).getResult() : value;
  Value half = arith::ConstantIntOp::create(builder, i64, 32);
  auto exchange = [&](Value part) {
    return arith::ExtUIOp::create(builder, i64, shuffle(arith::TruncIOp::create(builder, i32, part), distance));
  };
  Value low = exchange(bits), high = exchange(arith::ShRUIOp::create(builder, bits, half));
  bits = arith::OrIOp::create(builder, low, arith::ShLIOp::create(builder, high, half));
  return isa<FloatType>(type) ? arith::BitcastOp::create(builder, type, bits).getResult() : bits;
}

Value RowThreads::reduceInWarp(Value value, int64_t lanes, function_ref<Value(Value, Value)> combine) {
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
    value = combine(value, shuffle(value, distance));
  return value;
}

Value RowThreads::reduceAcrossWarps(Value value, function_ref<Value(Value, Value)> combine) {
  int64_t warps = count / kWarpSize;
  Value &memory = warpValues[value.getType()];
  if (!memory) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(slot);
    auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
    memory =
        context.allocateShared(MemRefType::get(slots * warps, value.getType(), MemRefLayoutAttrInterface(), space));
  }
  Value size = arith::ConstantIndexOp::create(builder, kWarpSize);
  Value lane = arith::RemUIOp::create(builder, thread, size), warp = arith::DivUIOp::create(builder, thread, size);
  auto inSlot = [&](Value number) -> Value {
    if (slots == 1)
      return number;
    Value first = arith::MulIOp::create(builder, slot, arith::ConstantIndexOp::create(builder, warps));
    return arith::AddIOp::create(builder, first, number);
  };
  Value zero = arith::ConstantIndexOp::create(builder, 0);
  Value isFirstLane = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, lane, zero);
  auto branch = scf::IfOp::create(builder, isFirstLane, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    memref::StoreOp::create(builder, value, memory, inSlot(warp));
  }
  meet();
  Value mine = arith::RemUIOp::create(builder, lane, arith::ConstantIndexOp::create(builder, warps));
  Value loaded = memref::LoadOp::create(builder, memory, inSlot(mine));
  meet(); // Before the next reduction writes.
  return reduceInWarp(loaded, warps, combine);
}

Value RowThreads::reduce(Value value, function_ref<Value(Value, Value)> combine) {
  value = reduceInWarp(value, std::min(count, kWarpSize), combine);
  return count > kWarpSize ? reduceAcrossWarps(value, combine) : value;
}

} // namespace mlir::moe::cuda
