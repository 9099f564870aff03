//===- MoEKernelVerifiers.cpp - Verifiers of structured ops -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"

using namespace mlir;
using namespace mlir::moe_kernel;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

static std::string toString(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '[';
  llvm::interleaveComma(shape, stream);
  stream << ']';
  return text;
}

static LogicalResult verifyRank(Operation *op, StringRef name, Value value, size_t rank) {
  if (shapeOf(value).size() == rank)
    return success();
  return op->emitOpError() << name << " has rank " << shapeOf(value).size() << " but rank " << rank << " is needed";
}

/// "offsets has shape [4] but 4 experts need [5]".
static LogicalResult verifyShape(Operation *op, StringRef name, Value value, ArrayRef<int64_t> expected,
                                 const Twine &who) {
  if (shapeOf(value) == expected)
    return success();
  return op->emitOpError() << name << " has shape " << toString(shapeOf(value)) << " but " << who << " need "
                           << toString(expected);
}

/// "positions has 6 elements but 8 tokens need 8".
static LogicalResult verifyElements(Operation *op, StringRef name, Value value, int64_t expected, const Twine &who) {
  int64_t elements = llvm::product_of(shapeOf(value));
  if (elements == expected)
    return success();
  return op->emitOpError() << name << " has " << elements << " elements but " << who << " need " << expected;
}

static LogicalResult verifyInt32(Operation *op, StringRef name, Value value) {
  if (getElementTypeOrSelf(value).isInteger(32))
    return success();
  return op->emitOpError() << name << " has element type " << getElementTypeOrSelf(value) << " but must be i32";
}

/// What is not rounded between kernels: statistics, scores, routing weights.
static LogicalResult verifyFloat32(Operation *op, StringRef name, Value value) {
  if (getElementTypeOrSelf(value).isF32())
    return success();
  return op->emitOpError() << name << " has element type " << getElementTypeOrSelf(value) << " but must be f32";
}

/// A float type that kernels read and write, computing in float32.
static LogicalResult verifyFloat(Operation *op, StringRef name, Value value) {
  if (Type element = getElementTypeOrSelf(value); element.isF32() || element.isBF16())
    return success();
  return op->emitOpError() << name << " has element type " << getElementTypeOrSelf(value) << " but must be f32 or bf16";
}

/// "key has element type f32 but query has bf16".
static LogicalResult verifySameElement(Operation *op, StringRef name, Value value, StringRef otherName, Value other) {
  if (getElementTypeOrSelf(value) == getElementTypeOrSelf(other))
    return success();
  return op->emitOpError() << name << " has element type " << getElementTypeOrSelf(value) << " but " << otherName
                           << " has " << getElementTypeOrSelf(other);
}

//===----------------------------------------------------------------------===//
// MatmulOp
//===----------------------------------------------------------------------===//

namespace {
/// The sizes of a matmul, read off its operands.
struct MatmulSizes {
  int64_t experts = 1, parts = 1;
  int64_t m = 0, n = 0, k = 0;
  /// Columns of a `full` tensor.
  int64_t columns = 0;
  bool contraction = false;

  SmallVector<int64_t> shapeFor(TileExtent extent) const {
    switch (extent) {
    case TileExtent::scalar:
      return {};
    case TileExtent::row:
      return {m};
    case TileExtent::column:
      return {n};
    case TileExtent::full:
      if (parts > 1)
        return {parts, m, n};
      return contraction ? SmallVector<int64_t>{experts, m, n} : SmallVector<int64_t>{m, columns};
    case TileExtent::pair:
      return {m, 2 * columns};
    case TileExtent::row_sum:
      return {m, llvm::divideCeilSigned(columns, kRowSumColumns)};
    }
    llvm_unreachable("unknown extent");
  }
};
} // namespace

static TileExtent extentAt(ArrayAttr extents, size_t index) { return cast<TileExtentAttr>(extents[index]).getValue(); }

