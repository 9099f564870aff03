//===- AttentionWarps.cpp - Scores of a block of bf16 attention -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/AttentionWarps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {

AttentionWarps::AttentionWarps(BlockBuilder &b, const AttentionShape &shape, moe_kernel::CUDAConfigAttr config)
    : b(b), shape(shape), owned(config.getTileM()), streamed(config.getTileN()),
      scores(b, owned / b.warps, streamed), heads(b, owned / b.warps, shape.headDim),
      firstRow(b.warp * (owned / b.warps)) {}

void AttentionWarps::copyHeads(const MatrixView &source, Expr count, const SharedTile &target, Expr buffer) {
  forPieces(b, target.rows, target.columns, kChunk, [&](Expr row, Expr column, Expr exists) {
    b.ifThen(exists, [&] {
      copyAsync(target, buffer, row, column, source.memory, source.at(row, column), row < count, kChunk);
    });
  });
}

SmallVector<Fragment> AttentionWarps::loadOwned(const SharedTile &tile, int64_t depth) {
  FragmentReader reader(tile, /*depthIsContiguous=*/true, firstRow);
  SmallVector<Fragment> fragments;
  for (int64_t row = 0; row < scores.rows; row += kFragment)
    fragments.push_back(reader.load(b.index(0), row, depth));
  return fragments;
}

SmallVector<Fragment> AttentionWarps::loadOwned(const SharedTile &tile) {
  SmallVector<Fragment> fragments;
  for (int64_t depth = 0; depth < shape.headDim; depth += kFragment)
    fragments.append(loadOwned(tile, depth));
  return fragments;
}

SmallVector<Expr> AttentionWarps::multiplyHeads(function_ref<SmallVector<Fragment>(int64_t depth)> ownedAt,
                                                const SharedTile &streamedTile, Expr streamedBuffer) {
  FragmentReader right(streamedTile, /*depthIsContiguous=*/true, b.index(0));
  SmallVector<Expr> products = scores.zeros();
  for (int64_t depth = 0; depth < shape.headDim; depth += kFragment) {
    SmallVector<Fragment> lhs = ownedAt(depth);
    for (int64_t column = 0; column < streamed; column += kFragment)
      scores.multiplyColumns(products, lhs, right.load(streamedBuffer, column, depth), column / kFragment);
  }
  return products;
}

SmallVector<Expr> AttentionWarps::multiplyHeads(const SharedTile &ownedTile, const SharedTile &streamedTile,
                                                Expr streamedBuffer) {
  return multiplyHeads([&](int64_t depth) { return loadOwned(ownedTile, depth); }, streamedTile, streamedBuffer);
}

SmallVector<Expr> AttentionWarps::multiplyHeads(ArrayRef<Fragment> fragments, const SharedTile &streamedTile,
                                                Expr streamedBuffer) {
  auto ownedAt = [&](int64_t depth) {
    int64_t rows = scores.rows / kFragment;
    return SmallVector<Fragment>(fragments.slice(depth / kFragment * rows, rows));
  };
  return multiplyHeads(ownedAt, streamedTile, streamedBuffer);
}

void AttentionWarps::accumulate(MutableArrayRef<Expr> sums, ArrayRef<Expr> values, const SharedTile &streamedTile,
                                Expr streamedBuffer) {
  FragmentReader right(streamedTile, /*depthIsContiguous=*/false, b.index(0));
  for (int64_t depth = 0; depth < streamed; depth += kFragment) {
    SmallVector<Fragment> lhs;
    for (int64_t i = 0; i < scores.rows / kFragment; ++i)
      lhs.push_back(scores.asOperand(values, i, depth / kFragment));
    for (int64_t column = 0; column < shape.headDim; column += kFragment)
      heads.multiplyColumns(sums, lhs, right.load(streamedBuffer, column, depth), column / kFragment);
  }
}

void AttentionWarps::forScores(MutableArrayRef<Expr> values,
                               function_ref<void(int64_t row, int64_t column, Expr &value)> body) const {
  for (int64_t i = 0; i < scores.rows / kFragment; ++i)
    for (int64_t strip = 0; strip < scores.getStrips(); ++strip)
      for (auto [part, value] : llvm::enumerate(scores.strip(values, i, strip)))
        body(2 * i + part / 2, 8 * strip + part % 2, value);
}

SmallVector<Expr> AttentionWarps::mask(ArrayRef<Expr> values, Expr needed,
                                       function_ref<Expr(int64_t row, int64_t column)> isVisible) {
  SmallVector<Value> given(values.begin(), values.end());
  auto branch = scf::IfOp::create(b.builder, TypeRange(ValueRange(given)), needed, /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b.builder);
  b.builder.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b.builder, given);
  b.builder.setInsertionPointToEnd(branch.thenBlock());
  SmallVector<Expr> masked(values);
  Expr hidden = b.real(kMasked);
  forScores(masked, [&](int64_t row, int64_t column, Expr &value) {
    value = select(isVisible(row, column), value, hidden);
  });
  scf::YieldOp::create(b.builder, SmallVector<Value>(masked.begin(), masked.end()));
  return llvm::map_to_vector(branch.getResults(), [&](Value value) { return b.wrap(value); });
}

Expr AttentionWarps::dotRows(const MatrixView &lhs, const MatrixView &rhs, Expr row, Expr valid, int64_t lanes,
                             Expr lane) {
  auto chunkType = VectorType::get(kChunk, b.builder.getBF16Type());
  int64_t chunks = shape.headDim / kChunk;
  Expr sum = b.real(0);
  for (int64_t first = 0; first < chunks; first += lanes) {
    Expr chunk = lane + first, exists = valid;
    if (first + lanes > chunks)
      exists = both(valid, chunk < chunks);
    auto load = [&](const MatrixView &matrix) {
      Expr offset = select(exists, matrix.at(row, chunk * kChunk), b.index(0));
      return b.extend(b.wrap(vector::LoadOp::create(b.builder, chunkType, matrix.memory, ValueRange{offset},
                                                    /*nontemporal=*/false, llvm::MaybeAlign(16))));
    };
    Expr left = load(lhs), right = load(rhs), products = b.real(0);
    for (int64_t i = 0; i < kChunk; ++i)
      products = fma(left.extract(i), right.extract(i), products);
    sum = sum + select(exists, products, b.real(0));
  }
  return b.sumLanes(sum, lanes);
}

void AttentionWarps::storeHeads(ArrayRef<Expr> sums, ArrayRef<Expr> factors, Expr count, const MatrixView &target) {
  for (int64_t i = 0; i < getLaneRows(); ++i)
    b.ifThen(row(i) < count, [&] {
      for (int64_t strip = 0; strip < heads.getStrips(); ++strip) {
        ArrayRef<Expr> parts = heads.strip(sums, i / 2, strip).slice(i % 2 * 2, 2);
        Value pair = vector::FromElementsOp::create(b.builder, VectorType::get(2, b.builder.getF32Type()),
                                                    ValueRange{parts[0] * factors[i], parts[1] * factors[i]});
        Expr rounded = b.roundFor(target.memory, b.wrap(pair));
        vector::StoreOp::create(b.builder, rounded, target.memory,
                                ValueRange{target.at(row(i), heads.column(strip))}, /*nontemporal=*/false,
                                llvm::MaybeAlign(4));
      }
    });
}

} // namespace mlir::moe::cuda::ampere
