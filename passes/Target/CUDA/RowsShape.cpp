//===- RowsShape.cpp - How threads share the rows of a kernel ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/RowsShape.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::moe::cuda {

using namespace target;

/// Elements of the widest access to a tensor: of bf16, or else of 32 bits.
static int64_t getMostWidth(Type element) { return Capabilities::kVectorBytes / (element.isBF16() ? 2 : 4); }

/// Of the narrowest tensor; wider ones are read by several accesses at once.
static int64_t getMostWidth(const RowsPlan &plan) {
  int64_t width = 1;
  for (const auto &planned : plan.ops)
    for (const OperandAccess &access : planned->accesses)
      width = std::max(width, getMostWidth(getElementTypeOrSelf(access.root)));
  return width;
}
static constexpr int64_t kThreads = 256;

FailureOr<RowsPlan> planRows(moe_kernel::KernelOp kernel) {
  // Neighbouring iterations belong to neighbouring threads: what matters is the width of a warp. As many rows as there
  // are: a row of a block is no dearer than one of a loop.
  return target::planRows(kernel, Capabilities::kWarpSize, /*enoughRows=*/std::numeric_limits<int64_t>::max());
}

int64_t RowsShape::getSharedRowStride(const RowsPlan &plan, Value root) {
  return llvm::alignTo(plan.getRowSize(root), getMostWidth(getElementTypeOrSelf(root)));
}

int64_t RowsShape::getSharedBytes(const RowsPlan &plan) const {
  constexpr int64_t kAlignment = 128; // Of EmitterContext::allocateShared.
  int64_t bytes = 0;
  for (Value root : plan.scratch)
    bytes += llvm::alignTo(rows * getSharedRowStride(plan, root) *
                               llvm::divideCeil(getElementTypeOrSelf(root).getIntOrFloatBitWidth(), 8),
                           kAlignment);
  return bytes;
}

/// Iterations of the nest that different threads may run, for one row.
static int64_t getParallelism(const PlannedNest &nest, int64_t width) {
  int64_t vectors = llvm::divideCeil(nest.getVectorExtent(), width);
  if (!nest.reducesVector())
    for (const PlannedLoop &loop : nest.getOuter())
      vectors *= loop.extent;
  return vectors;
}

RowsShape chooseRowsShape(const RowsPlan &plan) {
  RowsShape shape;
  int64_t extent = plan.extent;
  // Vectors, unless they would leave multiprocessors without work.
  int64_t elements = extent;
  if (plan.kind == RowsPlan::Kind::rows)
    for (const PlannedNest &nest : plan.nests)
      elements = std::max(elements, extent * getParallelism(nest, 1));
  int64_t mostWidth = getMostWidth(plan);
  bool fillsMachine = elements >= mostWidth * Capabilities::kEnoughBlocks * kThreads / 4;
  bool areColumns = plan.kind == RowsPlan::Kind::columns;
  shape.width = fillsMachine || !areColumns ? mostWidth : 1;
  if (areColumns) {
    shape.threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(extent, shape.width)),
                                        Capabilities::kWarpSize, kThreads);
    return shape;
  }

  int64_t parallelism = 1;
  for (const PlannedNest &nest : plan.nests)
    parallelism = std::max(parallelism, getParallelism(nest, shape.width));
  int64_t perRow = llvm::PowerOf2Ceil(parallelism);
  // A warp for a row, as long as that is not many steps or there are rows enough; else a block.
  constexpr int64_t kSteps = 8;
  bool isLong = perRow > kSteps * Capabilities::kWarpSize;
  bool areFew = extent * Capabilities::kWarpSize < Capabilities::kEnoughBlocks * kThreads;
  if (perRow > Capabilities::kWarpSize && !isLong && !areFew)
    perRow = Capabilities::kWarpSize;
  perRow = std::min(perRow, extent == 1 ? Capabilities::kMostThreads : kThreads);
  if (perRow > Capabilities::kWarpSize) {
    shape.threads = perRow;
    return shape;
  }
  // Small blocks where there are few rows.
  int64_t rows = kThreads / perRow;
  while (rows * perRow > Capabilities::kWarpSize && llvm::divideCeil(extent, rows) < Capabilities::kEnoughBlocks)
    rows /= 2;
  while (rows > 1 && RowsShape{rows * perRow, rows, shape.width}.getSharedBytes(plan) > (32 << 10))
    rows /= 2;
  shape.rows = rows;
  shape.threads = rows * perRow;
  return shape;
}

FailureOr<RowsShape> RowsShape::get(moe_kernel::KernelOp kernel, const RowsPlan &plan) {
  auto config = cast<moe_kernel::CUDAConfigAttr>(kernel.getConfigAttr());
  RowsShape shape;
  shape.threads = config.getThreads();
  shape.rows = config.getTileM();
  int64_t perRow = shape.rows > 0 ? shape.getThreadsPerRow() : 0;
  shape.width = perRow > 0 ? config.getTileN() / perRow : 0;
  bool isWhole = perRow > 0 && perRow * shape.rows == shape.threads && shape.width * perRow == config.getTileN();
  bool fitsWarps = perRow <= Capabilities::kWarpSize || shape.rows == 1;
  bool areRows = plan.kind == RowsPlan::Kind::rows;
  if (!isWhole || !llvm::isPowerOf2_64(perRow) || !fitsWarps || (!areRows && shape.rows != 1) ||
      shape.threads > Capabilities::kMostThreads || !llvm::isPowerOf2_64(shape.width) || shape.width > getMostWidth(plan))
    return kernel.emitOpError()
           << "is configured for " << config.getTileM() << " rows and " << config.getTileN() << " columns with "
           << config.getThreads()
           << " threads; a row takes a power of two of threads within a warp, or a whole block, and "
              "a thread 1, 2 or 4 columns, or 8 where tensors are of bf16";
  return shape;
}

} // namespace mlir::moe::cuda
