//===- ChunkedInputs.h - Several tensors in chunks, as one list -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// For ops that do the same with the chunks of any number of operands: the code for a chunk exists once, whatever the
/// number of operands, and finds out which operand it works on.
///
///   ChunkedInputs inputs(b, memories, /*chunkSize=*/4096);
///   // for each number in [0, inputs.getNumChunks()), in any order:
///   ChunkedInputs::Chunk chunk = inputs.at(number);
///   // chunk.memory[chunk.start … chunk.start + chunk.count)
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_CHUNKEDINPUTS_H
#define PASSES_TARGET_COMMON_CHUNKEDINPUTS_H

#include "passes/Target/Common/CodeBuilder.h"

namespace mlir::moe::target {

class ChunkedInputs {
public:
  /// `memories` are flat and of one element type. The last chunk of each may be smaller than `chunkSize` elements.
  ChunkedInputs(CodeBuilder &b, ArrayRef<Value> memories, int64_t chunkSize);

  int64_t getNumChunks() const { return numChunks; }
  /// Of all inputs together.
  int64_t getNumElements() const { return numElements; }

  struct Chunk {
    Value memory; ///< Of dynamic size.
    Expr start, count;
  };
  Chunk at(Expr number);

private:
  struct Input {
    Value memory;
    int64_t elements, firstChunk;
  };
  SmallVector<Expr> choose(Expr number, ArrayRef<Input> from);

  CodeBuilder &b;
  SmallVector<Input> inputs;
  int64_t chunkSize, numChunks = 0, numElements = 0;
};

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_CHUNKEDINPUTS_H
