//===- EmitLaunches.cpp - Kernels that launch others ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/EmitLaunches.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

/// Multiplications of a launch, where they may take longer than reading the operands; 0 elsewhere.
static int64_t getProducts(KernelOp kernel) {
  auto matmul = dyn_cast_or_null<MatmulOp>(target::findStructuredOp(kernel));
  if (!matmul)
    return 0;
  int64_t depth = matmul.getLhs().getType().getShape()[matmul.getTransposeLhs() ? 0 : 1];
  return depth * cast<ShapedType>(matmul.getResult(0).getType()).getNumElements() * (matmul.getPaired() ? 2 : 1);
}

bool fusesHorizontally(ArrayRef<KernelOp> kernels) {
  // About five microseconds of an H100. What takes longer has little to gain.
  constexpr int64_t kMostBytes = 16 << 20, kMostProducts = 64 << 20;
  // Parameters are 4 KB, of which tensor maps would take 128 bytes each.
  constexpr unsigned kMostKernels = 4, kMostBuffers = 96;
  // Threads that end at once still need a place on the multiprocessor.
  constexpr int64_t kMostThreadRatio = 8;
  int64_t bytes = 0, products = 0, fewestThreads = Capabilities::kMostThreads, mostThreads = 1;
  unsigned buffers = 0;
  for (KernelOp kernel : kernels) {
    auto config = dyn_cast_or_null<CUDAConfigAttr>(kernel.getConfigAttr());
    // Warpgroups share out the registers of whole blocks, and are for much work.
    if (!config || config.getUnit() == CUDAUnit::wgmma)
      return false;
    // Few blocks that go over the same data again and again, or that are long for other reasons.
    Operation *structured = target::findStructuredOp(kernel);
    if (isa_and_nonnull<AttentionOp, AttentionBackwardOp, ScatterAddOp>(structured))
      return false;
    bytes += target::getCompulsoryBytes(kernel);
    products += getProducts(kernel);
    buffers += kernel.getNumArguments() + kernel.getNumResults();
    fewestThreads = std::min<int64_t>(fewestThreads, config.getThreads());
    mostThreads = std::max<int64_t>(mostThreads, config.getThreads());
  }
  return kernels.size() <= kMostKernels && buffers <= kMostBuffers && bytes <= kMostBytes && products <= kMostProducts &&
         mostThreads <= kMostThreadRatio * fewestThreads;
}

//===----------------------------------------------------------------------===//
// How
//===----------------------------------------------------------------------===//

namespace {
class LaunchesEmitter {
public:
  LaunchesEmitter(EmitterContext &context, function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitBody)
      : context(context), builder(context.builder), emitBody(emitBody),
        block(gpu::BlockIdOp::create(builder, gpu::Dimension::x)),
        thread(gpu::ThreadIdOp::create(builder, gpu::Dimension::x)) {
    for (KernelOp part : target::getParts(context.kernel))
      threads = std::max<int64_t>(threads, cast<CUDAConfigAttr>(part.getConfigAttr()).getThreads());
  }

  LogicalResult emit(LaunchOp launch, KernelOp part, unsigned firstResult, SmallVectorImpl<Block *> &bodies);
  LaunchShape getShape() const { return {{blocks, 1, 1}, {threads, 1, 1}, flops}; }

private:
  Value isBelow(Value number, Value limit) {
    return arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, number, limit);
  }
  void adaptBlocks(Block *body, Value number, int64_t partThreads);

  EmitterContext &context;
  ImplicitLocOpBuilder &builder;
  function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitBody;
  Value block, thread;
  int64_t blocks = 0, threads = 1, flops = 0;
};
} // namespace

LogicalResult LaunchesEmitter::emit(LaunchOp launch, KernelOp part, unsigned firstResult,
                                    SmallVectorImpl<Block *> &bodies) {
  auto config = cast<CUDAConfigAttr>(part.getConfigAttr());
  Value number = block;
  if (blocks > 0)
    number = arith::SubIOp::create(builder, block, arith::ConstantIndexOp::create(builder, blocks));
  auto count = arith::ConstantIndexOp::create(builder, 0); // Known when the part is emitted.
  Value isHere = isBelow(number, count);
  if (config.getThreads() < threads)
    isHere = arith::AndIOp::create(builder, isHere,
                                   isBelow(thread, arith::ConstantIndexOp::create(builder, config.getThreads())));
  auto branch = scf::IfOp::create(builder, isHere, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  bodies.push_back(branch.thenBlock());

  EmitterContext inner{builder, part, config,
                       llvm::map_to_vector(launch.getInputs(), [&](Value input) { return context.lookup(input); }),
                       SmallVector<Value>(ArrayRef(context.results).slice(firstResult, launch.getNumResults()))};
  inner.tensorMaps = std::move(context.tensorMaps);
  FailureOr<LaunchShape> shape = emitBody(inner);
  context.tensorMaps = std::move(inner.tensorMaps);
  if (failed(shape))
    return failure();
  assert(shape->grid[1] * shape->grid[2] == 1 && shape->block[0] == config.getThreads() && "blocks lie along x");
  count.setValueAttr(builder.getIndexAttr(shape->grid[0]));
  adaptBlocks(branch.thenBlock(), number, config.getThreads());
  context.sharedBytes = std::max(context.sharedBytes, inner.sharedBytes);
  blocks += shape->grid[0];
  flops += shape->flops;
  return success();
}

/// Blocks are numbered from 0 in each part, and only its own threads meet at barriers.
void LaunchesEmitter::adaptBlocks(Block *body, Value number, int64_t partThreads) {
  body->walk([&](Operation *op) {
    if (isa<gpu::BlockIdOp>(op)) {
      op->replaceAllUsesWith(ValueRange{number});
      op->erase();
    } else if (isa<gpu::BarrierOp>(op) && partThreads < threads) {
      ImplicitLocOpBuilder before(op->getLoc(), op);
      auto i32 = [&](int64_t value) -> Value { return arith::ConstantIntOp::create(before, before.getI32Type(), value); };
      NVVM::BarrierOp::create(before, TypeRange(), i32(0), i32(partThreads), NVVM::BarrierReductionAttr(), Value());
      op->erase();
    }
  });
}

FailureOr<LaunchShape> emitLaunches(EmitterContext &context,
                                    function_ref<FailureOr<LaunchShape>(EmitterContext &)> emitBody,
                                    SmallVectorImpl<Block *> &bodies) {
  bodies.clear();
  LaunchesEmitter emitter(context, emitBody);
  unsigned firstResult = 0;
  auto launches = context.kernel.getBody().getOps<LaunchOp>();
  for (auto [launch, part] : llvm::zip_equal(launches, target::getParts(context.kernel))) {
    if (failed(emitter.emit(launch, part, firstResult, bodies)))
      return failure();
    firstResult += launch.getNumResults();
  }
  return emitter.getShape();
}

} // namespace mlir::moe::cuda