static LogicalResult verifyMatmulAttributes(MatmulOp op) {
  bool ragged = op.getKind() != MatmulKind::dense;
  bool contraction = op.getKind() == MatmulKind::ragged_contraction;
  if (ragged && !op.getOffsets())
    return op.emitOpError() << "of kind " << stringifyMatmulKind(op.getKind()) << " needs offsets";
  if (!ragged && op.getOffsets())
    return op.emitOpError() << "of kind dense has no use for offsets";
  if (ragged && op.getTransposeLhs())
    return op.emitOpError() << "transpose_lhs does not apply to kind " << stringifyMatmulKind(op.getKind());
  if (contraction && (op.getTransposeRhs() || op.getPaired()))
    return op.emitOpError() << (op.getPaired() ? "paired" : "transpose_rhs")
                            << " does not apply to kind ragged_contraction";
  if (op.getGatherRhs() && !(contraction && op.getRowIndex()))
    return op.emitOpError() << "gather_rhs needs kind ragged_contraction and a row index";
  if (op.getTransposeLhs() && op.getRowIndex())
    return op.emitOpError() << "cannot gather the rows of a transposed lhs";
  if (op.getParts() != 1 && (op.getParts() < 1 || ragged || op.getPaired() || !op.getExtras().empty()))
    return op.emitOpError() << "parts = " << op.getParts() << " needs kind dense, no pairs and no extras";
  if (int64_t divisor = op.getRowDivisor(); divisor < 1 || (divisor != 1 && !op.getRowIndex()))
    return op.emitOpError() << "row_divisor is " << divisor << " but must be "
                            << (op.getRowIndex() ? "at least 1" : "1 without a row index");
  return success();
}

static FailureOr<MatmulSizes> verifyMatmulOperands(MatmulOp op) {
  bool ragged = op.getKind() != MatmulKind::dense;
  if (failed(verifyFloat(op, "lhs", op.getLhs())) ||
      failed(verifySameElement(op, "rhs", op.getRhs(), "lhs", op.getLhs())))
    return failure();
  MatmulSizes sizes;
  sizes.contraction = op.getKind() == MatmulKind::ragged_contraction;
  if (failed(verifyRank(op, "lhs", op.getLhs(), 2)) ||
      failed(verifyRank(op, "rhs", op.getRhs(), op.getKind() == MatmulKind::ragged_rows ? 3 : 2)))
    return failure();
  ArrayRef<int64_t> lhs = shapeOf(op.getLhs()), rhs = shapeOf(op.getRhs());

  if (ragged) {
    if (failed(verifyRank(op, "offsets", op.getOffsets(), 1)) || failed(verifyInt32(op, "offsets", op.getOffsets())))
      return failure();
    sizes.experts = sizes.contraction ? shapeOf(op.getOffsets())[0] - 1 : rhs[0];
    if (failed(verifyShape(op, "offsets", op.getOffsets(), {sizes.experts + 1}, Twine(sizes.experts) + " experts")))
      return failure();
  }
  int64_t gathered = 0;
  if (Value rowIndex = op.getRowIndex()) {
    if (failed(verifyRank(op, "row index", rowIndex, 1)) || failed(verifyInt32(op, "row index", rowIndex)))
      return failure();
    gathered = shapeOf(rowIndex)[0];
  }

  int64_t rhsContracts = 0;
  if (sizes.contraction) {
    sizes.m = lhs[1];
    sizes.n = rhs[1];
    sizes.k = gathered && !op.getGatherRhs() ? gathered : lhs[0];
    rhsContracts = gathered && op.getGatherRhs() ? gathered : rhs[0];
  } else {
    ArrayRef<int64_t> matrix = rhs.take_back(2);
    sizes.m = op.getTransposeLhs() ? lhs[1] : gathered ? gathered : lhs[0];
    sizes.k = op.getTransposeLhs() ? lhs[0] : lhs[1];
    sizes.n = op.getTransposeRhs() ? matrix[0] : matrix[1];
    rhsContracts = op.getTransposeRhs() ? matrix[1] : matrix[0];
  }
  if (sizes.k != rhsContracts)
    return op.emitOpError() << "lhs contracts " << sizes.k << " but rhs contracts " << rhsContracts;
  sizes.parts = op.getParts();
  if (sizes.k % sizes.parts != 0)
    return op.emitOpError() << "parts = " << sizes.parts << " does not divide a contraction of " << sizes.k;
  if (op.getPaired() && sizes.n % 2 != 0)
    return op.emitOpError() << "paired needs an even number of columns but there are " << sizes.n;
  sizes.columns = op.getPaired() ? sizes.n / 2 : sizes.n;
  return sizes;
}

