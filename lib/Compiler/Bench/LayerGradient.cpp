//===- LayerGradient.cpp - A layer's forward and backward halves --- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Bench/LayerGradient.h"

#include "passes/Objective/Backward.h"
#include "passes/Objective/Residuals.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace mlir::moe;

/// Makes the values of `forward` that `backward` uses arguments of the latter: its arguments first, then further results
/// of the forward half.
static void passResiduals(func::FuncOp forward, func::FuncOp backward) {
  Block &body = forward.front();
  Operation *terminator = body.getTerminator();
  unsigned position = 0;
  auto pass = [&](Value value) {
    (void)backward.insertArgument(position, value.getType(), {}, value.getLoc());
    value.replaceUsesWithIf(backward.getArgument(position), [&](OpOperand &use) {
      return use.getOwner()->getBlock() == &backward.front();
    });
    ++position;
  };
  SmallVector<Value> residuals = collectResiduals(body, backward.front());
  for (BlockArgument argument : body.getArguments())
    pass(argument);
  for (Value value : residuals) {
    if (isa<BlockArgument>(value))
      continue;
    (void)forward.insertResult(forward.getNumResults(), value.getType(), {});
    terminator->insertOperands(terminator->getNumOperands(), value);
    pass(value);
  }
}

FailureOr<bench::LayerHalves> bench::buildHalves(func::FuncOp layer) {
  OpBuilder builder(layer.getContext());
  func::FuncOp forward = layer.clone();
  forward.setName((layer.getName() + "_forward").str());
  Type resultType = layer.getResultTypes().front();
  auto backward = func::FuncOp::create(layer.getLoc(), (layer.getName() + "_backward").str(),
                                       builder.getFunctionType(resultType, layer.getArgumentTypes()));
  backward.setPrivate();
  builder.setInsertionPointAfter(layer);
  builder.insert(forward);
  builder.insert(backward);

  Block &body = *backward.addEntryBlock();
  builder.setInsertionPointToEnd(&body);
  SmallVector<Value> arguments(forward.getArguments());
  Value result = forward.front().getTerminator()->getOperand(0);
  Activity activity(forward, arguments, result);
  BackwardBuilder gradients(activity, builder);
  gradients.addGradient(result, body.getArgument(0));
  if (failed(gradients.differentiate(forward.front())))
    return failure();
  auto returned = llvm::map_to_vector(arguments, [&](Value argument) { return gradients.getGradient(argument); });
  func::ReturnOp::create(builder, layer.getLoc(), returned);
  finishGradients(body);
  recomputeResiduals(forward.front(), body, ActivationCheckpointing::selective);
  passResiduals(forward, backward);
  return LayerHalves{forward, backward};
}
