//===- BlockBuilder.cpp - What emitters of structured ops write with -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda {

template <typename IdOp> static Expr numberAlongX(ImplicitLocOpBuilder &builder) {
  return {builder, IdOp::create(builder, gpu::Dimension::x)};
}

BlockBuilder::BlockBuilder(EmitterContext &context)
    : CodeBuilder(context.builder), threads(context.config.getThreads()), warps(threads / kWarpSize),
      block(numberAlongX<gpu::BlockIdOp>(context.builder)), thread(numberAlongX<gpu::ThreadIdOp>(context.builder)),
      lane(thread % kWarpSize), warp(thread / kWarpSize), context(context) {}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value BlockBuilder::allocateShared(int64_t count, Type type) {
  if (!type)
    type = builder.getF32Type();
  auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
  return context.allocateShared(MemRefType::get(count, type, MemRefLayoutAttrInterface(), space));
}

MatrixView BlockBuilder::allocateShared(int64_t rows, int64_t columns, int64_t rowStride) {
  return matrix(allocateShared((rows - 1) * rowStride + columns), rowStride);
}

Expr BlockBuilder::loadOrZero(Value memory, Expr offset, Expr valid) {
  if (!valid)
    return load(memory, offset);
  Expr value = load(memory, select(valid, offset, index(0)));
  return select(valid, value, value.constant(0));
}

Expr BlockBuilder::loadCoherent(Value memory, Expr offset) {
  return wrap(loadCoherent(memory, offset, getElementTypeOrSelf(memory.getType())));
}

Value BlockBuilder::loadCoherent(Value memory, Expr offset, Type type) {
  int64_t bytes = getElementTypeOrSelf(memory.getType()).getIntOrFloatBitWidth() / 8;
  Expr start = wrap(memref::ExtractAlignedPointerAsIndexOp::create(builder, memory));
  Value address = arith::IndexCastOp::create(builder, builder.getI64Type(), Value(start + offset * bytes));
  address = LLVM::IntToPtrOp::create(builder, LLVM::LLVMPointerType::get(builder.getContext(), /*addressSpace=*/1),
                                     address);
  return LLVM::LoadOp::create(builder, type, address, type.getIntOrFloatBitWidth() / 8, /*isVolatile=*/false,
                              /*isNonTemporal=*/false, /*isInvariant=*/false, /*isInvariantGroup=*/false,
                              LLVM::AtomicOrdering::monotonic, "device");
}

SmallVector<Expr> BlockBuilder::loadVector(Value memory, Expr offset, int64_t width) {
  if (width == 1)
    return {load(memory, offset)};
  auto element = cast<MemRefType>(memory.getType()).getElementType();
  llvm::MaybeAlign alignment(width * element.getIntOrFloatBitWidth() / 8);
  Expr vector = wrap(vector::LoadOp::create(builder, VectorType::get(width, element), memory, ValueRange{offset},
                                            /*nontemporal=*/false, alignment));
  vector = extend(vector);
  return llvm::map_to_vector(llvm::seq<int64_t>(width), [&](int64_t i) { return vector.extract(i); });
}

