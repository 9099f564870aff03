//===- WarpgroupShape.h - Sizes of a matmul on warpgroups -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What a matmul by wgmma is made of, worked out once from the op and its configuration. The accumulator tile of a
/// block has `tile_n` columns and 128 rows, 64 for each of two warpgroups, or 192, of which both share the last 64, half
/// of the columns each. For a paired matmul one half of the columns are gate columns and the other the up columns beside
/// them; in 192 rows that holds for each half of the columns.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_HOPPER_WARPGROUPSHAPE_H
#define PASSES_TARGET_CUDA_HOPPER_WARPGROUPSHAPE_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/Hopper/HopperBuilder.h"

namespace mlir::moe::cuda {

inline constexpr int64_t kConsumerGroups = 2;
inline constexpr int64_t kMatmulThreads = (1 + kConsumerGroups) * kWarpgroupSize;
inline constexpr int64_t kEpilogueThreads = 96; ///< Of the producer's warpgroup, where these run the epilogue.
inline constexpr int64_t kStageDepth =
    kSwizzleBytes / 2; ///< Contraction elements of a pipeline stage: a row of 128 bytes.

/// A ragged contraction that gathers its rhs is formed the other way round where the epilogue allows it, acc^T = B^T·A:
/// the gathered operand is then that of 128 rows rather than of 256 columns. Everything here but the op itself, and
/// what stores the result, sees the swapped operands.
struct WarpgroupShape {
  WarpgroupShape(moe_kernel::MatmulOp op, int64_t tileRows);

  moe_kernel::MatmulKind kind;
  bool paired, gathersLhs, gathersRhs;
  bool isSwapped = false, isRagged;
  Major lhsMajor, rhsMajor;
  int64_t rows, columns, depth; ///< Of the accumulator; `columns` counts both of a pair.
  int64_t experts = 1; ///< Or parts of a contraction, each with a result like an expert's gradient.
  int64_t outputs;    ///< Columns of the epilogue.
  int64_t rowDivisor; ///< Of a gathered row's index.
  int64_t tileRows;
  bool defersEpilogue; ///< Whether warps beside the producer's run the epilogue (DeferredEpilogue.h).

  /// Threads that may gather rows.
  int64_t getProducerThreads() const { return kWarpgroupSize - (defersEpilogue ? kEpilogueThreads : 0); }
  bool isRaggedRows() const { return kind == moe_kernel::MatmulKind::ragged_rows; }
  bool isContraction() const { return kind == moe_kernel::MatmulKind::ragged_contraction; }
  /// Whether the experts' rows, rather than equal parts, are contracted.
  bool isRaggedContraction() const { return isContraction() && isRagged; }
  bool gathers() const { return gathersLhs || gathersRhs; }
  int64_t halves() const { return paired ? 2 : 1; }
  /// Whether a block knows its tiles beforehand. Otherwise it asks for the next one, which costs about 300 cycles a tile
  /// and is worth it where tiles differ (measured on an H100: 640 instead of 740 µs for tiles of 192 rows of experts, but
  /// 350 instead of 325 µs for short ones of 128).
  bool takesTilesInTurn() const {
    return !(isRaggedRows() && sharesRows()) && !(isRaggedContraction() && !gathers());
  }
  /// The rows that each consumer has alone, all columns of the tile; what is left they share, half of the columns each.
  bool sharesRows() const { return tileRows > kConsumerGroups * kWarpgroupRows; }
  /// Columns of a pair's halves alternate in a tile as often.
  int64_t columnParts() const { return sharesRows() ? kConsumerGroups : 1; }

  int64_t getColumnTiles(int64_t tileColumns) const { return llvm::divideCeil(outputs, tileColumns / halves()); }
  /// Row tiles of all experts at most.
  int64_t getMostRowTiles() const;
};

/// Stages of the pipeline that fit into shared memory beside the rest; at most 8.
int64_t chooseStages(moe_kernel::MatmulOp op, const WarpgroupShape &shape, int64_t tileColumns,
                     int64_t availableBytes);

/// Why `op` cannot be formed by wgmma, as the end of a sentence; empty if it can.
std::string findWarpgroupObstacle(moe_kernel::MatmulOp op, const Capabilities &capabilities);

} // namespace mlir::moe::cuda

#endif // PASSES_TARGET_CUDA_HOPPER_WARPGROUPSHAPE_H
