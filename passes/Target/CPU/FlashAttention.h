//===- FlashAttention.h - One block of queries ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What attention over whole sequences and over caches share: a block of queries of one head against blocks of keys,
/// with the running maximum, sum and result of arXiv:2205.14135, algorithm 1.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_FLASHATTENTION_H
#define PASSES_TARGET_CPU_FLASHATTENTION_H

#include "passes/Target/CPU/TileMatmul.h"

namespace mlir::moe::cpu {

/// The sizes of attention kernels.
struct AttentionShape {
  int64_t heads, keyHeads, headDim;
  int64_t queries; ///< Queries of a sequence in one launch.
  int64_t keys;    ///< The most keys a query can see.
  int64_t blockM, blockN, tileM, tileN;

  /// Limits the configured blocks to what there is.
  AttentionShape(const KernelBuilder &b, moe_kernel::CPUConfigAttr config, int64_t heads, int64_t keyHeads,
                 int64_t queryColumns, int64_t queries, int64_t keys);

  double getScale() const;
  int64_t getGroup() const { return heads / keyHeads; }
  int64_t getQueryBlocks() const { return llvm::divideCeil(queries, blockM); }
  /// Columns of the tensors of queries and of keys.
  int64_t getQueryStride() const { return heads * headDim; }
  int64_t getKeyStride() const { return keyHeads * headDim; }
};

class FlashAttention {
public:
  /// Allocates the scratch memory.
  FlashAttention(KernelBuilder &b, const AttentionShape &shape);

  struct Block {
    MatrixView query, key, value,
        result; ///< Starting at the first query of the block and the first key, at their heads.
    Expr rows;     ///< Queries of the block.
    Expr firstKey; ///< The first key that the first query sees.
    Expr keys;     ///< Where the keys end that the last query sees.
    /// Where the keys end that query `row` of the block sees, ascending in row: one at least is visible.
    std::function<Expr(Expr row)> visibleKeys;
    /// How many keys are hidden before those, ascending in row; none if null.
    std::function<Expr(Expr row)> hiddenKeys = nullptr;
    /// Receives log Σ exp(score) of a query.
    std::function<void(Expr row, Expr lse)> storeLse = nullptr;
  };
  void emit(const Block &block);

private:
  void emitKeyBlock(const Block &block, Expr firstKey);
  void emitSoftmaxRow(Expr row, Expr hidden, Expr visible);
  void emitFinish(const Block &block);

  KernelBuilder &b;
  const AttentionShape &shape;
  MatrixView scores, keyPanel, sums;
  Value rowMax, rowSum;
};

} // namespace mlir::moe::cpu

#endif // PASSES_TARGET_CPU_FLASHATTENTION_H
