//===- EmitRouter.cpp - From tokens to experts by warpgroups ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Logits by wgmma; the rest is RouterTile.h. One warpgroup brings stages of 64 elements of tokens and weights by TMA,
/// two multiply: of 128 tokens 64 each; of 64 tokens all of them, in turns of a stage, and their sums are added in the
/// end.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/EmitHopper.h"
#include "passes/Target/CUDA/Hopper/HopperBuilder.h"
#include "passes/Target/CUDA/RouterTile.h"

namespace mlir::moe::cuda {
namespace {

constexpr int64_t kStageDepth = 64, kSteps = kStageDepth / kMatmulDepth;

class WarpgroupLogits {
public:
  WarpgroupLogits(HopperBuilder &b, moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape,
                  RouterTile &router);
  void emit();

private:
  struct Position {
    Expr stage, parity;
  };
  /// `distance` stages further on; rings are a multiple of it.
  Position next(Position at, int64_t distance);
  Expr getLhs(Expr stage) { return lhsBase + stage * lhs.getBytes(); }
  Expr getRhs(Expr stage) { return rhsBase + stage * rhs.getBytes(); }
  int64_t countStages() const { return llvm::divideCeil(router.width, kStageDepth); }
  bool takesTurns() const { return shape.groups > 1; }
  void produce();
  void consume();
  Value multiply(Value accumulators, Expr stage, bool overwrites);
  void release(Expr stage) {
    b.ifThen(b.threadInGroup == 0, [&] { b.arrive(empty + stage * 8); });
  }

