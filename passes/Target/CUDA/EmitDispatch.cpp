//===- EmitDispatch.cpp - Tokens copied to the rows of their experts -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/EmitStructured.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

namespace mlir::moe::cuda {

/// A block has tile_m vectors of 16 bytes for each of its threads, of one token after the other, and stores each where
/// all choices of the token say. A thread reads all of its vectors before it stores one.
LaunchShape emitDispatch(moe_kernel::DispatchOp op, EmitterContext &context) {
  BlockBuilder b(context);
  RankedTensorType input = op.getInput().getType();
  Type element = input.getElementType();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, columns = input.getDimSize(1);
  int64_t topK = op.getInverse().getType().getDimSize(1), loads = context.config.getTileM();
  int64_t width = std::gcd(columns, Capabilities::kVectorBytes / bytes), perRow = columns / width;
  int64_t count = input.getDimSize(0) * perRow, perBlock = b.threads * loads;
  Value tokens = b.operand(op.getInput()), inverse = b.operand(op.getInverse()), result = b.result(op.getResult());
  auto vector = VectorType::get(width, element);
  llvm::MaybeAlign alignment(width * bytes);

  SmallVector<Expr> numbers, exist;
  SmallVector<Value> vectors;
  for (int64_t i = 0; i < loads; ++i) {
    Expr number = b.block * perBlock + i * b.threads + b.thread;
    exist.push_back(count % perBlock == 0 ? Expr() : number < count);
    numbers.push_back(exist.back() ? min(number, b.index(count - 1)) : number);
    vectors.push_back(vector::LoadOp::create(b.builder, vector, tokens, ValueRange{numbers.back() * width},
                                             /*nontemporal=*/false, alignment));
  }
  int64_t together = std::gcd<int64_t>(topK, Capabilities::kVectorBytes / sizeof(int32_t));
  for (int64_t i = 0; i < loads; ++i)
    b.ifThen(exist[i], [&] {
      Expr token = numbers[i] / perRow, column = numbers[i] % perRow * width;
      for (int64_t first = 0; first < topK; first += together)
        for (Expr row : b.loadVector(inverse, token * topK + first, together))
          vector::StoreOp::create(b.builder, vectors[i], result, ValueRange{row.toIndex() * columns + column},
                                  /*nontemporal=*/false, alignment);
    });
  return {{llvm::divideCeilSigned(count, perBlock), 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
