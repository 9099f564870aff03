//===- Optimizer.cpp - Gradient norm and AdamW ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::moe {

/// Elements whose squares are added up by one work item: enough to be worth one, and few enough chunks for the last
/// sum, which is done by one item, to stay small whatever the size of the model.
static int64_t chooseChunk(int64_t elements) {
  constexpr int64_t kSmallestChunk = 4096, kMostChunks = 16384;
  return std::max<int64_t>(kSmallestChunk, llvm::PowerOf2Ceil(llvm::divideCeil(elements, kMostChunks)));
}

static SmallVector<Value> lowerGlobalNorm(GlobalNormOp op, RowsBuilder &b) {
  Type type = getElementTypeOrSelf(op.getNorm());
  int64_t elements = 0, chunks = 0;
  for (Value input : op.getInputs())
    elements += numElements(input);
  int64_t chunk = chooseChunk(elements);
  for (Value input : op.getInputs())
    chunks += llvm::divideCeil(numElements(input), chunk);

  Value partial = moe_kernel::SumOfSquaresOp::create(b, RankedTensorType::get({chunks}, type), op.getInputs(), chunk);
  Value sum = b.reshape(b.sumVector(partial), {1});
  Value norm = b.compute({1}, {{sum, {0}}}, {type, {0}}, [&](ValueRange v) { return b.sqrt(v[0]); });
  return {b.toModelShape(norm, {})};
}

/// Parameters that one kernel updates: enough to have few launches, and few enough buffers for any target.
static constexpr int64_t kUpdatesPerKernel = 8;

/// Whether what `op` computes is written to variables and not needed by any computation.
static bool isOnlyWritten(AdamWOp op) {
  return llvm::all_of(op->getUsers(), [](Operation *user) { return isa<WriteOp>(user); });
}

/// All elements as one flat loop, in place.
static SmallVector<Value> lowerAdamW(AdamWOp op, RowsBuilder &b) {
  Type type = getElementTypeOrSelf(op.getParameter());
  SmallVector<int64_t> flat{numElements(op.getParameter())};
  SmallVector<RowsBuilder::Input> inputs;
  for (Value tensor : {op.getParameter(), op.getGradient(), op.getExpAvg(), op.getExpAvgSq()})
    inputs.push_back({b.reshape(tensor, flat), {0}});
  for (Value scalar : {op.getGradNorm(), op.getLearningRate(), op.getBiasCorrection1(), op.getBiasCorrection2()})
    inputs.push_back({scalar, {}});

  auto constant = [&](double value) { return b.constant(type, value); };
  double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble();
  RowsBuilder::Output output{type, {0}};
  auto update = b.generic(flat, inputs, {output, output, output}, [&](ValueRange v) -> SmallVector<Value> {
    Value parameter = v[0], expAvg = v[2], expAvgSq = v[3];
    Value gradNorm = v[4], learningRate = v[5], correction1 = v[6], correction2 = v[7];
    Value ratio = b.div(constant(op.getMaxGradNorm().convertToDouble()), b.add(gradNorm, constant(1e-6)));
    Value gradient = b.mul(v[1], arith::MinimumFOp::create(b, constant(1.0), ratio));
    Value m = b.add(b.mul(constant(beta1), expAvg), b.mul(constant(1.0 - beta1), gradient));
    Value squared = b.mul(gradient, gradient);
    Value s = b.add(b.mul(constant(beta2), expAvgSq), b.mul(constant(1.0 - beta2), squared));
    Value root = b.add(b.sqrt(b.div(s, correction2)), constant(op.getEpsilon().convertToDouble()));
    Value step = b.mul(learningRate, b.div(b.div(m, correction1), root));
    double weightDecay = op.getWeightDecay().convertToDouble();
    Value decay = b.sub(constant(1.0), b.mul(learningRate, constant(weightDecay)));
    Value decayed = weightDecay == 0.0 ? parameter : b.mul(parameter, decay);
    return {b.sub(decayed, step), m, s};
  });
  update->setAttr(kInPlaceAttrName, b.getDenseI64ArrayAttr({0, 2, 3}));
  if (isOnlyWritten(op))
    update->setAttr(kBatchAttrName, b.getI64IntegerAttr(kUpdatesPerKernel));

  SmallVector<Value> results;
  for (Value result : update.getResults())
    results.push_back(b.toModelShape(result, shapeOf(op.getParameter())));
  return results;
}

void populateOptimizerLowerings(RewritePatternSet &patterns) {
  addLowering(patterns, lowerGlobalNorm);
  addLowering(patterns, lowerAdamW);
}

} // namespace mlir::moe
