//===- ConfigureAttention.cpp - The configuration of attention --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Configure.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {
namespace {

struct Attention {
  int64_t headDim, heads, sequences;
  int64_t queries, keys; ///< Of a sequence.
  bool isBFloat16, isBackward, isCached, isPacked;
};

Attention describe(Operation *op) {
  auto shapeOf = [](Value tensor) { return cast<ShapedType>(tensor.getType()).getShape(); };
  auto describe = [&](auto op, int64_t queries, int64_t keys) {
    int64_t heads = op.getNumHeads(), tokens = shapeOf(op.getQuery())[0];
    return Attention{shapeOf(op.getQuery())[1] / heads,
                     heads,
                     tokens / queries,
                     queries,
                     keys,
                     op.getQuery().getType().getElementType().isBF16(),
                     isa<AttentionBackwardOp>(op),
                     isa<CachedAttentionOp>(op),
                     !isa<CachedAttentionOp>(op) && op.getPositions()};
  };
  return TypeSwitch<Operation *, Attention>(op)
      .Case<AttentionOp, AttentionBackwardOp>([&](auto op) {
        int64_t length = op.getSequenceLength();
        return describe(op, length, length);
      })
      .Case([&](CachedAttentionOp op) {
        auto cache = shapeOf(op.getKeyCache());
        return describe(op, shapeOf(op.getQuery())[0] / cache[0], cache[1]);
      });
}

/// Queries × keys of a block. In shared memory lie two vectors of a head for each, and two tiles of scores (the
/// backward pass has most).
FailureOr<CUDAConfigAttr> configureFma(Operation *op, const Attention &attention, const Capabilities &capabilities) {
  int64_t tileM = 64, tileN = 64;
  auto getBytes = [&] {
    return int64_t(sizeof(float)) * (2 * (tileM + tileN) * (attention.headDim + 1) + 2 * tileM * (tileN + 4));
  };
  while (getBytes() > capabilities.sharedBytes && tileN > 16)
    (tileN >= tileM ? tileN : tileM) /= 2;
  if (getBytes() > capabilities.sharedBytes)
    return op->getParentOp()->emitOpError()
           << "has heads of " << attention.headDim << " elements: tiles of " << tileM << " queries and " << tileN
           << " keys need " << getBytes() << " bytes of shared memory, but a block of " << capabilities.arch << " has "
           << capabilities.sharedBytes;
  return CUDAConfigAttr::get(op->getContext(), /*threads=*/256, std::min(tileM, attention.queries),
                             std::min(tileN, attention.keys), /*tileK=*/1, /*stages=*/1, CUDAUnit::fma);
}

/// What a block owns and streams on tensor cores, a warp for 16 owned rows. Its sums, and its scores with a tile, must fit
/// into its registers (the backward pass has two of each), and the block with two buffers of each streamed tile into 99 KB
/// of shared memory. Of what does, these were fastest on an H100.
CUDAConfigAttr configureMma(Operation *op, const Attention &attention, const Capabilities &capabilities) {
  bool isWide = attention.headDim > (attention.isBackward ? 64 : 128);
  int64_t owned = attention.isBackward && !isWide ? 128 : 64, streamed = isWide ? 32 : 64;
  auto blocks = [&] {
    return attention.sequences * attention.heads * llvm::divideCeilSigned(attention.queries, owned);
  };
  // With wide heads the sums of the backward pass leave few registers: one warp alone could not hold the rest.
  bool isTight = attention.isBackward && attention.headDim > 112;
  while (owned > (isTight ? 32 : 16) && (blocks() < capabilities.kEnoughBlocks / 2 || owned / 2 >= attention.queries))
    owned /= 2;
  // Where documents begin takes the registers that are left, and so do copies that few warps share.
  if (isTight && (attention.isPacked || owned < 64))
    streamed = 16;
  int64_t threads = owned / 16 * capabilities.kWarpSize;
  return CUDAConfigAttr::get(op->getContext(), threads, owned, std::min(streamed, threads), /*tileK=*/16, /*stages=*/2,
                             CUDAUnit::mma);
}

/// Tensor cores for bf16 whose heads are made of fragments and fit into registers. A cache is read by one query at a
/// time: no products of matrices.
CUDAUnit chooseUnit(const Attention &attention, const Capabilities &) {
  bool fits = attention.headDim % 16 == 0 && attention.headDim <= (attention.isBackward ? 128 : 256);
  return attention.isBFloat16 && !attention.isCached && fits ? CUDAUnit::mma : CUDAUnit::fma;
}

/// Few new tokens are taken one by one. Of a head of 128, a block of 16 warps has 128 KB of keys and values under way at
/// once; null if they are not so few, or cannot be streamed.
CUDAConfigAttr configureStream(CachedAttentionOp op, const Attention &attention) {
  constexpr int64_t kMostQueries = 4, kThreads = 512, kKeysEach = 8;
  if (attention.queries > kMostQueries || !ampere::findStreamObstacle(op).empty())
    return {};
  return CUDAConfigAttr::get(op.getContext(), kThreads, /*tileM=*/1, kKeysEach * ampere::getKeyGroups(op, kThreads),
                             /*tileK=*/1, /*stages=*/1, CUDAUnit::stream);
}

} // namespace

FailureOr<CUDAConfigAttr> configureAttention(Operation *op, const Capabilities &capabilities) {
  Attention attention = describe(op);
  if (auto cached = dyn_cast<CachedAttentionOp>(op))
    if (CUDAConfigAttr config = configureStream(cached, attention))
      return config;
  if (chooseUnit(attention, capabilities) == CUDAUnit::mma)
    return configureMma(op, attention, capabilities);
  return configureFma(op, attention, capabilities);
}

} // namespace mlir::moe::cuda
