//===- Optimizer.cpp - Gradient norm and AdamW ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/MoEToLinalg/Lowerings.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe {

/// Elements whose squares are added up by one work item: enough to be worth one, and few enough chunks for the last
/// sum, which is done by one item, to stay small whatever the size of the model.
static int64_t chooseChunk(int64_t elements) {
  constexpr int64_t kSmallestChunk = 4096, kMostChunks = 16384;
  return std::max<int64_t>(kSmallestChunk, llvm::PowerOf2Ceil(llvm::divideCeil(elements, kMostChunks)));
}

/// Sums of the chunks of all inputs of one type, added up.
static Value buildSumOfSquares(ArrayRef<Value> inputs, int64_t chunk, Type type, RowsBuilder &b) {
  int64_t chunks = 0;
  for (Value input : inputs)
    chunks += llvm::divideCeil(numElements(input), chunk);
  Value partial = moe_kernel::SumOfSquaresOp::create(b, RankedTensorType::get({chunks}, type), inputs, chunk);
  return b.reshape(b.sumVector(partial), {1});
}

static SmallVector<Value> lowerGlobalNorm(GlobalNormOp op, RowsBuilder &b) {
  Type type = getElementTypeOrSelf(op.getNorm());
  int64_t elements = 0;
  llvm::MapVector<Type, SmallVector<Value>> inputsOfType;
  for (Value input : op.getInputs()) {
    elements += numElements(input);
    inputsOfType[getElementTypeOrSelf(input)].push_back(input);
  }
  SmallVector<RowsBuilder::Input> sums;
  for (auto &[elementType, inputs] : inputsOfType)
    sums.push_back({buildSumOfSquares(inputs, chooseChunk(elements), type, b), {0}});
  Value norm = b.compute({1}, sums, {type, {0}}, [&](ValueRange v) {
    Value sum = v[0];
    for (size_t i = 1; i < sums.size(); ++i)
      sum = b.add(sum, v[i]);
    return b.sqrt(sum);
  });
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
  SmallVector<int64_t> flat{numElements(op.getParameter())};
  SmallVector<RowsBuilder::Input> inputs;
  for (Value tensor : {op.getParameter(), op.getGradient(), op.getExpAvg(), op.getExpAvgSq()})
    inputs.push_back({b.reshape(tensor, flat), {0}});
  for (Value scalar : {op.getGradNorm(), op.getLearningRate(), op.getBiasCorrection1(), op.getBiasCorrection2()})
    inputs.push_back({scalar, {}});
  if (op.getMaster())
    inputs.push_back({b.reshape(op.getMaster(), flat), {0}});
  SmallVector<RowsBuilder::Output> outputs;
  for (Value result : op->getResults())
    outputs.push_back({getElementTypeOrSelf(result), {0}});

  Type type = b.computeType(getElementTypeOrSelf(op.getParameter()));
  auto constant = [&](double value) { return b.constant(type, value); };
  double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble();
  auto update = b.generic(flat, inputs, outputs, [&](ValueRange v) -> SmallVector<Value> {
    Value parameter = op.getMaster() ? v[8] : v[0], expAvg = v[2], expAvgSq = v[3];
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
    Value isFinite = b.isFiniteNorm(gradNorm);
    SmallVector<Value> results{b.select(isFinite, b.sub(decayed, step), parameter), b.select(isFinite, m, expAvg),
                               b.select(isFinite, s, expAvgSq)};
    if (op.getMaster())
      results.push_back(results[0]); // The parameter is the master rounded, when it is stored.
    return results;
  });
  SmallVector<int64_t> inPlace{0, 2, 3};
  if (op.getMaster())
    inPlace.push_back(8);
  update->setAttr(kInPlaceAttrName, b.getDenseI64ArrayAttr(inPlace));
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
