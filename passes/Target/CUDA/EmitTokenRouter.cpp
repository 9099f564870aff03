//===- EmitTokenRouter.cpp - One token to its experts -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Logits of a single token, whose weights the threads of a cluster hold in registers: asked for before the kernel
/// waits for the one before it, they are there when the token is. A warp has some of its block's experts, and of those
/// the part of the contraction that its group has; lanes take neighbouring elements. What follows is RouterTile.h.
///
/// No tensor cores: they would form 7 products of nothing for each that is asked for, and their tiles take shared
/// memory, which blocks of the kernel before have not left yet.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/DependentLaunch.h"
#include "passes/Target/CUDA/EmitStructured.h"
#include "passes/Target/CUDA/RouterTile.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda {
namespace {

constexpr int64_t kTogether = RouterShape::kTokenElements;

class TokenLogits {
public:
  TokenLogits(BlockBuilder &b, moe_kernel::RouterOp op, EmitterContext &context, const RouterShape &shape,
              RouterTile &tile)
      : b(b), op(op), context(context), shape(shape), tile(tile), group(b.warp / shape.getWarpsOfGroup()),
        firstExpert(b.warp % shape.getWarpsOfGroup()), pieces(shape.depth / (kTogether * kWarpSize)),
        expertsOfWarp(llvm::divideCeil(shape.experts, shape.getWarpsOfGroup())) {}

  void emit();

private:
  Expr depthOf(int64_t piece) const {
    return group * shape.depth + (b.lane * kTogether + piece * kTogether * kWarpSize);
  }
  /// Null if it is certain.
  Expr isInside(int64_t piece) const {
    return shape.groups * shape.depth == tile.width ? Expr() : depthOf(piece) < tile.width;
  }
  Expr expertOf(int64_t i) const { return firstExpert + i * shape.getWarpsOfGroup(); }
  Expr exists(int64_t i) const;
  void loadWeights();
  SmallVector<Expr> loadToken();
  void unpack(Value chunk, SmallVectorImpl<Expr> &elements);

  BlockBuilder &b;
  moe_kernel::RouterOp op;
  EmitterContext &context;
  const RouterShape &shape;
  RouterTile &tile;
  Expr group, firstExpert; ///< Of the warp.
  int64_t pieces, expertsOfWarp;
  SmallVector<Value> weights; ///< Of each expert each piece: elements that lie together.
};

} // namespace

/// Whether this warp has an expert number `i`; null if it is certain.
Expr TokenLogits::exists(int64_t i) const {
  Expr expert = expertOf(i);
  return both(shape.experts % shape.getWarpsOfGroup() == 0 ? Expr() : expert < shape.experts,
              tile.experts % shape.experts == 0 ? Expr() : tile.firstExpert + expert < tile.experts);
}

void TokenLogits::loadWeights() {
  Value memory = b.operand(op.getWeight());
  for (int64_t i = 0; i < expertsOfWarp; ++i) {
    Expr start = (tile.firstExpert + expertOf(i)) * tile.width;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      Expr offset = start + depthOf(piece), isThere = both(exists(i), isInside(piece));
      // What is loaded instead meets zeros of the token, or is of no expert.
      weights.push_back(b.loadCoherent(memory, isThere ? select(isThere, offset, b.index(0)) : offset,
                                       b.builder.getI64Type()));
    }
  }
}

/// The elements of a chunk, in float32.
void TokenLogits::unpack(Value chunk, SmallVectorImpl<Expr> &elements) {
  auto one = VectorType::get(1, b.builder.getI64Type());
  Value vector = vector::FromElementsOp::create(b.builder, one, chunk);
  Expr unpacked = b.extend(b.wrap(
      vector::BitCastOp::create(b.builder, VectorType::get(kTogether, b.builder.getBF16Type()), vector)));
  for (int64_t i = 0; i < kTogether; ++i)
    elements.push_back(unpacked.extract(i));
}

SmallVector<Expr> TokenLogits::loadToken() {
  Value memory = b.operand(op.getInput());
  SmallVector<Expr> elements;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    Expr depth = depthOf(piece), inside = isInside(piece);
    for (Expr element : b.loadVector(memory, inside ? select(inside, depth, b.index(0)) : depth, kTogether))
      elements.push_back(inside ? select(inside, element, b.real(0)) : element);
  }
  return elements;
}

void TokenLogits::emit() {
  loadWeights();
  if (context.isSettled(op.getWeight()))
    waitForPreviousKernel(context, {op.getWeight()});
  SmallVector<Expr> token = loadToken();
  for (int64_t i = 0; i < expertsOfWarp; ++i) {
    SmallVector<Expr> elements;
    for (int64_t piece = 0; piece < pieces; ++piece)
      unpack(weights[i * pieces + piece], elements);
    SmallVector<Expr> sums(kTogether, b.real(0));
    for (auto [k, element] : llvm::enumerate(elements))
      sums[k % kTogether] = fma(element, token[k], sums[k % kTogether]);
    Expr sum = b.sumLanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
    b.ifThen(both(b.lane == 0, exists(i)), [&] { tile.storeSum(sum, group, b.index(0), expertOf(i)); });
  }
}

FailureOr<LaunchShape> emitTokenRouter(moe_kernel::RouterOp op, EmitterContext &context) {
  std::optional<RouterShape> shape = RouterShape::get(context.config);
  RankedTensorType input = op.getInput().getType();
  if (!shape || !canRoute(input, op.getWeight().getType()) || input.getDimSize(0) != 1)
    return op.emitError() << "cannot be emitted for " << context.config;
  if (failed(checkRouter(op, *shape)))
    return failure();
  BlockBuilder b(context);
  RouterTile tile(b, op, context, *shape);
  return tile.emit([&] { TokenLogits(b, op, context, *shape, tile).emit(); });
}

} // namespace mlir::moe::cuda
