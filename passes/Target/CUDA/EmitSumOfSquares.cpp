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
  // 16 bytes at a time as far as there are whole ones, which lie where chunks begin; then what is left.
  int64_t width = b.holdsBFloat16(chunk.memory) ? 8 : 4;
  if (op.getChunk() % width != 0)
    width = 1;
  SmallVector<Expr> sums(kAccumulators, b.real(0));
  auto addSquares = [&](Expr begin, Expr end, int64_t width, int64_t loads) {
    sums = b.loop(begin, end, loads * width * b.threads, sums, [&](Expr element, ArrayRef<Expr> carried) {
      SmallVector<Expr> next(carried);
      for (int64_t i = 0; i < loads; ++i)
        for (auto [j, value] :
             llvm::enumerate(b.loadVector(chunk.memory, chunk.start + element + i * width * b.threads, width))) {
          Expr &sum = next[(i + j) % kAccumulators];
          sum = fma(value, value, sum);
        }
      return next;
    });
  };
  int64_t turn = kAccumulators * width * b.threads;
  Expr inTurns = chunk.count - chunk.count % turn, inVectors = chunk.count - chunk.count % width;
  addSquares(b.thread * width, inTurns, width, kAccumulators);
  addSquares(inTurns + b.thread * width, inVectors, width, 1);
  if (width > 1)
    addSquares(inVectors + b.thread, chunk.count, 1, 1);
  for (int64_t distance = kAccumulators / 2; distance > 0; distance /= 2)
    for (int64_t i = 0; i < distance; ++i)
      sums[i] = sums[i] + sums[i + distance];
  Expr total = b.sumBlock(sums[0], scratch);
  b.ifThen(b.thread == 0, [&] { b.store(total, partial, b.block); });
  return {{inputs.getNumChunks(), 1, 1}, {b.threads, 1, 1}, 2 * inputs.getNumElements()};
}

} // namespace mlir::moe::cuda
