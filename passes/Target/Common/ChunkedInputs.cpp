//===- ChunkedInputs.cpp - Several tensors in chunks, as one list --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/ChunkedInputs.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::moe::target {

ChunkedInputs::ChunkedInputs(CodeBuilder &b, ArrayRef<Value> memories, int64_t chunkSize)
    : b(b), chunkSize(chunkSize) {
  for (Value memory : memories) {
    auto type = cast<MemRefType>(memory.getType());
    auto anySize = MemRefType::get(ShapedType::kDynamic, type.getElementType());
    int64_t elements = type.getNumElements();
    inputs.push_back({memref::CastOp::create(b.builder, anySize, memory), elements, numChunks});
    numChunks += llvm::divideCeil(elements, chunkSize);
    numElements += elements;
  }
}

/// The memory, elements and first chunk of the input that has chunk `number`, found by bisection.
SmallVector<Expr> ChunkedInputs::choose(Expr number, ArrayRef<Input> from) {
  if (from.size() == 1)
    return {b.wrap(from[0].memory), b.index(from[0].elements), b.index(from[0].firstChunk)};
  ArrayRef<Input> low = from.take_front(from.size() / 2), high = from.drop_front(from.size() / 2);
  auto yieldChoice = [&](ArrayRef<Input> part) {
    return [this, number, part](OpBuilder &, Location) {
      SmallVector<Expr> choice = choose(number, part);
      scf::YieldOp::create(b.builder, SmallVector<Value>(choice.begin(), choice.end()));
    };
  };
  Expr isLow = number < high.front().firstChunk;
  auto branch = scf::IfOp::create(b.builder, isLow, yieldChoice(low), yieldChoice(high));
  return llvm::map_to_vector(branch.getResults(), [&](Value value) { return b.wrap(value); });
}

ChunkedInputs::Chunk ChunkedInputs::at(Expr number) {
  SmallVector<Expr> input = choose(number, inputs);
  Expr start = (number - input[2]) * chunkSize;
  return {input[0], start, min(input[1] - start, b.index(chunkSize))};
}

} // namespace mlir::moe::target
