//===- EmitSumOfSquares.cpp - Partial sums for the global norm --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/EmitStructured.h"
#include "passes/Target/CPU/KernelBuilder.h"
#include "passes/Target/Common/ChunkedInputs.h"

namespace mlir::moe::cpu {

/// Accumulators: the latency of an addition times additions per cycle.
static constexpr int64_t kAccumulators = 8;

/// Σ x² of the `count` elements from `start`, in an order that depends on the count only.
static Expr emitSum(KernelBuilder &b, Value memory, Expr start, Expr count) {
  int64_t step = kAccumulators * b.width;
  Expr full = count - count % step;
  SmallVector<Expr> sums(kAccumulators, b.realVector(0));
  sums = b.loop(b.index(0), full, step, sums, [&](Expr element, ArrayRef<Expr> carried) {
    SmallVector<Expr> next;
    for (auto [i, sum] : llvm::enumerate(carried)) {
      Expr values = b.loadVector(memory, start + element + int64_t(i) * b.width);
      next.push_back(fma(values, values, sum));
    }
    return next;
  });
  sums[0] = b.loop(full, count, b.width, {sums[0]}, [&](Expr element, ArrayRef<Expr> carried) {
    Expr values = b.loadVector(memory, start + element, b.mask(count - element));
    return SmallVector<Expr>{fma(values, values, carried[0])};
  })[0];
  for (int64_t distance = kAccumulators / 2; distance > 0; distance /= 2)
    for (int64_t i = 0; i < distance; ++i)
      sums[i] = sums[i] + sums[i + distance];
  return b.reduceSum(sums[0]).extract(0);
}

LaunchShape emitSumOfSquares(moe_kernel::SumOfSquaresOp op, EmitterContext &context) {
  KernelBuilder b(context);
  Value partial = b.result(op.getPartial());
  auto memories = llvm::map_to_vector(op.getInputs(), [&](Value input) { return b.operand(input); });
  target::ChunkedInputs inputs(b, memories, op.getChunk());
  b.forEachItem([&](Expr item) {
    target::ChunkedInputs::Chunk chunk = inputs.at(item);
    b.store(emitSum(b, chunk.memory, chunk.start, chunk.count), partial, item);
  });
  return {inputs.getNumChunks(), b.getScratchBytes(), 2 * inputs.getNumElements()};
}

} // namespace mlir::moe::cpu
