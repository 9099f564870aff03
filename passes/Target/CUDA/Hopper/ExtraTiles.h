//===- ExtraTiles.h - Tensors that an epilogue reads beside accumulators -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Extras of bf16 as large as the result (`full` and `pair`) on their way to the epilogue: TMA brings 64 rows × 64
/// columns to shared memory, ahead of their use, and `ldmatrix` gives each thread the elements that belong to its
/// accumulators. Loads from global memory by those threads would use half of each 32 bytes that they fetch, and wait
/// for them.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_EXTRATILES_H
#define PASSES_TARGET_CUDA_HOPPER_EXTRATILES_H

#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

namespace mlir::moe::cuda {

/// Extras of `op` that come this way: one for each half of each, in order.
int64_t countExtraTiles(moe_kernel::MatmulOp op);
bool isExtraTile(Value extra, moe_kernel::TileExtent extent);
/// Of shared memory, for each of them in each consumer.
inline constexpr int64_t kExtraTileBytes = kWarpgroupRows * kSwizzleBytes;

/// The tensor map of 64 rows × `columns` of an operand or result of the epilogue, of which each row has `halves`
/// halves.
Value mapResult(EmitterContext &context, const WarpgroupShape &shape, Value memory, int64_t halves, int64_t columns);
/// The coordinates of such a box. All i32.
SmallVector<Expr> locateResult(HopperBuilder &b, const WarpgroupShape &shape, int64_t halves, Expr expert, Expr row,
                               int64_t half, Expr column);

class ExtraTiles {
public:
  ExtraTiles(HopperBuilder &b, EmitterContext &context, moe_kernel::MatmulOp op, const WarpgroupShape &shape);

  bool isEmpty() const { return tiles.empty(); }
  void initBarriers(); ///< By one thread of the block.

  /// By the first thread of a warpgroup: asks for 64 columns from `column` on. All earlier ones have been read.
  void request(Expr expert, Expr row, Expr column);
  /// By the warpgroup: until what was asked for is there.
  void wait(Expr parity);
  /// Pairs of neighbouring columns, vectors of two: groups 2·i and 2·i + 1 of 8 columns, first and second row of each.
  /// `thread` is that of the warpgroup.
  std::array<std::array<Value, 2>, 2> load(int64_t tile, int64_t i, Expr thread);

private:
  struct Tile {
    Value map;
    int64_t half, halves;
  };

  HopperBuilder &b;
  const WarpgroupShape &shape;
  SmallVector<Tile> tiles;
  Expr base, barriers, barrier; ///< Of this consumer; those of all.
};

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_EXTRATILES_H