/// Checks that the tensors of `values` have the shapes their extents ask for and appends the types that the epilogue
/// sees of them: one each, two for a pair.
static LogicalResult verifyTileOperands(MatmulOp op, StringRef what, ValueRange values, ArrayAttr extents,
                                        const MatmulSizes &sizes, SmallVectorImpl<Type> &scalars) {
  if (extents.size() != values.size())
    return op.emitOpError() << "has " << values.size() << " " << what << "s but " << extents.size()
                            << " extents for them";
  for (auto [index, value] : llvm::enumerate(values)) {
    TileExtent extent = extentAt(extents, index);
    bool isPair = extent == TileExtent::pair, isResult = isa<OpResult>(value) && value.getDefiningOp() == op;
    bool isSum = extent == TileExtent::row_sum;
    if (isResult ? extent != TileExtent::full && !isPair && !isSum : isSum)
      return op.emitOpError() << what << " " << index << " has extent " << stringifyTileExtent(extent)
                              << (isResult ? " but must be full, pair or row_sum" : ", which is for results");
    if (sizes.contraction && extent != TileExtent::full && extent != TileExtent::scalar)
      return op.emitOpError() << what << " " << index << " has extent " << stringifyTileExtent(extent)
                              << ", which does not apply to kind ragged_contraction";
    if (failed(verifyShape(op, (what + " " + Twine(index)).str(), value, sizes.shapeFor(extent),
                           Twine("extent ") + stringifyTileExtent(extent) + " and an accumulator of " + Twine(sizes.m) +
                               " x " + Twine(sizes.n))))
      return failure();
    if (failed(verifyFloat(op, (what + " " + Twine(index)).str(), value)))
      return failure();
    if (isSum && failed(verifyFloat32(op, (what + " " + Twine(index)).str(), value)))
      return failure();
    scalars.append(isPair ? 2 : 1, getElementTypeOrSelf(value));
  }
  return success();
}

LogicalResult MatmulOp::verify() {
  if (failed(verifyMatmulAttributes(*this)))
    return failure();
  FailureOr<MatmulSizes> sizes = verifyMatmulOperands(*this);
  if (failed(sizes))
    return failure();

  SmallVector<Type> arguments(getPaired() ? 2 : 1, Float32Type::get(getContext())), yields;
  if (failed(verifyTileOperands(*this, "extra", getExtras(), getExtraExtents(), *sizes, arguments)) ||
      failed(verifyTileOperands(*this, "result", getResults(), getResultExtents(), *sizes, yields)))
    return failure();

  Block &epilogue = getEpilogue().front();
  if (epilogue.getNumArguments() != arguments.size())
    return emitOpError() << "epilogue has " << epilogue.getNumArguments()
                         << " arguments but accumulator and extras give " << arguments.size();
  for (auto [index, actual, expected] : llvm::enumerate(epilogue.getArgumentTypes(), arguments))
    if (actual != expected)
      return emitOpError() << "epilogue argument " << index << " has type " << actual << " but is given " << expected;
  auto yield = cast<YieldOp>(epilogue.getTerminator());
  if (yield.getNumOperands() != yields.size())
    return emitOpError() << "epilogue yields " << yield.getNumOperands() << " values but the results take "
                         << yields.size();
  for (auto [index, actual, expected] : llvm::enumerate(yield.getOperandTypes(), yields))
    if (actual != expected)
      return emitOpError() << "epilogue value " << index << " has type " << actual << " but the result takes "
                           << expected;
  return success();
}

//===----------------------------------------------------------------------===//
// Parts of tensors
//===----------------------------------------------------------------------===//

static int64_t countOf(Value value) { return cast<RankedTensorType>(value.getType()).getNumElements(); }

static LogicalResult verifyPart(Operation *op, const Twine &name, Value part, Value whole, int64_t offset) {
  Type partType = getElementTypeOrSelf(part), wholeType = getElementTypeOrSelf(whole);
  if (partType != wholeType)
    return op->emitOpError() << name << " holds " << partType << " but the whole holds " << wholeType;
  if (int64_t bytes = offset * wholeType.getIntOrFloatBitWidth() / 8; bytes % kBufferAlignment != 0)
    return op->emitOpError() << name << " starts at byte " << bytes << ", which is not a multiple of "
                             << kBufferAlignment;
  return success();
}