void BlockBuilder::atomicAdd(Expr value, Value memory, Expr offset) {
  memref::AtomicRMWOp::create(builder, value.getType(), arith::AtomicRMWKind::addi, value, memory, ValueRange{offset});
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

void BlockBuilder::barrier() { gpu::BarrierOp::create(builder); }
void BlockBuilder::warpBarrier() { NVVM::SyncWarpOp::create(builder, i32(-1)); }

static Expr createShuffle(BlockBuilder &b, Expr value, Expr operand, gpu::ShuffleMode mode) {
  return b.wrap(gpu::ShuffleOp::create(b.builder, value, operand, b.i32(kWarpSize), mode).getShuffleResult());
}

Expr BlockBuilder::shuffle(Expr value, Expr source) {
  return createShuffle(*this, value, source, gpu::ShuffleMode::IDX);
}
Expr BlockBuilder::shuffleXor(Expr value, int64_t distance) {
  return createShuffle(*this, value, i32(distance), gpu::ShuffleMode::XOR);
}

Expr BlockBuilder::ballot(Expr condition) {
  return wrap(NVVM::VoteSyncOp::create(builder, builder.getI32Type(), i32(-1), condition, NVVM::VoteSyncKind::ballot));
}
Expr BlockBuilder::matchAny(Expr value) {
  return wrap(NVVM::MatchSyncOp::create(builder, builder.getI32Type(), i32(-1), value, NVVM::MatchSyncKind::any));
}
Expr BlockBuilder::countBits(Expr bits) { return wrap(math::CtPopOp::create(builder, Value(bits))); }
Expr BlockBuilder::lanesBelow(Expr bits) {
  Value bit = arith::ShLIOp::create(builder, i32(1), lane.toI32());
  return countBits(bits & (wrap(bit) - 1));
}
Expr BlockBuilder::lowestBit(Expr bits) { return wrap(math::CountTrailingZerosOp::create(builder, Value(bits))); }

Expr BlockBuilder::reduceLanes(Expr value, int64_t lanes, Combine combine) {
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
    value = combine(value, shuffleXor(value, distance));
  return value;
}

static Expr add(Expr lhs, Expr rhs) { return lhs + rhs; }
static Expr larger(Expr lhs, Expr rhs) { return max(lhs, rhs); }

Expr BlockBuilder::sumLanes(Expr value, int64_t lanes) { return reduceLanes(value, lanes, add); }
Expr BlockBuilder::maxLanes(Expr value, int64_t lanes) { return reduceLanes(value, lanes, larger); }

static Expr reduceUnsigned(BlockBuilder &b, Expr value, NVVM::ReduxKind kind) {
  return b.wrap(NVVM::ReduxOp::create(b.builder, b.builder.getI32Type(), Value(value), kind, b.i32(-1)));
}
Expr BlockBuilder::maxUnsigned(Expr value) { return reduceUnsigned(*this, value, NVVM::ReduxKind::UMAX); }
Expr BlockBuilder::minUnsigned(Expr value) { return reduceUnsigned(*this, value, NVVM::ReduxKind::UMIN); }

Expr BlockBuilder::reduceBlock(Expr value, Value scratch, Combine combine) {
  value = reduceLanes(value, kWarpSize, combine);
  barrier(); // What was in the scratch memory has been read.
  ifThen(lane == 0, [&] { store(value, scratch, warp); });
  barrier();
  Expr total = load(scratch, index(0));
  for (int64_t i = 1; i < warps; ++i)
    total = combine(total, load(scratch, index(i)));
  return total;
}
Expr BlockBuilder::sumBlock(Expr value, Value scratch) { return reduceBlock(value, scratch, add); }
Expr BlockBuilder::maxBlock(Expr value, Value scratch) { return reduceBlock(value, scratch, larger); }

Expr BlockBuilder::scanLanes(Expr value) {
  for (int64_t distance = 1; distance < kWarpSize; distance *= 2) {
    Expr below = createShuffle(*this, value, i32(distance), gpu::ShuffleMode::UP);
    value = value + select(lane < distance, i32(0), below);
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

SmallVector<Expr> BlockBuilder::loopWhile(ArrayRef<Expr> initial, function_ref<Expr(ArrayRef<Expr>)> condition,
                                          function_ref<SmallVector<Expr>(ArrayRef<Expr>)> body) {
  auto wrapAll = [&](ValueRange values) {
    return llvm::map_to_vector(values, [&](Value value) { return wrap(value); });
  };
  SmallVector<Value> inits(initial.begin(), initial.end());
  auto loop = scf::WhileOp::create(
      builder, TypeRange(ValueRange(inits)), inits,
      [&](OpBuilder &, Location, ValueRange carried) {
        Expr holds = condition(wrapAll(carried));
        scf::ConditionOp::create(builder, holds, carried);
      },
      [&](OpBuilder &, Location, ValueRange carried) {
        SmallVector<Expr> next = body(wrapAll(carried));
        scf::YieldOp::create(builder, SmallVector<Value>(next.begin(), next.end()));
      });
  return wrapAll(loop.getResults());
}

Expr BlockBuilder::valueIf(Expr condition, Expr otherwise, function_ref<Expr()> then) {
  if (!condition)
    return then();
  auto branch = scf::IfOp::create(builder, otherwise.getType(), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(builder, Value(then()));
  builder.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(builder, Value(otherwise));
  return wrap(branch.getResult(0));
}

void BlockBuilder::ifThen(Expr condition, function_ref<void()> then) {
  if (!condition || (condition.getConstant() && *condition.getConstant()))
    return then();
  CodeBuilder::ifThen(condition, then);
}

Expr both(Expr lhs, Expr rhs) {
  if (!lhs || !rhs)
    return lhs ? lhs : rhs;
  return lhs & rhs;
}

Expr isWithin(Expr number, Expr begin, Expr end) {
  Expr isBeforeEnd = number < end;
  return begin ? isBeforeEnd & (number > begin - 1) : isBeforeEnd;
}

} // namespace mlir::moe::cuda
