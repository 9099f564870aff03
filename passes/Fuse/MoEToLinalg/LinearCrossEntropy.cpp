//===- LinearCrossEntropy.cpp - The loss of a projection, in chunks of tokens - -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/KernelLabels.h"
#include "passes/Fuse/MoEToLinalg/CrossEntropy.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::moe {

namespace {
/// A run of tokens.
struct Chunk {
  int64_t first, size;
};

/// Builds the ops of one chunk after the other.
class ChunkedLoss {
public:
  ChunkedLoss(RowsBuilder &b, Value hidden, Value weight, Value targets, Value weights, int64_t logitsBytes);

  /// The loss.
  Value buildForward();
  /// The loss and the gradients for `hidden` and `weight`.
  SmallVector<Value> buildBackward(Value lossGradient);

private:
  /// The part of `tensor` that belongs to a chunk, for a tensor whose outer dimensions are tokens.
  Value slice(Value tensor, Chunk chunk);
  /// Puts the parts that the chunks have computed together.
  Value concat(ArrayRef<Value> parts);
  Value buildMatmul(Value lhs, bool transposeLhs, Value rhs, bool transposeRhs, Type elementType, Value sum = {});
  LabelledLogits buildLogits(Chunk chunk, Value hiddenOfChunk);
  Value sumLosses(ArrayRef<Value> losses);

  RowsBuilder &b;
  Value hidden, weight, targets, weights;
  int64_t tokens;
  SmallVector<Chunk> chunks;
};
} // namespace

/// Divides the tokens so that the logits of a chunk take at most `logitsBytes`, or twice what the float32 gradient of
/// the weight takes if that is more (a chunk of twice as many tokens as the model is wide): every chunk reads and
/// writes all of that gradient, which is little beside the chunk's products only if the chunk is not short. Chunks
/// start at multiples of 128 tokens: tensors of four bytes a token and more are then divided at multiples of 256 bytes.
/// They are of one size where that is possible with at most twice the chunks, so that they share kernels.
static SmallVector<Chunk> divideTokens(int64_t tokens, int64_t vocabulary, int64_t width, int64_t logitsBytes) {
  constexpr int64_t kMultiple = 128;
  int64_t bytesPerToken = vocabulary * static_cast<int64_t>(sizeof(float));
  int64_t most = std::max<int64_t>(logitsBytes / bytesPerToken, 2 * width);
  if (tokens <= most)
    return {{0, tokens}};
  most = std::max<int64_t>(llvm::alignDown(most, kMultiple), kMultiple);
  int64_t fewest = llvm::divideCeil(tokens, most), size = llvm::alignTo(llvm::divideCeil(tokens, fewest), kMultiple);
  for (int64_t count = fewest; count <= 2 * fewest; ++count)
    if (tokens % (count * kMultiple) == 0) {
      size = tokens / count;
      break;
    }
  SmallVector<Chunk> chunks;
  for (int64_t first = 0; first < tokens; first += size)
    chunks.push_back({first, std::min(size, tokens - first)});
  return chunks;
}

ChunkedLoss::ChunkedLoss(RowsBuilder &b, Value hidden, Value weight, Value targets, Value weights, int64_t logitsBytes)
    : b(b), hidden(hidden), weight(weight), targets(targets), weights(weights), tokens(shapeOf(hidden)[0]),
      chunks(divideTokens(tokens, shapeOf(weight)[0], shapeOf(weight)[1], logitsBytes)) {}

Value ChunkedLoss::slice(Value tensor, Chunk chunk) {
  if (chunk.size == tokens)
    return tensor;
  int64_t columns = numElements(tensor) / tokens;
  SmallVector<int64_t> shape{chunk.size};
  if (tensor == hidden)
    shape.push_back(columns);
  auto type = RankedTensorType::get(shape, getElementTypeOrSelf(tensor));
  return moe_kernel::SliceOp::create(b, type, tensor, chunk.first * columns);
}

Value ChunkedLoss::concat(ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts.front();
  SmallVector<int64_t> shape(shapeOf(parts.front()));
  shape.front() = tokens;
  return moe_kernel::ConcatOp::create(b, RankedTensorType::get(shape, getElementTypeOrSelf(parts.front())), parts);
}