  HopperBuilder &b;
  RouterShape shape;
  RouterTile &router;
  OperandTile lhs, rhs;
  Value lhsMap, rhsMap;
  Expr lhsBase, rhsBase, full, empty;
};

} // namespace

WarpgroupLogits::WarpgroupLogits(HopperBuilder &b, moe_kernel::RouterOp op, EmitterContext &context,
                                 const RouterShape &shape, RouterTile &router)
    : b(b), shape(shape),
      router(router), lhs{Major::contraction, shape.rows, kStageDepth}, rhs{Major::contraction, shape.experts,
                                                                            kStageDepth} {
  auto map = [&](Value tensor, int64_t total, int64_t rows) {
    return context.tensorMap(context.lookup(tensor), {router.width, total}, {2 * router.width}, {kStageDepth, rows},
                             kSwizzleBytes);
  };
  lhsMap = map(op.getInput(), router.tokens, shape.rows);
  rhsMap = map(op.getWeight(), router.experts, shape.experts);
  lhsBase = b.allocateBytes(shape.stages * lhs.getBytes());
  rhsBase = b.allocateBytes(shape.stages * rhs.getBytes());
  full = b.allocateBarriers(shape.stages);
  empty = b.allocateBarriers(shape.stages);
}

WarpgroupLogits::Position WarpgroupLogits::next(Position at, int64_t distance) {
  Expr following = at.stage + distance, wraps = following > shape.stages - 1;
  return {select(wraps, following - shape.stages, following), select(wraps, at.parity ^ b.i32(1), at.parity)};
}

void WarpgroupLogits::produce() {
  auto fillAll = [&] {
    Expr token = router.firstToken.toI32(), expert = router.firstExpert.toI32();
    b.loopWhile(
        {b.i32(0), b.i32(0), b.i32(0)}, [&](ArrayRef<Expr> carried) { return carried[0] < countStages(); },
        [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
          Position at{carried[1], carried[2]}, following = next(at, 1);
          Expr barrier = full + at.stage * 8, depth = carried[0] * kStageDepth;
          b.wait(empty + at.stage * 8, at.parity ^ b.i32(1));
          b.arriveExpecting(barrier, b.i32(lhs.getBytes() + rhs.getBytes()));
          b.copyBoxToShared(lhsMap, {depth, token}, getLhs(at.stage), barrier);
          b.copyBoxToShared(rhsMap, {depth, expert}, getRhs(at.stage), barrier);
          return {carried[0] + 1, following.stage, following.parity};
        });
  };
  b.ifThen(b.threadInGroup / kWarpSize == 0, [&] {
    b.ifThen(b.elect(), fillAll);
    b.warpBarrier(); // The whole warp goes on.
  });
}

/// Accumulators += tokens · weightsᵀ of a stage.
Value WarpgroupLogits::multiply(Value accumulators, Expr stage, bool overwrites) {
  Expr group = b.warpgroup - 1, left = b.descriptor(lhs, getLhs(stage)), right = b.descriptor(rhs, getRhs(stage));
  if (!takesTurns())
    left = b.descriptor(lhs, getLhs(stage) + group * (lhs.getRowOffset(kWarpgroupRows) * 16));
  b.fenceMatmuls();
  for (int64_t step = 0; step < kSteps; ++step)
    accumulators = b.matmul(accumulators, left + lhs.getStepOffset(step), lhs.major, right + rhs.getStepOffset(step),
                            rhs.major, !(overwrites && step == 0));
  b.commitMatmuls();
  return accumulators;
}

void WarpgroupLogits::consume() {
  Expr group = b.warpgroup - 1;
  int64_t turns = takesTurns() ? shape.groups : 1;
  Position at{takesTurns() ? group : b.i32(0), b.i32(0)};
  b.wait(full + at.stage * 8, at.parity);
  Value accumulators = multiply(b.undefinedAccumulators(shape.experts), at.stage, /*overwrites=*/true);
  Position second = next(at, turns);
  // Carried: the number of the stage, its position, the stage before, the accumulators.
  auto last = b.loopWhile(
      {takesTurns() ? group + turns : b.i32(1), second.stage, second.parity, at.stage, b.wrap(accumulators)},
      [&](ArrayRef<Expr> carried) { return carried[0] < countStages(); },
      [&](ArrayRef<Expr> carried) -> SmallVector<Expr> {
        Position at{carried[1], carried[2]}, following = next(at, turns);
        b.wait(full + at.stage * 8, at.parity);
        Value sums = multiply(carried[4], at.stage, /*overwrites=*/false);
        b.waitForMatmuls(1);
        release(carried[3]);
        return {carried[0] + turns, following.stage, following.parity, at.stage, b.wrap(sums)};
      });
  SmallVector<Expr> values = b.unpack(b.waitForMatmuls(0, {Value(last[4])}).front());

  Expr thread = b.thread % kWarpgroupSize, number = group.toIndex();
  Expr row = thread / kWarpSize * 16 + thread % kWarpSize / 4, column = thread % 4 * 2;
  if (!takesTurns())
    row = row + number * kWarpgroupRows;
  for (auto [i, value] : llvm::enumerate(values))
    router.storeSum(value, takesTurns() ? number : b.index(0), row + static_cast<int64_t>(i) % 4 / 2 * 8,
                    column + (static_cast<int64_t>(i) / 4 * 8 + static_cast<int64_t>(i) % 2));
}

void WarpgroupLogits::emit() {
  b.ifThen(b.thread == 0, [&] {
    for (int64_t stage = 0; stage < shape.stages; ++stage) {
      b.initBarrier(full + stage * 8, 1);
      b.initBarrier(empty + stage * 8, takesTurns() ? 1 : 2);
    }
  });
  b.publishBarriers();
  b.ifThenElse(
      b.warpgroup == 0, [&] { produce(); }, [&] { consume(); });
}

FailureOr<LaunchShape> emitWarpgroupRouter(moe_kernel::RouterOp op, EmitterContext &context) {
  std::optional<RouterShape> shape = RouterShape::get(context.config);
  if (!shape || !canRoute(op.getInput().getType(), op.getWeight().getType()) ||
      op.getInput().getType().getDimSize(1) <= kStageDepth)
    return op.emitError() << "cannot be emitted for " << context.config;
  if (failed(checkRouter(op, *shape)))
    return failure();
  HopperBuilder b(context);
  RouterTile router(b, op, context, *shape);
  WarpgroupLogits logits(b, op, context, *shape, router);
  return router.emit([&] { logits.emit(); });
}

} // namespace mlir::moe::cuda
