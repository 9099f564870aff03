//===- SplitAttentionBackward.cpp - Gradients of attention in two kernels --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Hopper/SplitAttentionBackward.h"
#include "passes/Target/CUDA/Hopper/ConfigureAttention.h"
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir::moe_kernel;

namespace mlir::moe::cuda {

/// A kernel without a body, before `next`.
static KernelOp createKernel(KernelOp next, const Twine &name, TypeRange arguments, TypeRange results) {
  OpBuilder builder(next);
  auto kernel = KernelOp::create(builder, next.getLoc(), name.str(), builder.getFunctionType(arguments, results),
                                 /*arg_attrs=*/ArrayAttr(), /*res_attrs=*/ArrayAttr(), /*config=*/Attribute());
  Block &body = kernel.getBody().emplaceBlock();
  body.addArguments(arguments, SmallVector<Location>(arguments.size(), next.getLoc()));
  return kernel;
}

/// delta[t, h] = Σ_d result[t, h, d] · gradient[t, h, d], in float32.
static KernelOp createDelta(KernelOp backward, AttentionBackwardOp op) {
  RankedTensorType type = op.getResult().getType(), deltaType = op.getLse().getType();
  Type gradientType = op.getResultGradient().getType();
  KernelOp kernel = createKernel(backward, backward.getSymName() + "_delta", {type, gradientType}, deltaType);
  Block &body = kernel.getBody().front();
  auto b = ImplicitLocOpBuilder::atBlockBegin(backward.getLoc(), &body);

  int64_t tokens = type.getDimSize(0), heads = op.getNumHeads(), headDim = type.getDimSize(1) / heads;
  SmallVector<Value> inputs = llvm::map_to_vector(body.getArguments(), [&](Value argument) -> Value {
    auto byHead = RankedTensorType::get({tokens, heads, headDim}, getElementTypeOrSelf(argument));
    return tensor::ExpandShapeOp::create(b, byHead, argument, SmallVector<ReassociationIndices>{{0}, {1, 2}});
  });
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  Value init = tensor::EmptyOp::create(b, deltaType.getShape(), b.getF32Type());
  init = linalg::FillOp::create(b, zero, init).getResult(0);

  AffineMap all = b.getMultiDimIdentityMap(3), heads2 = all.getMajorSubMap(2);
  using utils::IteratorType;
  auto sum = linalg::GenericOp::create(
      b, TypeRange(deltaType), inputs, ValueRange(init), ArrayRef<AffineMap>{all, all, heads2},
      ArrayRef<IteratorType>{IteratorType::parallel, IteratorType::parallel, IteratorType::reduction},
      [](OpBuilder &builder, Location loc, ValueRange elements) {
        auto widen = [&](Value value) -> Value {
          return value.getType().isF32() ? value : arith::ExtFOp::create(builder, loc, builder.getF32Type(), value);
        };
        Value product = arith::MulFOp::create(builder, loc, widen(elements[0]), widen(elements[1]));
        linalg::YieldOp::create(builder, loc, ValueRange(arith::AddFOp::create(builder, loc, elements[2], product)));
      });
  ReturnOp::create(b, sum.getResults());
  return kernel;
}

/// The same kernel with delta in place of the result.
static KernelOp createGradients(KernelOp backward, AttentionBackwardOp op) {
  // The arguments of the new kernel are the op's operands, in the op's order.
  SmallVector<Type> types{op.getQuery().getType(), op.getKey().getType(), op.getValue().getType(),
                          op.getLse().getType(),   op.getLse().getType(), op.getResultGradient().getType()};
  if (Value positions = op.getPositions())
    types.push_back(positions.getType());
  KernelOp kernel = createKernel(backward, backward.getSymName(), types, op.getResultTypes());
  Block &body = kernel.getBody().front();
  auto b = ImplicitLocOpBuilder::atBlockBegin(op.getLoc(), &body);
  auto arguments = body.getArguments();
  auto gradients = AttentionGradientsOp::create(
      b, op.getResultTypes(), arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5],
      op.getPositions() ? Value(arguments[6]) : Value(), op.getNumHeads(), op.getNumKvHeads(), op.getSequenceLength());
  ReturnOp::create(b, gradients.getResults());
  return kernel;
}

/// The launch of `backward`, of kernel `delta` and then `gradients`.
static void splitLaunch(LaunchOp launch, AttentionBackwardOp op, KernelOp delta, KernelOp gradients) {
  OpBuilder builder(launch);
  auto input = [&](Value operand) { return launch.getInputs()[cast<BlockArgument>(operand).getArgNumber()]; };
  SmallVector<Value> factors{input(op.getResult()), input(op.getResultGradient())};
  auto sums = LaunchOp::create(builder, launch.getLoc(), delta.getResultTypes(), delta.getSymName(), factors,
                               launch.getLabelAttr());
  SmallVector<Value> inputs{input(op.getQuery()), input(op.getKey()), input(op.getValue()),
                            input(op.getLse()),   sums.getResult(0),  input(op.getResultGradient())};
  if (Value positions = op.getPositions())
    inputs.push_back(input(positions));
  auto replacement = LaunchOp::create(builder, launch.getLoc(), launch.getResultTypes(), gradients.getSymName(), inputs,
                                      launch.getLabelAttr());
  launch.replaceAllUsesWith(replacement);
  launch.erase();
}

static void split(KernelOp backward, AttentionBackwardOp op, ModuleOp module) {
  SmallVector<LaunchOp> launches;
  module.walk([&](LaunchOp launch) {
    if (launch.getKernel() == backward.getSymName())
      launches.push_back(launch);
  });
  SymbolTable symbols(module);
  KernelOp delta = createDelta(backward, op);
  symbols.insert(delta);
  KernelOp gradients = createGradients(backward, op);
  for (LaunchOp launch : launches)
    splitLaunch(launch, op, delta, gradients);
  backward.erase();
}

void splitAttentionBackward(ModuleOp module, const Capabilities &capabilities) {
  for (auto kernel : llvm::make_early_inc_range(module.getOps<KernelOp>())) {
    auto op = dyn_cast_or_null<AttentionBackwardOp>(target::findStructuredOp(kernel));
    if (op && canUseWarpgroups(op, capabilities))
      split(kernel, op, module);
  }
}

} // namespace mlir::moe::cuda