/// op(lhs) · op(rhs), plus `sum` in its memory.
Value ChunkedLoss::buildMatmul(Value lhs, bool transposeLhs, Value rhs, bool transposeRhs, Type elementType,
                               Value sum) {
  Attribute full = moe_kernel::TileExtentAttr::get(b.getContext(), moe_kernel::TileExtent::full);
  auto type = RankedTensorType::get({shapeOf(lhs)[transposeLhs ? 1 : 0], shapeOf(rhs)[transposeRhs ? 0 : 1]},
                                    elementType);
  auto matmul = moe_kernel::MatmulOp::create(
      b, type, lhs, rhs, /*offsets=*/Value(), /*row_index=*/Value(), sum ? ValueRange(sum) : ValueRange(),
      moe_kernel::MatmulKind::dense, transposeLhs, transposeRhs, /*paired=*/false, /*gather_rhs=*/false,
      /*row_divisor=*/1, b.getArrayAttr(sum ? ArrayRef(full) : ArrayRef<Attribute>()), b.getArrayAttr(full));
  if (sum) {
    matmul->setAttr(kLabelsAttrName, b.getStrArrayAttr({"accumulate"}));
    matmul->setAttr(kInPlaceAttrName, b.getDenseI64ArrayAttr({matmul->getNumOperands() - 1}));
  }

  OpBuilder::InsertionGuard guard(b);
  Block *epilogue = b.createBlock(&matmul.getEpilogue());
  Value value = epilogue->addArgument(b.getF32Type(), b.getLoc());
  if (sum)
    value = b.add(epilogue->addArgument(elementType, b.getLoc()), value);
  Value stored = b.round(value, elementType);
  moe_kernel::YieldOp::create(b, stored);
  return matmul.getResult(0);
}

LabelledLogits ChunkedLoss::buildLogits(Chunk chunk, Value hiddenOfChunk) {
  Value logits = buildMatmul(hiddenOfChunk, false, weight, true, b.getF32Type());
  return {logits, slice(targets, chunk), slice(weights, chunk)};
}

/// In the order of the tokens, whatever the chunks.
Value ChunkedLoss::sumLosses(ArrayRef<Value> losses) {
  b.setLabel("sum");
  return b.sumVector(concat(losses));
}

Value ChunkedLoss::buildForward() {
  SmallVector<Value> losses;
  for (Chunk chunk : chunks)
    losses.push_back(buildTokenLosses(b, buildLogits(chunk, slice(hidden, chunk))).losses);
  return sumLosses(losses);
}

SmallVector<Value> ChunkedLoss::buildBackward(Value lossGradient) {
  Type elementType = getElementTypeOrSelf(hidden), sumType = chunks.size() == 1 ? elementType : b.getF32Type();
  SmallVector<Value> losses, hiddenGradients;
  Value weightGradient;
  for (Chunk chunk : chunks) {
    Value hiddenOfChunk = slice(hidden, chunk);
    LabelledLogits logits = buildLogits(chunk, hiddenOfChunk);
    TokenLosses tokenLosses = buildTokenLosses(b, logits);
    losses.push_back(tokenLosses.losses);
    Value gradient = buildLogitsGradient(b, logits, tokenLosses.lse, lossGradient, elementType);
    if (gradient.getType() == logits.logits.getType())
      gradient.getDefiningOp()->setAttr(kInPlaceAttrName, b.getDenseI64ArrayAttr({0}));
    hiddenGradients.push_back(buildMatmul(gradient, false, weight, false, elementType));
    weightGradient = buildMatmul(gradient, true, hiddenOfChunk, false, sumType, weightGradient);
  }
  if (sumType != elementType)
    weightGradient = b.compute(shapeOf(weightGradient), {{weightGradient, {0, 1}}}, {elementType, {0, 1}},
                               [](ValueRange v) { return v[0]; });
  Value hiddenGradient = concat(hiddenGradients);
  return {sumLosses(losses), hiddenGradient, weightGradient};
}

void populateLinearCrossEntropyLowerings(RewritePatternSet &patterns, int64_t logitsBytes) {
  addLowering<LinearCrossEntropyOp>(patterns, [=](LinearCrossEntropyOp op, RowsBuilder &b) {
    ChunkedLoss loss(b, op.getHidden(), op.getWeight(), op.getTargets(), op.getWeights(), logitsBytes);
    return SmallVector<Value>{loss.buildForward()};
  });
  addLowering<LinearCrossEntropyBackwardOp>(patterns, [=](LinearCrossEntropyBackwardOp op, RowsBuilder &b) {
    ChunkedLoss loss(b, op.getHidden(), op.getWeight(), op.getTargets(), op.getWeights(), logitsBytes);
    return loss.buildBackward(op.getLossGradient());
  });
}

} // namespace mlir::moe
