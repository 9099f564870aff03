//===- WarpStream.cpp - Weights that pass through a warp's registers -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/WarpStream.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {

void WarpStream::addSources(const MatmulSchedule::Operand &operand, int64_t count, bool isShared) {
  for (int64_t i = 0; i < count; ++i) {
    Expr outer = laneOuter + i * kGroup;
    sources.push_back({operand.memory, operand.outerOffset(outer), operand.isInside(outer), isShared});
  }
}

void WarpStream::copy(Expr firstDepth, Expr buffer, Expr base, int64_t first, int64_t last) {
  for (int64_t piece = 0; piece < shape.pieces; ++piece) {
    Expr at = firstDepth + (laneDepth + piece * kPieceDepth);
    Expr hasDepth = depth % shape.stageDepth == 0 ? Expr() : at < depth;
    Expr offset = base ? base + at : at;
    for (int64_t i = first; i < last; ++i)
      copyChunk(b, memory, this->at(buffer, piece * shape.chunksPerPiece() + i), sources[i].memory,
                sources[i].offset + offset, both(hasDepth, sources[i].inside), /*bypassesCache=*/!sources[i].isShared);
  }
}

SmallVector<Expr> WarpStream::load(Expr buffer) const {
  SmallVector<Expr> registers;
  auto chunkType = VectorType::get(kChunk, b.builder.getBF16Type());
  for (int64_t chunk = 0; chunk < shape.chunksPerStage(); ++chunk) {
    Value loaded = vector::LoadOp::create(b.builder, chunkType, memory, ValueRange{at(buffer, chunk)},
                                          /*nontemporal=*/false, llvm::MaybeAlign(2 * kChunk));
    Expr words = b.wrap(vector::BitCastOp::create(b.builder, VectorType::get(4, b.builder.getI32Type()), loaded));
    for (int64_t i = 0; i < 4; ++i)
      registers.push_back(words.extract(i));
  }
  return registers;
}

void WarpStream::multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Expr> registers) const {
  for (; !registers.empty(); registers = registers.drop_front(4 * shape.chunksPerPiece()))
    for (int64_t half = 0; half < 2; ++half) {
      auto part = [&](int64_t chunk) { return registers.slice(4 * chunk + 2 * half, 2); };
      for (int64_t strip = 0; strip < shape.strips; ++strip) {
        ArrayRef<Expr> upper = part(2 * strip), lower = part(2 * strip + 1);
        for (int64_t group = 0; group < shape.groups; ++group)
          multiplyAdd(b, accumulators.slice((strip * shape.groups + group) * 4, 4),
                      {upper[0], lower[0], upper[1], lower[1]}, part(2 * shape.strips + group));
      }
    }
}

} // namespace mlir::moe::cuda::ampere
