//===- WarpgroupShape.h - Sizes of a matmul on warpgroups -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What a matmul by wgmma is made of, worked out once from the op and its configuration. The accumulator tile of a
/// block has 128 rows, 64 for each of two warpgroups, and `tile_n` columns; for a paired matmul one half of them are
/// gate columns and the other the up columns beside them.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_WARPGROUPSHAPE_H
#define PASSES_TARGET_CUDA_HOPPER_WARPGROUPSHAPE_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/Hopper/HopperBuilder.h"

namespace mlir::moe::cuda {

inline constexpr int64_t kConsumerGroups = 2;
inline constexpr int64_t kMatmulThreads = (1 + kConsumerGroups) * kWarpgroupSize;
inline constexpr int64_t kTileRows = kConsumerGroups * kWarpgroupRows;
inline constexpr int64_t kStageDepth =
    kSwizzleBytes / 2; ///< Contraction elements of a pipeline stage: a row of 128 bytes.

/// A ragged contraction that gathers its rhs is formed the other way round where the epilogue allows it, acc^T = B^T·A:
/// the gathered operand is then that of 128 rows rather than of 256 columns. Everything here but the op itself, and
/// what stores the result, sees the swapped operands.
struct WarpgroupShape {
  explicit WarpgroupShape(moe_kernel::MatmulOp op);

  moe_kernel::MatmulKind kind;
  bool paired, gathersLhs, gathersRhs;
  bool isSwapped = false;
  Major lhsMajor, rhsMajor;
  int64_t rows, columns, depth; ///< Of the accumulator; `columns` counts both of a pair.
  int64_t experts = 1;
  int64_t outputs;    ///< Columns of the epilogue.
  int64_t rowDivisor; ///< Of a gathered row's index.

  bool isRaggedRows() const { return kind == moe_kernel::MatmulKind::ragged_rows; }
  bool isContraction() const { return kind == moe_kernel::MatmulKind::ragged_contraction; }
  bool gathers() const { return gathersLhs || gathersRhs; }
  int64_t halves() const { return paired ? 2 : 1; }

  int64_t getColumnTiles(int64_t tileColumns) const { return llvm::divideCeil(outputs, tileColumns / halves()); }
  /// Row tiles of all experts at most, of 128 rows.
  int64_t getMostRowTiles() const;
};

/// Stages of the pipeline that fit into shared memory beside the rest; at most 8.
int64_t chooseStages(moe_kernel::MatmulOp op, int64_t tileColumns, int64_t availableBytes);

/// Why `op` cannot be formed by wgmma, as the end of a sentence; empty if it can.
std::string findWarpgroupObstacle(moe_kernel::MatmulOp op, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_WARPGROUPSHAPE_H
