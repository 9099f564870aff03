//===- Configure.cpp - The configuration of CUDA kernels --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Configure.h"
#include "passes/Target/CUDA/CUDATarget.h"
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/CUDA/Hopper/ConfigureAttention.h"
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/RouterShape.h"
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
  CUDAConfigAttr configureScatter(ScatterAddOp op);
  CUDAConfigAttr configurePlan(PlanOp op);
  FailureOr<CUDAConfigAttr> configureRouter(RouterOp op);
  FailureOr<CUDAConfigAttr> configureRows();

  KernelOp kernel;
  const cuda::Capabilities &capabilities;
};

/// Every block looks through all indices, so it takes as many rows as leave enough blocks: a few for each warp.
CUDAConfigAttr Configurator::configureScatter(ScatterAddOp op) {
  constexpr int64_t kThreads = 256, kWarps = kThreads / cuda::Capabilities::kWarpSize, kMostRows = 4 * kWarps;
  int64_t targets = op.getResult().getType().getDimSize(0), tokens = op.getRows().getType().getDimSize(0);
  int64_t rows = llvm::alignTo(llvm::divideCeil(targets, 4 * capabilities.kEnoughBlocks), kWarps);
  return make(kThreads, /*tileM=*/std::clamp(rows, kWarps, tokens > cuda::kScatterTurn ? kWarps : kMostRows));
}

/// A block for each multiprocessor, but no slice smaller than the block: every block reads all entries. With counts slices
/// are whole chunks.
CUDAConfigAttr Configurator::configurePlan(PlanOp op) {
  if (op.getCounts()) {
    int64_t entries = op.getIndices().getType().getNumElements();
    int64_t chunk = *op.getChunk() * op.getIndices().getType().getDimSize(1);
    int64_t share = std::max(cuda::kSliceEntries, 2 * entries / capabilities.kEnoughBlocks);
    return make(/*threads=*/512, /*tileM=*/llvm::alignTo(share, chunk));
  }
  int64_t entries = op.getIndices().getType().getNumElements(), threads = capabilities.kMostThreads;
  int64_t share = llvm::divideCeilSigned(entries, capabilities.kEnoughBlocks / 2);
  return make(threads, /*tileM=*/llvm::alignTo(share, threads));
}

FailureOr<CUDAConfigAttr> Configurator::configureRouter(RouterOp op) {
  RankedTensorType input = op.getInput().getType(), weight = op.getWeight().getType();
  if (!cuda::canRoute(input, weight))
    return kernel.emitOpError() << "multiplies " << input << " by " << weight
                                << ", but a router in one launch takes bf16 in rows of a multiple of 16 bytes and at most 512 "
                                   "experts; make it a matmul and a route";
  return cuda::RouterShape::choose(input.getDimSize(0), input.getDimSize(1), weight.getDimSize(0), capabilities)
      .toConfig(kernel.getContext());
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
  return make(shape.threads, shape.rows, shape.getThreadsPerRow() / shape.parts * shape.width, /*tileK=*/shape.parts);
}

FailureOr<CUDAConfigAttr> Configurator::configure() {
  Operation *structured = target::findStructuredOp(kernel);
  if (failed(target::checkElementTypes(kernel, "CUDA", /*allowsDoubles=*/!structured)))
    return failure();
  if (!structured)
    return configureRows();

  if (CUDAConfigAttr config = cuda::configureWarpgroupAttention(structured, capabilities))
    return config;
  return TypeSwitch<Operation *, FailureOr<CUDAConfigAttr>>(structured)
      .Case([&](MatmulOp op) -> FailureOr<CUDAConfigAttr> {
        if (CUDAConfigAttr config = cuda::configureWarpgroupMatmul(op, capabilities))
          return config;
        return cuda::configureMatmul(op, capabilities);
      })
      .Case([&](CombinedMatmulOp op) { return cuda::configureCombinedMatmul(op, capabilities); })
      .Case<AttentionOp, AttentionBackwardOp, CachedAttentionOp>(
          [&](Operation *op) { return cuda::configureAttention(op, capabilities); })
      .Case([&](DispatchOp op) { return make(256, /*tileM=*/4); })
      .Case([&](ScatterAddOp op) { return configureScatter(op); })
      .Case([&](PlanOp op) { return configurePlan(op); })
      .Case([&](RouterOp op) { return configureRouter(op); })
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