LogicalResult SliceOp::verify() {
  int64_t offset = getOffset(), size = countOf(getResult()), available = countOf(getSource());
  if (offset < 0 || offset + size > available)
    return emitOpError() << "takes elements " << offset << " to " << offset + size << " but source has " << available;
  return verifyPart(*this, "result", getResult(), getSource(), offset);
}

LogicalResult ConcatOp::verify() {
  int64_t offset = 0;
  for (auto [index, input] : llvm::enumerate(getInputs())) {
    if (failed(verifyPart(*this, "operand " + Twine(index), input, getResult(), offset)))
      return failure();
    offset += countOf(input);
  }
  if (offset != countOf(getResult()))
    return emitOpError() << "operands have " << offset << " elements but the result has " << countOf(getResult());
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Checks that `num_kv_heads` divides `num_heads`, which divides the columns of `query`; returns the head size.
static FailureOr<int64_t> verifyHeads(Operation *op, Value query, int64_t numHeads, int64_t numKvHeads) {
  if (failed(verifyRank(op, "query", query, 2)) || failed(verifyFloat(op, "query", query)))
    return failure();
  int64_t columns = shapeOf(query)[1];
  if (numHeads < 1 || numKvHeads < 1 || numHeads % numKvHeads != 0)
    return op->emitOpError() << "num_heads = " << numHeads << " is not a multiple of num_kv_heads = " << numKvHeads;
  if (columns % numHeads != 0)
    return op->emitOpError() << "query has " << columns << " columns, not a multiple of num_heads = " << numHeads;
  return columns / numHeads;
}

template <typename OpT> static LogicalResult verifySequences(OpT op) {
  FailureOr<int64_t> headSize = verifyHeads(op, op.getQuery(), op.getNumHeads(), op.getNumKvHeads());
  if (failed(headSize))
    return failure();
  for (auto [name, value] : {std::pair<StringRef, Value>("key", op.getKey()), {"value", op.getValue()}})
    if (failed(verifySameElement(op, name, value, "query", op.getQuery())))
      return failure();
  if (failed(verifyFloat32(op, "lse", op.getLse())))
    return failure();
  int64_t tokens = shapeOf(op.getQuery())[0], length = op.getSequenceLength();
  if (length < 1 || tokens % length != 0)
    return op.emitOpError() << "query has " << tokens << " rows, not a multiple of sequence_length = " << length;
  if (Value positions = op.getPositions())
    if (failed(verifyInt32(op, "positions", positions)) ||
        failed(verifyElements(op, "positions", positions, tokens, Twine(tokens) + " tokens")))
      return failure();
  std::string who = (Twine(tokens) + " tokens of " + Twine(op.getNumKvHeads()) + " heads of " + Twine(*headSize)).str();
  SmallVector<int64_t> keyShape{tokens, static_cast<int64_t>(op.getNumKvHeads()) * *headSize};
  if (failed(verifyShape(op, "key", op.getKey(), keyShape, who)) ||
      failed(verifyShape(op, "value", op.getValue(), keyShape, who)))
    return failure();
  if constexpr (requires { op.getResult(); })
    if (failed(verifyShape(op, "result", op.getResult(), shapeOf(op.getQuery()), "queries of that shape")) ||
        failed(verifySameElement(op, "result", op.getResult(), "query", op.getQuery())))
      return failure();
  return verifyShape(op, "lse", op.getLse(), {tokens, static_cast<int64_t>(op.getNumHeads())},
                     Twine(tokens) + " tokens of " + Twine(op.getNumHeads()) + " heads");
}

LogicalResult AttentionOp::verify() { return verifySequences(*this); }

template <typename OpT> static LogicalResult verifyGradients(OpT op) {
  if (failed(verifySequences(op)))
    return failure();
  auto same = [&](StringRef name, Value gradient, Value value) {
    return failure(failed(verifyShape(op, name, gradient, shapeOf(value), "gradients of values of that shape")) ||
                   failed(verifySameElement(op, name, gradient, "query", op.getQuery())));
  };
  return success(succeeded(same("result gradient", op.getResultGradient(), op.getQuery())) &&
                 succeeded(same("query gradient", op.getQueryGradient(), op.getQuery())) &&
                 succeeded(same("key gradient", op.getKeyGradient(), op.getKey())) &&
                 succeeded(same("value gradient", op.getValueGradient(), op.getValue())));
}

LogicalResult AttentionBackwardOp::verify() { return verifyGradients(*this); }

LogicalResult AttentionGradientsOp::verify() {
  if (failed(verifyGradients(*this)) || failed(verifyFloat32(*this, "delta", getDelta())))
    return failure();
  return verifyShape(*this, "delta", getDelta(), shapeOf(getLse()), "the queries and heads of lse");
}

LogicalResult CachedAttentionOp::verify() {
  FailureOr<int64_t> headSize = verifyHeads(*this, getQuery(), getNumHeads(), getNumKvHeads());
  if (failed(headSize) || failed(verifySameElement(*this, "key cache", getKeyCache(), "query", getQuery())) ||
      failed(verifySameElement(*this, "value cache", getValueCache(), "query", getQuery())) ||
      failed(verifySameElement(*this, "result", getResult(), "query", getQuery())) ||
      failed(verifyRank(*this, "key cache", getKeyCache(), 3)) ||
      failed(verifyRank(*this, "positions", getPositions(), 2)) ||
      failed(verifyInt32(*this, "positions", getPositions())))
    return failure();
  int64_t sequences = shapeOf(getPositions())[0], length = shapeOf(getPositions())[1];
  if (shapeOf(getQuery())[0] != sequences * length)
    return emitOpError() << "query has " << shapeOf(getQuery())[0] << " rows but positions are " << sequences << " x "
                         << length;
  SmallVector<int64_t> cacheShape{sequences, shapeOf(getKeyCache())[1],
                                  static_cast<int64_t>(getNumKvHeads()) * *headSize};
  std::string who =
      (Twine(sequences) + " sequences of " + Twine(getNumKvHeads()) + " heads of " + Twine(*headSize)).str();
  if (failed(verifyShape(*this, "key cache", getKeyCache(), cacheShape, who)) ||
      failed(verifyShape(*this, "value cache", getValueCache(), cacheShape, who)))
    return failure();
  return verifyShape(*this, "result", getResult(), shapeOf(getQuery()), "queries of that shape");
}

LogicalResult CacheAppendOp::verify() {
  if (failed(verifyFloat(*this, "cache", getCache())) ||
      failed(verifySameElement(*this, "rows", getRows(), "cache", getCache())))
    return failure();
  if (failed(verifyRank(*this, "cache", getCache(), 3)) || failed(verifyRank(*this, "positions", getPositions(), 2)) ||
      failed(verifyInt32(*this, "positions", getPositions())))
    return failure();
  ArrayRef<int64_t> cache = shapeOf(getCache()), positions = shapeOf(getPositions());
  if (cache[0] != positions[0])
    return emitOpError() << "cache has " << cache[0] << " sequences but positions have " << positions[0];
  if (failed(verifyShape(*this, "rows", getRows(), {positions[0] * positions[1], cache[2]},
                         Twine(positions[0]) + " x " + Twine(positions[1]) + " positions")))
    return failure();
  if (getResult().getType() != getCache().getType())
    return emitOpError() << "result has type " << getResult().getType() << " but the cache has type "
                         << getCache().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// What route and router have in common, for `tokens` tokens and `experts` experts.
template <typename OpT> static LogicalResult verifyChoice(OpT op, int64_t tokens, int64_t experts) {
  Value bias = op.getSelectionBias(), scores = op.getScores();
  int64_t topK = op.getTopK();
  if ((scores && failed(verifyFloat32(op, "scores", scores))) ||
      failed(verifyFloat32(op, "weights", op.getWeights())) ||
      (bias && failed(verifyFloat32(op, "selection bias", bias))))
    return failure();
  if (topK < 1 || topK > experts)
    return op.emitOpError() << "top_k is " << topK << " but there are " << experts << " experts";
  if (bias && failed(verifyShape(op, "selection bias", bias, {experts}, Twine(experts) + " experts")))
    return failure();
  std::string who = (Twine(tokens) + " tokens with " + Twine(topK) + " experts each").str();
  if ((scores && failed(verifyShape(op, "scores", scores, {tokens, experts}, "logits of that shape"))) ||
      failed(verifyShape(op, "weights", op.getWeights(), {tokens, topK}, who)) ||
      failed(verifyShape(op, "indices", op.getIndices(), {tokens, topK}, who)))
    return failure();
  return verifyInt32(op, "indices", op.getIndices());
}

/// The counts of plan and router, for `experts` experts.
template <typename OpT> static LogicalResult verifyCounts(OpT op, int64_t experts) {
  Value counts = op.getCounts();
  if (!counts)
    return success();
  if (!op.getChunk() || *op.getChunk() < 1)
    return op.emitOpError() << "has counts but does not say of how many tokens each: chunk is missing or below 1";
  int64_t tokens = shapeOf(op.getIndices())[0], chunk = *op.getChunk();
  if (failed(verifyInt32(op, "counts", counts)))
    return failure();
  return verifyShape(op, "counts", counts, {static_cast<int64_t>(llvm::divideCeil(tokens, chunk)), experts},
                     Twine(tokens) + " tokens in chunks of " + Twine(chunk) + " and " + Twine(experts) + " experts");
}

/// What plan and router have in common.
template <typename OpT> static LogicalResult verifyPlan(OpT op) {
  if (failed(verifyRank(op, "indices", op.getIndices(), 2)) || failed(verifyInt32(op, "indices", op.getIndices())) ||
      failed(verifyRank(op, "offsets", op.getOffsets(), 1)) || failed(verifyInt32(op, "offsets", op.getOffsets())) ||
      failed(verifyInt32(op, "permutation", op.getPermutation())) ||
      failed(verifyInt32(op, "inverse", op.getInverse())))
    return failure();
  ArrayRef<int64_t> indices = shapeOf(op.getIndices());
  std::string who = (Twine(indices[0]) + " tokens with " + Twine(indices[1]) + " experts each").str();
  if (failed(verifyShape(op, "permutation", op.getPermutation(), {indices[0] * indices[1]}, who)))
    return failure();
  return verifyShape(op, "inverse", op.getInverse(), indices, who);
}

LogicalResult RouteOp::verify() {
  if (failed(verifyRank(*this, "logits", getLogits(), 2)) || failed(verifyFloat32(*this, "logits", getLogits())))
    return failure();
  return verifyChoice(*this, shapeOf(getLogits())[0], shapeOf(getLogits())[1]);
}

LogicalResult RouterOp::verify() {
  if (failed(verifyRank(*this, "input", getInput(), 2)) || failed(verifyRank(*this, "weight", getWeight(), 2)) ||
      failed(verifyFloat(*this, "input", getInput())) ||
      failed(verifySameElement(*this, "weight", getWeight(), "input", getInput())))
    return failure();
  int64_t tokens = shapeOf(getInput())[0], depth = shapeOf(getInput())[1], experts = shapeOf(getWeight())[0];
  if (failed(verifyShape(*this, "weight", getWeight(), {experts, depth}, "input rows of that length")) ||
      failed(verifyChoice(*this, tokens, experts)))
    return failure();
  if (failed(verifyCounts(*this, experts)))
    return failure();
  if (!getOffsets() != !getPermutation() || !getOffsets() != !getInverse())
    return emitOpError() << "has a part of a plan only; offsets, permutation and inverse come together";
  if (!getOffsets())
    return success();
  if (failed(verifyPlan(*this)))
    return failure();
  return verifyShape(*this, "offsets", getOffsets(), {experts + 1}, Twine(experts) + " experts");
}

LogicalResult RouteBackwardOp::verify() {
  for (auto [name, value] : {std::pair<StringRef, Value>("scores", getScores()),
                             {"weights gradient", getWeightsGradient()},
                             {"scores gradient", getScoresGradient()},
                             {"logits gradient", getLogitsGradient()}})
    if (value && failed(verifyFloat32(*this, name, value)))
      return failure();
  if (failed(verifyRank(*this, "scores", getScores(), 2)) || failed(verifyRank(*this, "indices", getIndices(), 2)) ||
      failed(verifyInt32(*this, "indices", getIndices())))
    return failure();
  ArrayRef<int64_t> scores = shapeOf(getScores()), indices = shapeOf(getIndices());
  if (scores[0] != indices[0])
    return emitOpError() << "scores have " << scores[0] << " tokens but indices have " << indices[0];
  if (Value gradient = getScoresGradient();
      gradient && failed(verifyShape(*this, "scores gradient", gradient, scores, "scores of that shape")))
    return failure();
  if (failed(verifyShape(*this, "weights gradient", getWeightsGradient(), indices, "indices of that shape")))
    return failure();
  return verifyShape(*this, "logits gradient", getLogitsGradient(), scores, "scores of that shape");
}

LogicalResult CombinedMatmulOp::verify() {
  if (failed(verifyRank(*this, "rows", getRows(), 2)) || failed(verifyRank(*this, "matrix", getMatrix(), 3)) ||
      failed(verifyRank(*this, "inverse", getInverse(), 2)) || failed(verifyFloat(*this, "rows", getRows())) ||
      failed(verifySameElement(*this, "matrix", getMatrix(), "rows", getRows())) ||
      failed(verifyFloat(*this, "result", getResult())) || failed(verifyFloat32(*this, "weights", getWeights())) ||
      failed(verifyInt32(*this, "offsets", getOffsets())) || failed(verifyInt32(*this, "inverse", getInverse())))
    return failure();
  int64_t tokens = shapeOf(getInverse())[0], topK = shapeOf(getInverse())[1];
  int64_t experts = shapeOf(getMatrix())[0], columns = shapeOf(getMatrix())[1], depth = shapeOf(getMatrix())[2];
  if (failed(verifyShape(*this, "rows", getRows(), {tokens * topK, depth}, "that plan and matrix")) ||
      failed(verifyShape(*this, "offsets", getOffsets(), {experts + 1}, Twine(experts) + " experts")) ||
      failed(verifyShape(*this, "weights", getWeights(), {tokens, topK}, "those choices")) ||
      failed(verifyShape(*this, "result", getResult(), {tokens, columns}, "those tokens and columns")))
    return failure();
  if (!getResidual())
    return success();
  return failure(failed(verifyShape(*this, "residual", getResidual(), {tokens, columns}, "those tokens and columns")) ||
                 failed(verifySameElement(*this, "residual", getResidual(), "result", getResult())));
}

LogicalResult PlanOp::verify() {
  return failure(failed(verifyPlan(*this)) || failed(verifyCounts(*this, shapeOf(getOffsets())[0] - 1)));
}

LogicalResult DispatchOp::verify() {
  if (failed(verifyRank(*this, "input", getInput(), 2)) || failed(verifyRank(*this, "inverse", getInverse(), 2)) ||
      failed(verifyFloat(*this, "input", getInput())) || failed(verifyInt32(*this, "inverse", getInverse())) ||
      failed(verifySameElement(*this, "result", getResult(), "input", getInput())))
    return failure();
  int64_t tokens = shapeOf(getInput())[0], columns = shapeOf(getInput())[1], topK = shapeOf(getInverse())[1];
  if (failed(verifyShape(*this, "inverse", getInverse(), {tokens, topK}, Twine(tokens) + " tokens")))
    return failure();
  return verifyShape(*this, "result", getResult(), {tokens * topK, columns}, "that input and inverse");
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

LogicalResult ScatterAddOp::verify() {
  if (failed(verifyInt32(*this, "indices", getIndices())) || failed(verifyFloat(*this, "rows", getRows())) ||
      failed(verifySameElement(*this, "result", getResult(), "rows", getRows())) ||
      failed(verifyRank(*this, "rows", getRows(), 2)) ||
      failed(verifyRank(*this, "result", getResult(), 2)))
    return failure();
  int64_t indices = cast<RankedTensorType>(getIndices().getType()).getNumElements();
  if (indices != shapeOf(getRows())[0])
    return emitOpError() << "there are " << indices << " indices but " << shapeOf(getRows())[0] << " rows";
  if (shapeOf(getRows())[1] != shapeOf(getResult())[1])
    return emitOpError() << "rows have " << shapeOf(getRows())[1] << " columns but the result has "
                         << shapeOf(getResult())[1];
  return success();
}

LogicalResult SumOfSquaresOp::verify() {
  int64_t chunk = getChunk(), chunks = 0;
  if (chunk < 1)
    return emitOpError() << "chunk is " << chunk << " but must be at least 1";
  for (auto [index, input] : llvm::enumerate(getInputs())) {
    std::string name = ("operand " + Twine(index)).str();
    if (failed(verifyFloat(*this, name, input)) ||
        failed(verifySameElement(*this, name, input, "operand 0", getInputs()[0])))
      return failure();
    chunks += llvm::divideCeil(cast<RankedTensorType>(input.getType()).getNumElements(), chunk);
  }
  if (failed(verifyFloat32(*this, "partial", getPartial())))
    return failure();
  return verifyShape(*this, "partial", getPartial(), {chunks}, "operands in chunks of " + Twine(chunk));
}
