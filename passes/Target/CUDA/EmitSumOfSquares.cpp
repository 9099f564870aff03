//===- EmitSumOfSquares.cpp - Partial sums for the global norm --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/EmitStructured.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::moe::cuda {
namespace {

/// Chunks in flight: the latency of a load.
constexpr int64_t kAccumulators = 4;

/// One operand of the op: the blocks [firstBlock, …) have its chunks.
struct Input {
  Value memory; ///< memref<?xf32> or memref<?xbf16>: one type for all.
  int64_t elements, firstBlock;
};

} // namespace

/// Chooses among `inputs` by bisection, so that the code that sums exists once. Yields memory, elements, first block.
static SmallVector<Expr> chooseInput(BlockBuilder &b, ArrayRef<Input> inputs) {
  if (inputs.size() == 1)
    return {b.wrap(inputs[0].memory), b.index(inputs[0].elements), b.index(inputs[0].firstBlock)};
  ArrayRef<Input> low = inputs.take_front(inputs.size() / 2), high = inputs.drop_front(inputs.size() / 2);
  auto yieldChoice = [&](ArrayRef<Input> part) {
    return [&b, part](OpBuilder &, Location) {
      SmallVector<Expr> choice = chooseInput(b, part);
      scf::YieldOp::create(b.builder, SmallVector<Value>(choice.begin(), choice.end()));
    };
  };
  Expr isLow = b.block < high.front().firstBlock;
  auto branch = scf::IfOp::create(b.builder, isLow, yieldChoice(low), yieldChoice(high));
  return llvm::map_to_vector(branch.getResults(), [&](Value value) { return b.wrap(value); });
}

LaunchShape emitSumOfSquares(moe_kernel::SumOfSquaresOp op, EmitterContext &context) {
  BlockBuilder b(context);
  int64_t chunk = op.getChunk(), blocks = 0, elements = 0;
  Value partial = b.result(op.getPartial()), scratch = b.allocateShared(b.warps);
  SmallVector<Input> inputs;
  auto anySize = MemRefType::get(ShapedType::kDynamic, getElementTypeOrSelf(op.getInputs().front().getType()));
  for (Value operand : op.getInputs()) {
    int64_t count = cast<ShapedType>(operand.getType()).getNumElements();
    inputs.push_back({memref::CastOp::create(b.builder, anySize, b.operand(operand)), count, blocks});
    blocks += llvm::divideCeil(count, chunk);
    elements += count;
  }

  SmallVector<Expr> input = chooseInput(b, inputs);
  Expr start = (b.block - input[2]) * chunk, count = min(input[1] - start, b.index(chunk));
  int64_t step = kAccumulators * b.threads;
  SmallVector<Expr> sums(kAccumulators, b.real(0));
  sums = b.loop(b.thread, count, step, sums, [&](Expr element, ArrayRef<Expr> carried) {
    SmallVector<Expr> next;
    for (auto [i, sum] : llvm::enumerate(carried)) {
      Expr at = element + int64_t(i) * b.threads;
      Expr value = b.loadOrZero(input[0], start + at, i == 0 ? Expr() : at < count);
      next.push_back(fma(value, value, sum));
    }
    return next;
  });
  for (int64_t distance = kAccumulators / 2; distance > 0; distance /= 2)
    for (int64_t i = 0; i < distance; ++i)
      sums[i] = sums[i] + sums[i + distance];
  Expr total = b.sumBlock(sums[0], scratch);
  b.ifThen(b.thread == 0, [&] { b.store(total, partial, b.block); });
  return {{blocks, 1, 1}, {b.threads, 1, 1}, 2 * elements};
}

} // namespace mlir::moe::cuda
