//===- RowsShape.h - How threads share the rows of a kernel -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A block computes `rows` rows of a plan by rows, each with threads / rows neighbouring threads: part of a warp, a
/// warp, or the whole block. Or it computes threads · width columns of a plan by columns. Every thread has `width`
/// neighbouring iterations of the innermost loop at a time.
///
/// If ops of a plan accumulate, a block has one chunk of rows. Where a thread's part of a row is a few vectors, the
/// same of every tensor, the rows are dealt out as above (also to several warps each) and each thread keeps the sums of
/// its columns in registers until the rows of the block meet in shared memory, in order. Elsewhere the block takes row
/// after row, and sums are in global memory.
///
/// A long row that several nests read is held likewise, by a block of the most threads.
///
/// Where there are few columns, `parts` groups of threads share what is reduced for each, and meet likewise.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_ROWSSHAPE_H
#define PASSES_TARGET_CUDA_ROWSSHAPE_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/Common/RowsPlan.h"

namespace mlir::moe::cuda {

struct RowsShape {
  int64_t threads = 1; ///< Of a block.
  int64_t rows = 1;    ///< Of a block.
  int64_t width = 1;   ///< Elements that a thread reads at once: up to 16 bytes of the narrowest tensor.
  int64_t parts = 1;   ///< Of the first reduction of a plan by columns.

  int64_t getThreadsPerRow() const { return threads / rows; }
  /// Threads that have different columns.
  int64_t getColumnThreads() const { return threads / parts; }
  /// Vectors that a thread has of every row, if that is how it can keep them in registers; else 0.
  int64_t getHeldVectors(const target::RowsPlan &plan) const;
  /// The arguments that the ops of such a plan read element by element, if a thread is to read its part of the next row
  /// before it computes one: where warps wait for each other, or are few.
  SmallVector<Value> getHeldArguments(const target::RowsPlan &plan) const;
  /// The results that different threads of a row exchange, or that have no other place.
  SmallVector<Value> getScratch(const target::RowsPlan &plan) const;
  /// Shared memory for what the plan keeps between its nests, for sums of several warps, and for those of a chunk.
  int64_t getSharedBytes(const target::RowsPlan &plan) const;
  /// Elements between the rows of `root` in shared memory, which keeps vectors aligned.
  static int64_t getSharedRowStride(const target::RowsPlan &plan, Value root);

  /// From what configure wrote; emits an error if that is not possible.
  static FailureOr<RowsShape> get(moe_kernel::KernelOp kernel, const target::RowsPlan &plan);
};

/// The plan of a rows kernel for a GPU.
FailureOr<target::RowsPlan> planRows(moe_kernel::KernelOp kernel);

/// Enough threads that each has a few vectors at most, and enough blocks to fill the GPU.
RowsShape chooseRowsShape(const target::RowsPlan &plan);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_ROWSSHAPE_H
