//===- Configure.cpp - The configuration of CUDA kernels --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/CUDATarget.h"
#include "passes/Target/CUDA/RowsShape.h"
#include "passes/Target/Common/KernelInfo.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir::moe_kernel;

namespace mlir::moe {

namespace {

/// Decides for one kernel: blocks as large as keeps all multiprocessors busy.
class Configurator {
public:
  Configurator(KernelOp kernel, const cuda::Capabilities &capabilities) : kernel(kernel), capabilities(capabilities) {}

  FailureOr<CUDAConfigAttr> configure();

private:
  CUDAConfigAttr make(int64_t threads, int64_t tileM = 1, int64_t tileN = 1, int64_t tileK = 1, int64_t stages = 1) {
    return CUDAConfigAttr::get(kernel.getContext(), threads, tileM, tileN, tileK, stages, CUDAUnit::fma);
  }
  CUDAConfigAttr configureMatmul(MatmulOp op);
  FailureOr<CUDAConfigAttr> configureAttention(int64_t headDim, int64_t queries, int64_t keys);
  CUDAConfigAttr configureScatter(ScatterAddOp op);
  CUDAConfigAttr configurePlan(PlanOp op);
  FailureOr<CUDAConfigAttr> configureRows();

  KernelOp kernel;
  const cuda::Capabilities &capabilities;
};

/// The largest tile that leaves a block for every multiprocessor; the smallest if none does.
CUDAConfigAttr Configurator::configureMatmul(MatmulOp op) {
  auto lhs = op.getLhs().getType().getShape(), rhs = op.getRhs().getType().getShape();
  bool isContraction = op.getKind() == MatmulKind::ragged_contraction;
  int64_t rows = lhs[isContraction || op.getTransposeLhs() ? 1 : 0];
  int64_t columns = rhs[rhs.size() - (op.getTransposeRhs() ? 2 : 1)];
  if (op.getRowIndex() && !isContraction)
    rows = op.getRowIndex().getType().getNumElements();
  int64_t experts = isContraction ? op.getOffsets().getType().getNumElements() - 1 : 1;

  struct Tile {
    int64_t threads, rows, columns;
  };
  static constexpr Tile kTiles[] = {{256, 128, 128}, {256, 128, 64}, {256, 64, 64}, {128, 64, 32}, {64, 32, 32}};
  constexpr int64_t kDepth = 16; // Of a stage: two stages of the largest tile are 32 KB.
  const Tile *tile = kTiles;
  auto blocks = [&] {
    return experts * llvm::divideCeilSigned(rows, tile->rows) * llvm::divideCeilSigned(columns, tile->columns);
  };
  auto isTooLarge = [&] { return tile->rows > rows || tile->columns > columns; };
  while (tile != std::prev(std::end(kTiles)) && (blocks() < capabilities.kEnoughBlocks / 2 || isTooLarge()))
    ++tile;
  return make(tile->threads, tile->rows, tile->columns, kDepth, /*stages=*/2);
}

/// Queries × keys of a block. In shared memory lie two vectors of a head for each, and two tiles of scores (the
/// backward pass has most).
FailureOr<CUDAConfigAttr> Configurator::configureAttention(int64_t headDim, int64_t queries, int64_t keys) {
  int64_t tileM = 64, tileN = 64;
  auto getBytes = [&] {
    return int64_t(sizeof(float)) * (2 * (tileM + tileN) * (headDim + 1) + 2 * tileM * (tileN + 4));
  };
  while (getBytes() > capabilities.sharedBytes && tileN > 16)
    (tileN >= tileM ? tileN : tileM) /= 2;
  if (getBytes() > capabilities.sharedBytes)
    return kernel.emitOpError() << "has heads of " << headDim << " elements: tiles of " << tileM << " queries and "
                                << tileN << " keys need " << getBytes() << " bytes of shared memory, but a block of "
                                << capabilities.arch << " has " << capabilities.sharedBytes;
  return make(256, std::min<int64_t>(tileM, queries), std::min<int64_t>(tileN, keys));
}

/// A column per thread; a row of the result is little work unless its index occurs.
CUDAConfigAttr Configurator::configureScatter(ScatterAddOp op) {
  int64_t columns = cast<ShapedType>(op.getRows().getType()).getShape().back();
  int64_t targets = cast<ShapedType>(op.getResult().getType()).getShape().front();
  int64_t threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(columns), capabilities.kWarpSize, 256);
  // Every block reads all indices, so it takes as many rows as leave enough blocks.
  int64_t blocks = targets * llvm::divideCeilSigned(columns, threads);
  // Sums that are rounded in the end wait in shared memory: 32 KB of it.
  int64_t mostRows = getElementTypeOrSelf(op.getResult().getType()).isBF16() ? 32 : 64;
  return make(threads, /*tileM=*/std::clamp<int64_t>(blocks / (4 * capabilities.kEnoughBlocks), 1, mostRows));
}

/// A block for each multiprocessor, but no slice smaller than the block: every block reads all entries.
CUDAConfigAttr Configurator::configurePlan(PlanOp op) {
  int64_t entries = op.getIndices().getType().getNumElements(), threads = capabilities.kMostThreads;
  int64_t share = llvm::divideCeilSigned(entries, capabilities.kEnoughBlocks / 2);
  return make(threads, /*tileM=*/llvm::alignTo(share, threads));
}

FailureOr<CUDAConfigAttr> Configurator::configureRows() {
  FailureOr<target::RowsPlan> plan = cuda::planRows(kernel);
  if (failed(plan))
    return failure();
  cuda::RowsShape shape = cuda::chooseRowsShape(*plan);
  int64_t sharedBytes = shape.getSharedBytes(*plan);
  if (sharedBytes > capabilities.sharedBytes)
    return kernel.emitOpError() << "keeps " << sharedBytes << " bytes between its ops, but a block of "
                                << capabilities.arch << " has " << capabilities.sharedBytes
                                << " bytes of shared memory; make it several kernels";
  return make(shape.threads, shape.rows, shape.getThreadsPerRow() * shape.width);
}

FailureOr<CUDAConfigAttr> Configurator::configure() {
  Operation *structured = target::findStructuredOp(kernel);
  if (failed(target::checkElementTypes(kernel, "CUDA", /*allowsDoubles=*/!structured)))
    return failure();
  if (!structured)
    return configureRows();

  auto shapeOf = [](Value tensor) { return cast<ShapedType>(tensor.getType()).getShape(); };
  return TypeSwitch<Operation *, FailureOr<CUDAConfigAttr>>(structured)
      .Case([&](MatmulOp op) { return configureMatmul(op); })
      .Case<AttentionOp, AttentionBackwardOp>([&](auto op) {
        int64_t length = op.getSequenceLength();
        return configureAttention(shapeOf(op.getQuery())[1] / op.getNumHeads(), length, length);
      })
      .Case([&](CachedAttentionOp op) {
        auto query = shapeOf(op.getQuery()), cache = shapeOf(op.getKeyCache());
        return configureAttention(query[1] / op.getNumHeads(), query[0] / cache[0], cache[1]);
      })
      .Case([&](ScatterAddOp op) { return configureScatter(op); })
      .Case([&](PlanOp op) { return configurePlan(op); })
      .Default([&](Operation *) { return make(256); });
}

} // namespace

LogicalResult CUDATarget::configure(KernelOp kernel) const {
  FailureOr<CUDAConfigAttr> config = Configurator(kernel, capabilities).configure();
  if (failed(config))
    return failure();
  kernel.setConfigAttr(*config);
  return success();
}

} // namespace mlir::moe
