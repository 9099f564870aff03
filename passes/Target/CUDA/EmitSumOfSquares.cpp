//===- EmitSumOfSquares.cpp - Partial sums for the global norm --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/Common/ChunkedInputs.h"

namespace mlir::moe::cuda {
namespace {

/// Chunks in flight: the latency of a load.
constexpr int64_t kAccumulators = 4;
} // namespace

LaunchShape emitSumOfSquares(moe_kernel::SumOfSquaresOp op, EmitterContext &context) {
  BlockBuilder b(context);
  Value partial = b.result(op.getPartial()), scratch = b.allocateShared(b.warps);
  auto memories = llvm::map_to_vector(op.getInputs(), [&](Value input) { return b.operand(input); });
  target::ChunkedInputs inputs(b, memories, op.getChunk());
  target::ChunkedInputs::Chunk chunk = inputs.at(b.block);
  int64_t step = kAccumulators * b.threads;
  SmallVector<Expr> sums(kAccumulators, b.real(0));
  sums = b.loop(b.thread, chunk.count, step, sums, [&](Expr element, ArrayRef<Expr> carried) {
    SmallVector<Expr> next;
    for (auto [i, sum] : llvm::enumerate(carried)) {
      Expr at = element + int64_t(i) * b.threads;
      Expr value = b.loadOrZero(chunk.memory, chunk.start + at, i == 0 ? Expr() : at < chunk.count);
      next.push_back(fma(value, value, sum));
    }
    return next;
  });
  for (int64_t distance = kAccumulators / 2; distance > 0; distance /= 2)
    for (int64_t i = 0; i < distance; ++i)
      sums[i] = sums[i] + sums[i + distance];
  Expr total = b.sumBlock(sums[0], scratch);
  b.ifThen(b.thread == 0, [&] { b.store(total, partial, b.block); });
  return {{inputs.getNumChunks(), 1, 1}, {b.threads, 1, 1}, 2 * inputs.getNumElements()};
}

} // namespace mlir::moe::cuda
