//===- AttentionBuilder.cpp - Heads of bf16 on warpgroup matmuls --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/AttentionBuilder.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numbers>

namespace mlir::moe::cuda {

static constexpr int64_t kBlockColumns = kSwizzleBytes / 2; // Of bf16, in one row of shared memory.

AttentionBuilder::AttentionBuilder(EmitterContext &context, const AttentionShape &shape, int64_t sequences)
    : HopperBuilder(context), shape(shape), sequences(sequences), scoreScale(shape.getScale() * std::numbers::log2e),
      consumer(warpgroup - 1), fragmentRow(threadInGroup / kWarpSize * 16 + lane.toI32() / 4),
      fragmentColumn(lane.toI32() % 4 * 2) {}

//===----------------------------------------------------------------------===//
// Rows of heads
//===----------------------------------------------------------------------===//

int64_t AttentionBuilder::getColumnBlocks() const { return llvm::divideCeil(shape.headDim, kBlockColumns); }

Value AttentionBuilder::headMap(Value tensor, int64_t heads, int64_t rows) {
  int64_t headBytes = 2 * shape.headDim, rowBytes = heads * headBytes;
  return context.tensorMap(tensor, {shape.headDim, shape.queries, heads, sequences},
                           {rowBytes, headBytes, shape.queries * rowBytes}, {kBlockColumns, rows, 1, 1}, kSwizzleBytes);
}

void AttentionBuilder::loadRows(Value map, const HeadRows &from, int64_t rows, Expr address, Expr barrier) {
  for (int64_t block = 0; block < getColumnBlocks(); ++block)
    copyBoxToShared(map, {i32(block * kBlockColumns), from.row, from.head, from.sequence},
                    address + block * rows * kSwizzleBytes, barrier);
}

void AttentionBuilder::storeRows(Value accumulators, ArrayRef<Expr> factors, Value map, const HeadRows &to,
                                 Expr address, int64_t tileRows) {
  SmallVector<Expr> values = unpack(accumulators);
  for (auto [i, value] : llvm::enumerate(values))
    value = value * factors[getHalf(i)];
  SmallVector<Expr> words = packWeights(values);

  // A store takes 16 columns: lanes 0–15 give the rows of its first 8, lanes 16–31 those of the others. A row's pieces
  // of 16 bytes are permuted by its number modulo 8.
  Expr laneNumber = lane.toI32(), row = threadInGroup / kWarpSize * 16 + laneNumber % 16;
  Expr piece = laneNumber / 16, rowAddress = address + row * kSwizzleBytes;
  for (int64_t column = 0; column < shape.headDim; column += 16) {
    int64_t block = column / kBlockColumns, first = column % kBlockColumns / 8;
    Expr place = (piece + first) ^ (laneNumber % 8);
    storeMatrices(ArrayRef<Expr>(words).slice(column / 4, 4),
                  rowAddress + block * tileRows * kSwizzleBytes + place * 16);
  }
  fenceAsyncProxy();
  syncNamed(warpgroup, kWarpgroupSize);
  ifThen(threadInGroup == 0, [&] {
    for (int64_t block = 0; block < getColumnBlocks(); ++block)
      copyBoxToGlobal(map, {i32(block * kBlockColumns), to.row, to.head, to.sequence},
                      address + block * tileRows * kSwizzleBytes);
    commitCopies();
    waitForCopiesToRead(0);
  });
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

Ring AttentionBuilder::allocateRing(int64_t slots, int64_t bytes) {
  return allocateRing(slots, bytes, allocateBytes(slots * bytes));
}
Ring AttentionBuilder::allocateRing(int64_t slots, int64_t bytes, Expr memory) {
  return {slots, bytes, memory, allocateBarriers(slots), allocateBarriers(slots)};
}

void AttentionBuilder::initRing(const Ring &ring) {
  for (int64_t slot = 0; slot < ring.slots; ++slot) {
    initBarrier(ring.full + 8 * slot, ring.fullArrivals);
    initBarrier(ring.empty + 8 * slot, ring.emptyArrivals);
  }
}

void AttentionBuilder::fill(const Ring &ring, Expr step, Value map, const HeadRows &from, int64_t rows) {
  waitEmpty(ring, step);
  arriveExpecting(ring.fullBarrier(step), i32(getBytes(rows)));
  loadRows(map, from, rows, ring.address(step), ring.fullBarrier(step));
}

void AttentionBuilder::release(const Ring &ring, Expr step) {
  ifThen(threadInGroup == 0, [&] { arrive(ring.emptyBarrier(step)); });
}

//===----------------------------------------------------------------------===//
// Matmuls
//===----------------------------------------------------------------------===//

Value AttentionBuilder::multiplyRows(Expr lhs, int64_t lhsRows, Expr rhs, int64_t rhsRows) {
  OperandTile left{Major::contraction, lhsRows, shape.headDim}, right{Major::contraction, rhsRows, shape.headDim};
  Expr leftStart = descriptor(left, lhs), rightStart = descriptor(right, rhs);
  Value products = undefinedAccumulators(rhsRows);
  for (int64_t step = 0; step < shape.headDim / kMatmulDepth; ++step)
    products = matmul(products, leftStart + left.getStepOffset(step), left.major,
                      rightStart + right.getStepOffset(step), right.major, /*accumulate=*/step > 0);
  commitMatmuls();
  return products;
}

Value AttentionBuilder::addWeightedRows(Value sums, ArrayRef<Expr> weights, Expr rhs, int64_t depth) {
  OperandTile right{Major::outer, shape.headDim, depth};
  Expr rightStart = descriptor(right, rhs);
  for (int64_t step = 0; step < depth / kMatmulDepth; ++step)
    sums = matmul(sums, weights.slice(4 * step, 4), rightStart + right.getStepOffset(step), right.major);
  commitMatmuls();
  return sums;
}

// The accumulators of 16 columns are laid out like a left operand that is 16 deep.
SmallVector<Expr> AttentionBuilder::packWeights(ArrayRef<Expr> values) {
  SmallVector<Expr> words;
  for (size_t i = 0; i < values.size(); i += 2)
    words.push_back(packHalves(values[i], values[i + 1]));
  return words;
}

SmallVector<Expr> AttentionBuilder::changeIf(Expr condition, ArrayRef<Expr> values,
                                             function_ref<SmallVector<Expr>(ArrayRef<Expr>)> change) {
  SmallVector<Value> old(values.begin(), values.end());
  auto branch = scf::IfOp::create(builder, TypeRange(ValueRange(old)), condition, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    SmallVector<Expr> changed = change(values);
    scf::YieldOp::create(builder, SmallVector<Value>(changed.begin(), changed.end()));
    builder.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(builder, old);
  }
  return llvm::map_to_vector(branch.getResults(), [&](Value value) { return wrap(value); });
}

SmallVector<Expr> AttentionBuilder::computeBefore(ArrayRef<Expr> values, const Ring &ring, Expr step) {
  SmallVector<Expr> pinned = unpack(pin(pack(values)));
  waitFull(ring, step);
  return pinned;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

Expr AttentionBuilder::firstKey(Value positions, Expr sequence, Expr row) {
  return max(row - load(positions, token(sequence, row)), i32(0));
}

Expr AttentionBuilder::larger(Expr lhs, Expr rhs) {
  return wrap(LLVM::MaxNumOp::create(builder, Value(lhs), Value(rhs))); // That of arith is a library call.
}

int64_t chooseHeadsTogether(int64_t heads, int64_t most) {
  int64_t together = std::clamp<int64_t>(most, 1, heads);
  while (heads % together != 0)
    --together;
  return together;
}

} // namespace mlir::moe::cuda
