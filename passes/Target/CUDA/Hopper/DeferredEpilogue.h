//===- DeferredEpilogue.h - The epilogue of a tile beside the next one --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// An epilogue that reads two tensors and writes three, each as large as the product, takes as long as many stages, and
/// while consumers run it no products are formed. Here three warps of the producer's warpgroup run it: consumers leave a
/// tile's products in shared memory, rounded to bf16, and go on with the next tile. (Warps beyond three warpgroups would
/// leave each thread fewer registers at the start than ptxas wants to see for accumulators of 256 columns.)
///
/// ```
/// each consumer:  wait until its 64 rows are empty; write them; they are full
/// epilogue: for 12 rows at a time, a row for 8 lanes:
///   wait until they are full
///   for each chunk of 64 columns: run the region on 8 columns; store 16 bytes of every result; load what the region
///   reads of these columns 12 rows further
/// ```
///
/// Products are rounded as if they were a result of their own that another kernel reads. Rows of 64 columns are whole
/// lines of global memory, so that neither loads nor stores need to be staged.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_DEFERREDEPILOGUE_H
#define PASSES_TARGET_CUDA_HOPPER_DEFERREDEPILOGUE_H

#include "passes/Target/CUDA/Hopper/WarpgroupShape.h"

namespace mlir::moe::cuda {

class DeferredEpilogue {
public:
  DeferredEpilogue(HopperBuilder &b, moe_kernel::MatmulOp op, const WarpgroupShape &shape, int64_t tileColumns);

  void initBarriers(); ///< By one thread of the block.
  /// By a consumer's warpgroup: its 64 rows of the tile. `parity` is 0 for the first tile of a block, then 1, 0, ...
  void handOver(Value accumulators, Expr parity);

  /// All i32.
  struct Place {
    Expr firstRow; ///< Of the tile, in the results.
    Expr rowsLeft; ///< Rows of the expert, or of the results, from there on.
    Expr output;   ///< The first column of the epilogue.
  };
  /// By the warps of the epilogue: the whole tile.
  void run(const Place &place, Expr parity);

private:
  struct Result {
    Value memory;
    int64_t halves;
    bool isRowSum;
  };
  /// What a thread loads of a row: a value for each `row` extra, and four words for each chunk of each half of the
  /// extras that are as large as the results.
  struct Row {
    SmallVector<Value> scalars;
    SmallVector<SmallVector<Expr>> chunks;
  };
  Expr locateRow(const Place &place, Expr row);
  SmallVector<Value> loadScalars(Expr row);
  SmallVector<Expr> loadChunk(const Place &place, Expr row, int64_t chunk);
  Value loadColumns(Value memory, Expr column);
  void evaluate(const Place &place, Expr tileRow, const Row &row, int64_t chunk);

  HopperBuilder &b;
  moe_kernel::MatmulOp op;
  const WarpgroupShape &shape;
  Expr thread;    ///< Of those that run the epilogue.
  int64_t chunks; ///< Of 64 columns of the epilogue in a tile.
  SmallVector<Value> extras;
  SmallVector<Result> results;
  Expr products, full, empty; ///< Shared memory, and a barrier of each consumer.
};

/// Whether the epilogue of `op` can be deferred, and has so much to read or write that it is worth it.
bool canDefer(moe_kernel::MatmulOp op);
/// Shared memory for the products of a tile.
int64_t getDeferredBytes(int64_t tileColumns);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_DEFERREDEPILOGUE_H
