//===- WarpStream.cpp - Weights that pass through a warp's registers -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/WarpStream.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {

void keepRolled(Expr result) {
  Operation *loop = Value(result).getDefiningOp();
  MLIRContext *context = loop->getContext();
  auto unroll = LLVM::LoopUnrollAttr::get(context, /*disable=*/BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  loop->setAttr("llvm.loop_annotation",
                LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}));
}

void WarpStream::setWeights(const MatmulSchedule::Operand &operand) {
  int64_t columns = shape.copiesLines ? kWarpSize / kChunksOfLine : kGroup;
  Expr column = shape.copiesLines ? b.lane / kChunksOfLine : laneOuter;
  for (int64_t first = 0; first < shape.strips * kStrip; first += columns)
    weights.push_back(getSource(operand, column + first));
}

void WarpStream::setTokens(const MatmulSchedule::Operand &operand) {
  for (int64_t group = 0; group < shape.groups; ++group)
    tokens.push_back(getSource(operand, laneOuter + group * kGroup));
}

void WarpStream::copy(const Source &source, Expr at, Expr exists, Expr target, bool isShared) {
  copyChunk(b, memory, target, source.memory, source.offset + at, both(exists, source.inside),
            /*bypassesCache=*/!isShared);
}

void WarpStream::copyWeights(Expr depth, Expr buffer, Expr base, Expr exists) {
  auto offset = [&](Expr at) { return base ? base + at : at; };
  if (!shape.copiesLines) {
    for (int64_t piece = 0; piece < shape.pieces; ++piece) {
      Expr at = depth + (laneDepth + piece * kPieceDepth);
      for (auto [i, source] : llvm::enumerate(weights))
        copy(source, offset(at), both(isInside(at), exists), this->at(buffer, piece * shape.chunksPerPiece() + i),
             /*isShared=*/false);
    }
    return;
  }
  // A lane copies for lane (column, its number among those together), and the piece that its part of the line is of.
  Expr inLine = b.lane % kChunksOfLine;
  Expr chunkOfLane = inLine / kLanesTogether * (shape.chunksPerPiece() * b.threads) + b.warp * kWarpSize +
                     b.lane / kChunksOfLine * kLanesTogether + b.lane % kLanesTogether;
  for (int64_t piece = 0; piece < shape.pieces; piece += kPiecesOfLine) {
    Expr at = depth + (inLine * kChunk + piece * kPieceDepth);
    for (auto [i, source] : llvm::enumerate(weights)) {
      int64_t chunk = piece * shape.chunksPerPiece() + i / 2;
      Expr target = (buffer * shape.chunksPerStage() + chunk) * b.threads + (chunkOfLane + i % 2 * (kWarpSize / 2));
      copy(source, offset(at), both(isInside(at), exists), target * kChunk, /*isShared=*/false);
    }
  }
}

void WarpStream::copyTokens(Expr depth, Expr buffer, Expr base, Expr exists) {
  for (int64_t piece = 0; piece < shape.pieces; ++piece) {
    Expr at = depth + (laneDepth + piece * kPieceDepth);
    for (auto [i, source] : llvm::enumerate(tokens))
      copy(source, base ? base + at : at, both(isInside(at), exists),
           this->at(buffer, piece * shape.chunksPerPiece() + 2 * shape.strips + i), /*isShared=*/true);
  }
}

void WarpStream::wait(int64_t pending) {
  waitForCopies(b, pending);
  if (shape.copiesLines)
    b.warpBarrier();
}

void WarpStream::askForToken(Value source, function_ref<Expr(Expr contraction)> start) {
  auto type = VectorType::get(kChunk, b.builder.getBF16Type());
  Value zeros = arith::ConstantOp::create(b.builder, b.builder.getZeroAttr(type));
  int64_t each = shape.tokenDepth / kChunk, chunks = shape.contractions * each;
  for (int64_t first = 0; first < chunks; first += b.threads) {
    Expr chunk = b.thread + first;
    if (first + b.threads > chunks)
      chunk = min(chunk, b.index(chunks - 1));
    Expr contraction = chunk / each, at = chunk % each * kChunk, exists = isInside(at);
    Value elements = vector::LoadOp::create(
        b.builder, type, source, ValueRange{start(contraction) + (exists ? select(exists, at, b.index(0)) : at)},
        /*nontemporal=*/false, llvm::MaybeAlign(2 * kChunk));
    asked.push_back(exists ? arith::SelectOp::create(b.builder, exists, elements, zeros).getResult() : elements);
  }
}

void WarpStream::keepToken() {
  // Behind the last contraction there are zeros.
  int64_t chunks = shape.contractions * shape.tokenDepth / kChunk, all = shape.steps * shape.stageDepth / kChunk;
  auto type = VectorType::get(kChunk, b.builder.getBF16Type());
  Value zeros = arith::ConstantOp::create(b.builder, b.builder.getZeroAttr(type));
  auto keep = [&](Expr chunk, int64_t last, int64_t first, Value elements) {
    b.ifThen(first + b.threads <= last ? Expr() : chunk < last, [&] {
      vector::StoreOp::create(b.builder, elements, token, ValueRange{chunk * kChunk}, /*nontemporal=*/false,
                              llvm::MaybeAlign(2 * kChunk));
    });
  };
  for (auto [i, elements] : llvm::enumerate(asked))
    keep(b.thread + i * b.threads, chunks, i * b.threads, elements);
  for (int64_t first = chunks; first < all; first += b.threads)
    keep(b.thread + first, all, first, zeros);
  b.barrier();
}

SmallVector<Expr> WarpStream::load(Expr step, Expr buffer) const {
  SmallVector<Expr> registers;
  auto chunkType = VectorType::get(kChunk, b.builder.getBF16Type());
  auto loadChunk = [&](Value memory, Expr at) {
    Value loaded = vector::LoadOp::create(b.builder, chunkType, memory, ValueRange{at}, /*nontemporal=*/false,
                                          llvm::MaybeAlign(2 * kChunk));
    Expr words = b.wrap(vector::BitCastOp::create(b.builder, VectorType::get(4, b.builder.getI32Type()), loaded));
    for (int64_t i = 0; i < 4; ++i)
      registers.push_back(words.extract(i));
  };
  for (int64_t piece = 0; piece < shape.pieces; ++piece) {
    for (int64_t chunk = 0; chunk < shape.chunksPerPiece(); ++chunk)
      loadChunk(memory, at(buffer, piece * shape.chunksPerPiece() + chunk));
    if (shape.keepsToken) // Lanes of the same depth read the same: that costs what one of them does.
      loadChunk(token, partOf(step) + (laneDepth + piece * kPieceDepth));
  }
  return registers;
}

void WarpStream::multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Expr> registers) const {
  for (; !registers.empty(); registers = registers.drop_front(4 * (2 * shape.strips + shape.groups)))
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
