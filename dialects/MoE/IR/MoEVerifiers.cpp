//===- MoEVerifiers.cpp - Verifiers of tensor ops ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A verifier reads like the description of its op in MoETensorOps.td, whose letters the messages use:
/// "result is [4, 8] but [T, out] is [4, 16]". An op reports the first thing that is wrong with it.
///
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoELayerAssembly.h"
#include "dialects/MoE/IR/MoEOps.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

namespace {
/// An operand or result and what the op calls it.
struct Named {
  StringRef name;
  Value value;
};

/// Checks in a row; after the first that fails, the others do nothing.
class Checks {
public:
  explicit Checks(Operation *op) : op(op) {}
  operator LogicalResult() const { return status; }

  Checks &rank(Named tensor, int64_t rank, StringRef notation);
  Checks &shape(Named tensor, ArrayRef<int64_t> shape, StringRef notation);
  /// A tensor of any shape with `count` elements, which are the `meaning` ("T").
  Checks &elements(Named tensor, int64_t count, StringRef meaning);
  Checks &offsets(Value offsets, int64_t experts);
  Checks &sameElementType(ArrayRef<Named> tensors);
  /// Products of `lhs` and `rhs`, which hold one type: `result` holds that too, or float32 sums of bf16.
  Checks &productType(Named lhs, Named rhs, Named result);
  /// Statistics are float32, or float64 beside float64 data.
  Checks &statistics(Value data, ArrayRef<Named> tensors);

  Checks &positive(StringRef name, int64_t value);
  Checks &positive(StringRef name, const APFloat &value);
  /// In [0, limit).
  Checks &fraction(StringRef name, const APFloat &value);
  /// `count` ("the number of columns of query") is a multiple of `divisor` ("num_heads"), which is positive.
  Checks &multiple(StringRef name, int64_t count, StringRef divisorName, int64_t divisor);

private:
  template <typename MessageFn> Checks &require(bool holds, MessageFn message) {
    if (succeeded(status) && !holds) {
      InFlightDiagnostic diagnostic = op->emitOpError();
      message(diagnostic);
      status = failure();
    }
    return *this;
  }

  Operation *op;
  LogicalResult status = success();
};
} // namespace

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static Type elementOf(Value value) { return typeOf(value).getElementType(); }
static int64_t countOf(Value value) { return typeOf(value).getNumElements(); }
/// Dimension `index`, 0 if the rank is too low (which a check of the rank reports).
static int64_t dim(Value value, int64_t index) {
  return index < typeOf(value).getRank() ? typeOf(value).getDimSize(index) : 0;
}
static int64_t rowsOf(Value value) { return dim(value, 0); }
static int64_t columnsOf(Value value) { return dim(value, 1); }
/// What is left to a check of the divisor if it is 0.
static int64_t quotient(int64_t count, int64_t divisor) { return divisor > 0 ? count / divisor : 0; }

/// Prints `[4, 8]`.
static void printShape(InFlightDiagnostic &diagnostic, ArrayRef<int64_t> shape) {
  diagnostic << '[';
  llvm::interleaveComma(shape, diagnostic);
  diagnostic << ']';
}

Checks &Checks::rank(Named tensor, int64_t rank, StringRef notation) {
  int64_t actual = typeOf(tensor.value).getRank();
  return require(actual == rank, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << tensor.name << " has rank " << actual << " but " << notation << " has rank " << rank;
  });
}

Checks &Checks::shape(Named tensor, ArrayRef<int64_t> shape, StringRef notation) {
  ArrayRef<int64_t> actual = typeOf(tensor.value).getShape();
  return require(actual == shape, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << tensor.name << " is ";
    printShape(diagnostic, actual);
    diagnostic << " but " << notation << " is ";
    printShape(diagnostic, shape);
  });
}

Checks &Checks::elements(Named tensor, int64_t count, StringRef meaning) {
  int64_t actual = countOf(tensor.value);
  return require(actual == count, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << tensor.name << " has " << actual << " elements but " << meaning << " is " << count;
  });
}

Checks &Checks::offsets(Value offsets, int64_t experts) {
  rank({"offsets", offsets}, 1, "[E + 1]");
  return require(rowsOf(offsets) == experts + 1, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << "offsets has " << rowsOf(offsets) << " entries but " << experts << " experts need " << experts + 1;
  });
}

Checks &Checks::sameElementType(ArrayRef<Named> tensors) {
  Named first = tensors.front();
  for (Named tensor : tensors)
    require(elementOf(tensor.value) == elementOf(first.value), [&](InFlightDiagnostic &diagnostic) {
      diagnostic << tensor.name << " holds " << elementOf(tensor.value) << " but " << first.name << " holds "
                 << elementOf(first.value);
    });
  return *this;
}

Checks &Checks::productType(Named lhs, Named rhs, Named result) {
  if (elementOf(lhs.value).isBF16() && elementOf(result.value).isF32())
    return sameElementType({lhs, rhs});
  return sameElementType({lhs, rhs, result});
}

Checks &Checks::statistics(Value data, ArrayRef<Named> tensors) {
  Type wanted = elementOf(data).isF64() ? elementOf(data) : Float32Type::get(op->getContext());
  for (Named tensor : tensors)
    require(elementOf(tensor.value) == wanted, [&](InFlightDiagnostic &diagnostic) {
      diagnostic << tensor.name << " holds " << elementOf(tensor.value) << " but statistics of " << elementOf(data)
                 << " data are " << wanted;
    });
  return *this;
}

Checks &Checks::positive(StringRef name, int64_t value) {
  return require(value > 0, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << name << " is " << value << " but must be at least 1";
  });
}

Checks &Checks::positive(StringRef name, const APFloat &value) {
  return require(value.isFiniteNonZero() && !value.isNegative(), [&](InFlightDiagnostic &diagnostic) {
    diagnostic << name << " is " << formatNumber(value.convertToDouble()) << " but must be above 0";
  });
}

Checks &Checks::fraction(StringRef name, const APFloat &value) {
  double number = value.convertToDouble();
  return require(number >= 0 && number < 1, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << name << " is " << formatNumber(number) << " but must be at least 0 and below 1";
  });
}

Checks &Checks::multiple(StringRef name, int64_t count, StringRef divisorName, int64_t divisor) {
  positive(divisorName, divisor);
  return require(divisor > 0 && count % divisor == 0, [&](InFlightDiagnostic &diagnostic) {
    diagnostic << name << " is " << count << " but must be a multiple of " << divisorName
               << (divisorName.empty() ? "" : " = ") << divisor;
  });
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

LogicalResult VariableOp::verify() {
  bool normal = getInitializer() == InitializerKind::normal;
  if (normal && !getStddev())
    return emitOpError("is initialised from a normal distribution but has no standard deviation; write 'normal 0.02'");
  if (!normal && getStddev())
    return emitOpError() << "has a standard deviation, which belongs to 'normal', not to '"
                         << stringifyInitializerKind(getInitializer()) << "'";
  bool copy = getInitializer() == InitializerKind::copy;
  if (copy && !getSource())
    return emitOpError("is initialised as a copy but names no source; write 'copy @variable'");
  if (!copy && getSource())
    return emitOpError() << "has a source, which belongs to 'copy', not to '"
                         << stringifyInitializerKind(getInitializer()) << "'";
  if (normal && (getStddev()->isNegative() || !getStddev()->isFinite()))
    return emitOpError() << "has the standard deviation " << formatNumber(getStddev()->convertToDouble())
                         << " but must have one of at least 0";
  return success();
}

LogicalResult VariableOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!getSource())
    return success();
  auto source = symbols.lookupNearestSymbolFrom<VariableOp>(*this, getSourceAttr());
  if (!source)
    return emitOpError() << "there is no moe.variable " << getSourceAttr() << " to copy";
  if (source.getSource())
    return emitOpError() << "copies " << getSourceAttr() << ", which is a copy itself; name what that copies";
  if (source.getType().getShape() != getType().getShape())
    return emitOpError() << "of type " << getType() << " copies " << getSourceAttr() << " of type " << source.getType()
                         << ", which has another shape";
  if (!isa<FloatType>(getType().getElementType()) || !isa<FloatType>(source.getType().getElementType()))
    return emitOpError() << "of type " << getType() << " copies " << getSourceAttr() << " of type " << source.getType()
                         << ", but only numbers of a float type are converted";
  return success();
}

/// Whether `symbol` is a variable of type `type`.
static LogicalResult verifyVariable(Operation *op, FlatSymbolRefAttr symbol, Type type,
                                    SymbolTableCollection &symbols) {
  Operation *target = symbols.lookupNearestSymbolFrom(op, symbol);
  auto variable = dyn_cast_or_null<VariableOp>(target);
  if (!variable) {
    auto diagnostic = op->emitOpError() << "there is no moe.variable " << symbol;
    if (target)
      diagnostic.attachNote(target->getLoc()) << symbol << " is a " << target->getName();
    return diagnostic;
  }
  if (variable.getType() == type)
    return success();
  auto diagnostic = op->emitOpError() << "has a value of type " << type << " but " << symbol << " holds "
                                      << variable.getType();
  diagnostic.attachNote(variable.getLoc()) << "declared here";
  return diagnostic;
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyVariable(*this, getVariableAttr(), getValue().getType(), symbols);
}
LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyVariable(*this, getVariableAttr(), getValue().getType(), symbols);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult CastOp::verify() {
  return Checks(*this).shape({"result", getResult()}, typeOf(getInput()).getShape(), "input");
}
LogicalResult SumOp::verify() { return Checks(*this).statistics(getInput(), {{"result", getResult()}}); }
LogicalResult BroadcastOp::verify() { return Checks(*this).statistics(getResult(), {{"input", getInput()}}); }

//===----------------------------------------------------------------------===//
// Dense layers
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  return Checks(*this)
      .shape({"result", getResult()}, {countOf(getIndices()), columnsOf(getTable())}, "[T, d]")
      .sameElementType({{"table", getTable()}, {"result", getResult()}});
}

LogicalResult EmbeddingBackwardOp::verify() {
  Value table = getTableGradient(), gradient = getResultGradient();
  return Checks(*this)
      .shape({"result_gradient", gradient}, {countOf(getIndices()), columnsOf(table)}, "[T, d]")
      .sameElementType({{"result_gradient", gradient}, {"table_gradient", table}});
}

LogicalResult LinearOp::verify() {
  return Checks(*this)
      .shape({"weight", getWeight()}, {rowsOf(getWeight()), columnsOf(getInput())}, "[out, in]")
      .shape({"result", getResult()}, {rowsOf(getInput()), rowsOf(getWeight())}, "[T, out]")
      .productType({"input", getInput()}, {"weight", getWeight()}, {"result", getResult()});
}

LogicalResult MatmulOp::verify() {
  Value lhs = getLhs(), rhs = getRhs();
  int64_t m = dim(lhs, getTransposeLhs() ? 1 : 0), k = dim(lhs, getTransposeLhs() ? 0 : 1);
  int64_t n = dim(rhs, getTransposeRhs() ? 0 : 1);
  return Checks(*this)
      .shape({"rhs", rhs}, {getTransposeRhs() ? n : k, getTransposeRhs() ? k : n},
             getTransposeRhs() ? "[n, k]" : "[k, n]")
      .shape({"result", getResult()}, {m, n}, "[m, n]")
      .productType({"lhs", lhs}, {"rhs", rhs}, {"result", getResult()});
}

LogicalResult RMSNormOp::verify() {
  return Checks(*this)
      .multiple("the number of columns of input", columnsOf(getInput()), "the size of weight", rowsOf(getWeight()))
      .shape({"result", getResult()}, typeOf(getInput()).getShape(), "input")
      .sameElementType({{"input", getInput()}, {"weight", getWeight()}, {"result", getResult()}})
      .positive("eps", getEps());
}

LogicalResult RMSNormBackwardOp::verify() {
  Value input = getInput(), weight = getWeight();
  return Checks(*this)
      .multiple("the number of columns of input", columnsOf(input), "the size of weight", rowsOf(weight))
      .shape({"result_gradient", getResultGradient()}, typeOf(input).getShape(), "input")
      .shape({"input_gradient", getInputGradient()}, typeOf(input).getShape(), "input")
      .shape({"weight_gradient", getWeightGradient()}, typeOf(weight).getShape(), "weight")
      .sameElementType({{"input", input},
                        {"weight", weight},
                        {"result_gradient", getResultGradient()},
                        {"input_gradient", getInputGradient()},
                        {"weight_gradient", getWeightGradient()}})
      .positive("eps", getEps());
}

/// `input` holds gate and up columns for `output`.
static Checks &checkGate(Checks &checks, Value input, Named output) {
  return checks.multiple("the number of columns of input", columnsOf(input), "", 2)
      .shape(output, {rowsOf(input), columnsOf(input) / 2}, "[R, n]")
      .sameElementType({{"input", input}, output});
}

LogicalResult GatedActivationOp::verify() {
  Checks checks(*this);
  return checkGate(checks, getInput(), {"result", getResult()});
}

LogicalResult GatedActivationBackwardOp::verify() {
  Checks checks(*this);
  return checkGate(checks, getInput(), {"result_gradient", getResultGradient()})
      .shape({"input_gradient", getInputGradient()}, typeOf(getInput()).getShape(), "input")
      .sameElementType({{"input", getInput()}, {"input_gradient", getInputGradient()}});
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult SequencePositionsOp::verify() {
  return Checks(*this).multiple("the number of positions", countOf(getPositions()), "sequence_length",
                                getSequenceLength());
}

LogicalResult RopeTableOp::verify() {
  int64_t tokens = countOf(getPositions());
  return Checks(*this)
      .rank({"cos", getCos()}, 2, "[T, D/2]")
      .shape({"cos", getCos()}, {tokens, columnsOf(getCos())}, "[T, D/2]")
      .shape({"sin", getSin()}, typeOf(getCos()).getShape(), "cos")
      .sameElementType({{"cos", getCos()}, {"sin", getSin()}})
      .positive("theta", getTheta());
}

LogicalResult RopeOp::verify() {
  Value input = getInput();
  return Checks(*this)
      .rank({"cos", getCos()}, 2, "[T, D/2]")
      .shape({"cos", getCos()}, {rowsOf(input), columnsOf(getCos())}, "[T, D/2]")
      .shape({"sin", getSin()}, typeOf(getCos()).getShape(), "cos")
      .multiple("the number of columns of input", columnsOf(input), "D", 2 * columnsOf(getCos()))
      .shape({"result", getResult()}, typeOf(input).getShape(), "input")
      .sameElementType({{"input", input}, {"result", getResult()}})
      .statistics(input, {{"cos", getCos()}, {"sin", getSin()}});
}

/// The parts of attention that are the same with and without a cache: heads divide the query, and key heads the heads.
static Checks &checkHeads(Checks &checks, Value query, int64_t heads, int64_t kvHeads) {
  return checks.multiple("the number of columns of query", columnsOf(query), "num_heads", heads)
      .multiple("num_heads", heads, "num_kv_heads", kvHeads);
}

/// The operands and results that moe.attention and its gradient share.
template <typename OpT> static Checks &checkAttention(Checks &checks, OpT op) {
  Value query = op.getQuery();
  int64_t tokens = rowsOf(query), heads = op.getNumHeads();
  int64_t kvColumns = op.getNumKvHeads() * quotient(columnsOf(query), heads);
  if (Value positions = op.getPositions())
    checks.elements({"positions", positions}, tokens, "T");
  return checkHeads(checks, query, heads, op.getNumKvHeads())
      .multiple("the number of rows of query", tokens, "sequence_length", op.getSequenceLength())
      .shape({"key", op.getKey()}, {tokens, kvColumns}, "[T, Hkv·D]")
      .shape({"value", op.getValue()}, {tokens, kvColumns}, "[T, Hkv·D]")
      .shape({"result", op.getResult()}, typeOf(query).getShape(), "query")
      .shape({"lse", op.getLse()}, {tokens, heads}, "[T, H]")
      .sameElementType({{"query", query}, {"key", op.getKey()}, {"value", op.getValue()}, {"result", op.getResult()}})
      .statistics(query, {{"lse", op.getLse()}});
}

LogicalResult AttentionOp::verify() {
  Checks checks(*this);
  return checkAttention(checks, *this);
}

LogicalResult AttentionBackwardOp::verify() {
  Checks checks(*this);
  return checkAttention(checks, *this)
      .shape({"result_gradient", getResultGradient()}, typeOf(getQuery()).getShape(), "query")
      .shape({"query_gradient", getQueryGradient()}, typeOf(getQuery()).getShape(), "query")
      .shape({"key_gradient", getKeyGradient()}, typeOf(getKey()).getShape(), "key")
      .shape({"value_gradient", getValueGradient()}, typeOf(getValue()).getShape(), "value")
      .sameElementType({{"query", getQuery()},
                        {"result_gradient", getResultGradient()},
                        {"query_gradient", getQueryGradient()},
                        {"key_gradient", getKeyGradient()},
                        {"value_gradient", getValueGradient()}});
}

LogicalResult CacheAppendOp::verify() {
  Value cache = getCache(), positions = getPositions();
  return Checks(*this)
      .rank({"positions", positions}, 2, "[B, S]")
      .shape({"positions", positions}, {dim(cache, 0), dim(positions, 1)}, "[B, S]")
      .shape({"rows", getRows()}, {countOf(positions), dim(cache, 2)}, "[B·S, n]")
      .shape({"result", getResult()}, typeOf(cache).getShape(), "cache")
      .sameElementType({{"cache", cache}, {"rows", getRows()}, {"result", getResult()}});
}

LogicalResult CachedAttentionOp::verify() {
  Value query = getQuery(), keys = getKeyCache(), positions = getPositions();
  int64_t kvColumns = getNumKvHeads() * quotient(columnsOf(query), getNumHeads());
  Checks checks(*this);
  return checkHeads(checks, query, getNumHeads(), getNumKvHeads())
      .shape({"key_cache", keys}, {dim(keys, 0), dim(keys, 1), kvColumns}, "[B, C, Hkv·D]")
      .shape({"value_cache", getValueCache()}, typeOf(keys).getShape(), "key_cache")
      .rank({"positions", positions}, 2, "[B, S]")
      .shape({"positions", positions}, {dim(keys, 0), dim(positions, 1)}, "[B, S]")
      .shape({"query", query}, {countOf(positions), columnsOf(query)}, "[B·S, H·D]")
      .shape({"result", getResult()}, typeOf(query).getShape(), "query")
      .sameElementType(
          {{"query", query}, {"key_cache", keys}, {"value_cache", getValueCache()}, {"result", getResult()}});
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouterScoresOp::verify() {
  return Checks(*this)
      .rank({"logits", getLogits()}, 2, "[T, E]")
      .shape({"scores", getScores()}, typeOf(getLogits()).getShape(), "logits")
      .sameElementType({{"logits", getLogits()}, {"scores", getScores()}});
}

LogicalResult RouterScoresBackwardOp::verify() {
  Value scores = getScores();
  return Checks(*this)
      .rank({"scores", scores}, 2, "[T, E]")
      .shape({"scores_gradient", getScoresGradient()}, typeOf(scores).getShape(), "scores")
      .shape({"logits_gradient", getLogitsGradient()}, typeOf(scores).getShape(), "scores")
      .sameElementType(
          {{"scores", scores}, {"scores_gradient", getScoresGradient()}, {"logits_gradient", getLogitsGradient()}});
}

/// No token can have more experts than there are.
static LogicalResult verifyTopK(Operation *op, int64_t topK, int64_t experts) {
  if (topK >= 1 && topK <= experts)
    return success();
  return op->emitOpError() << "chooses " << topK << " of " << experts << " experts, which must be between 1 and "
                           << experts;
}

LogicalResult TopKGateOp::verify() {
  Value scores = getScores();
  int64_t tokens = rowsOf(scores), experts = columnsOf(scores), topK = getTopK();
  Checks checks(*this);
  checks.rank({"scores", scores}, 2, "[T, E]");
  if (Value bias = getSelectionBias())
    checks.shape({"selection_bias", bias}, {experts}, "[E]")
        .sameElementType({{"scores", scores}, {"selection_bias", bias}});
  checks.shape({"weights", getWeights()}, {tokens, topK}, "[T, K]")
      .shape({"indices", getIndices()}, {tokens, topK}, "[T, K]")
      .sameElementType({{"scores", scores}, {"weights", getWeights()}})
      .positive("routed_scaling_factor", getRoutedScalingFactor());
  return failed(checks) ? failure() : verifyTopK(*this, topK, experts);
}

LogicalResult TopKGateBackwardOp::verify() {
  Value scores = getScores(), indices = getIndices();
  Checks checks(*this);
  checks.rank({"scores", scores}, 2, "[T, E]")
      .rank({"indices", indices}, 2, "[T, K]")
      .shape({"indices", indices}, {rowsOf(scores), columnsOf(indices)}, "[T, K]")
      .shape({"weights_gradient", getWeightsGradient()}, typeOf(indices).getShape(), "indices")
      .shape({"scores_gradient", getScoresGradient()}, typeOf(scores).getShape(), "scores")
      .sameElementType(
          {{"scores", scores}, {"weights_gradient", getWeightsGradient()}, {"scores_gradient", getScoresGradient()}})
      .positive("routed_scaling_factor", getRoutedScalingFactor());
  return failed(checks) ? failure() : verifyTopK(*this, columnsOf(indices), columnsOf(scores));
}

/// `permutation` [T·K] and `inverse` [T, K] for `tokens` tokens.
static Checks &checkPlan(Checks &checks, Value permutation, Value inverse, int64_t tokens) {
  return checks.rank({"inverse", inverse}, 2, "[T, K]")
      .shape({"inverse", inverse}, {tokens, columnsOf(inverse)}, "[T, K]")
      .shape({"permutation", permutation}, {countOf(inverse)}, "[T·K]");
}

LogicalResult PlanRoutingOp::verify() {
  Value indices = getIndices();
  Checks checks(*this);
  checks.rank({"indices", indices}, 2, "[T, K]").rank({"offsets", getOffsets()}, 1, "[E + 1]");
  checkPlan(checks, getPermutation(), getInverse(), rowsOf(indices))
      .shape({"inverse", getInverse()}, typeOf(indices).getShape(), "indices");
  return failed(checks) ? failure() : verifyTopK(*this, columnsOf(indices), rowsOf(getOffsets()) - 1);
}

/// dispatch and combine: `tokens` [T, d] on one side, `rows` [T·K, d] on the other.
static Checks &checkRouted(Checks &checks, Named tokens, Named rows, Value permutation, Value inverse, Value weights) {
  checkPlan(checks, permutation, inverse, rowsOf(tokens.value))
      .shape(rows, {countOf(inverse), columnsOf(tokens.value)}, "[T·K, d]")
      .sameElementType({tokens, rows});
  if (weights)
    checks.shape({"weights", weights}, typeOf(inverse).getShape(), "[T, K]")
        .statistics(tokens.value, {{"weights", weights}});
  return checks;
}

LogicalResult DispatchOp::verify() {
  Checks checks(*this);
  return checkRouted(checks, {"input", getInput()}, {"result", getResult()}, getPermutation(), getInverse(),
                     getWeights());
}

LogicalResult CombineOp::verify() {
  Checks checks(*this);
  return checkRouted(checks, {"result", getResult()}, {"rows", getRows()}, getPermutation(), getInverse(),
                     getWeights());
}

LogicalResult RoutedDotOp::verify() {
  Value tokens = getTokens(), inverse = getInverse();
  return Checks(*this)
      .rank({"inverse", inverse}, 2, "[T, K]")
      .shape({"inverse", inverse}, {rowsOf(tokens), columnsOf(inverse)}, "[T, K]")
      .shape({"rows", getRows()}, {countOf(inverse), columnsOf(tokens)}, "[T·K, d]")
      .shape({"result", getResult()}, typeOf(inverse).getShape(), "[T, K]")
      .sameElementType({{"tokens", tokens}, {"rows", getRows()}})
      .statistics(tokens, {{"result", getResult()}});
}

LogicalResult GroupedMatmulOp::verify() {
  Value lhs = getLhs(), rhs = getRhs(), result = getResult();
  Checks checks(*this);
  if (getRagged() == RaggedDim::rows) {
    int64_t k = columnsOf(lhs), n = dim(rhs, getTransposeRhs() ? 1 : 2), experts = dim(rhs, 0);
    StringRef notation = getTransposeRhs() ? "[E, n, k]" : "[E, k, n]";
    checks.rank({"lhs", lhs}, 2, "[R, k]")
        .rank({"rhs", rhs}, 3, notation)
        .offsets(getOffsets(), experts)
        .shape({"rhs", rhs}, {experts, getTransposeRhs() ? n : k, getTransposeRhs() ? k : n}, notation)
        .shape({"result", result}, {rowsOf(lhs), n}, "[R, n]");
  } else {
    if (getTransposeRhs())
      return emitOpError("transpose_rhs does not apply to a ragged contraction");
    checks.rank({"lhs", lhs}, 2, "[R, m]")
        .rank({"rhs", rhs}, 2, "[R, n]")
        .rank({"result", result}, 3, "[E, m, n]")
        .offsets(getOffsets(), dim(result, 0))
        .shape({"rhs", rhs}, {rowsOf(lhs), columnsOf(rhs)}, "[R, n]")
        .shape({"result", result}, {dim(result, 0), columnsOf(lhs), columnsOf(rhs)}, "[E, m, n]");
  }
  return checks.productType({"lhs", lhs}, {"rhs", rhs}, {"result", result});
}

/// Rows `input` [T·K, 2·n] of a plan, `output` [T·K, n], and their weights.
static Checks &checkWeightedGate(Checks &checks, Value input, Named output, Value permutation, Value inverse,
                                 Value weights) {
  checkPlan(checks, permutation, inverse, rowsOf(inverse))
      .shape({"input", input}, {countOf(inverse), columnsOf(input)}, "[T·K, 2·n]")
      .shape({"weights", weights}, typeOf(inverse).getShape(), "[T, K]")
      .statistics(input, {{"weights", weights}});
  return checkGate(checks, input, output);
}

LogicalResult WeightedGatedActivationOp::verify() {
  Checks checks(*this);
  return checkWeightedGate(checks, getInput(), {"result", getResult()}, getPermutation(), getInverse(), getWeights());
}

LogicalResult WeightedGatedActivationBackwardOp::verify() {
  Checks checks(*this);
  return checkWeightedGate(checks, getInput(), {"result_gradient", getResultGradient()}, getPermutation(), getInverse(),
                           getWeights())
      .shape({"result", getResult()}, typeOf(getResultGradient()).getShape(), "result_gradient")
      .shape({"input_gradient", getInputGradient()}, typeOf(getInput()).getShape(), "input")
      .shape({"weights_gradient", getWeightsGradient()}, typeOf(getWeights()).getShape(), "weights")
      .sameElementType({{"input", getInput()}, {"result", getResult()}, {"input_gradient", getInputGradient()}})
      .sameElementType({{"weights", getWeights()}, {"weights_gradient", getWeightsGradient()}});
}

LogicalResult ExpertLoadOp::verify() {
  return Checks(*this).rank({"load", getLoad()}, 1, "[E]").offsets(getOffsets(), rowsOf(getLoad()));
}

LogicalResult BalanceLossOp::verify() {
  Value scores = getScores();
  return Checks(*this)
      .rank({"scores", scores}, 2, "[T, E]")
      .shape({"load", getLoad()}, {columnsOf(scores)}, "[E]")
      .sameElementType({{"scores", scores}, {"loss", getLoss()}});
}

LogicalResult BalanceLossBackwardOp::verify() {
  Value scores = getScores();
  return Checks(*this)
      .rank({"scores", scores}, 2, "[T, E]")
      .shape({"load", getLoad()}, {columnsOf(scores)}, "[E]")
      .shape({"scores_gradient", getScoresGradient()}, typeOf(scores).getShape(), "scores")
      .sameElementType(
          {{"scores", scores}, {"loss_gradient", getLossGradient()}, {"scores_gradient", getScoresGradient()}});
}

LogicalResult UpdateSelectionBiasOp::verify() {
  Value bias = getBias();
  Checks checks(*this);
  if (Value norm = getGradNorm())
    checks.shape({"grad_norm", norm}, {}, "a scalar").sameElementType({{"bias", bias}, {"grad_norm", norm}});
  return checks.rank({"bias", bias}, 1, "[E]")
      .shape({"load", getLoad()}, typeOf(bias).getShape(), "bias")
      .shape({"result", getResult()}, typeOf(bias).getShape(), "bias")
      .sameElementType({{"bias", bias}, {"result", getResult()}});
}

//===----------------------------------------------------------------------===//
// Loss and optimizer
//===----------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::verify() {
  Value logits = getLogits();
  int64_t tokens = rowsOf(logits);
  return Checks(*this)
      .elements({"targets", getTargets()}, tokens, "T")
      .elements({"weights", getWeights()}, tokens, "T")
      .shape({"lse", getLse()}, {tokens}, "[T]")
      .statistics(logits, {{"weights", getWeights()}, {"loss_sum", getLossSum()}, {"lse", getLse()}});
}

LogicalResult CrossEntropyBackwardOp::verify() {
  Value logits = getLogits();
  int64_t tokens = rowsOf(logits);
  return Checks(*this)
      .elements({"targets", getTargets()}, tokens, "T")
      .elements({"weights", getWeights()}, tokens, "T")
      .shape({"lse", getLse()}, {tokens}, "[T]")
      .shape({"logits_gradient", getLogitsGradient()}, typeOf(logits).getShape(), "logits")
      .sameElementType({{"logits", logits}, {"logits_gradient", getLogitsGradient()}})
      .statistics(logits, {{"weights", getWeights()}, {"lse", getLse()}, {"loss_gradient", getLossGradient()}});
}

/// What linear_cross_entropy and its gradient have in common.
template <typename OpT> static Checks checkLinearCrossEntropy(OpT op) {
  Value hidden = op.getHidden(), weight = op.getWeight();
  int64_t tokens = rowsOf(hidden);
  return Checks(op)
      .shape({"weight", weight}, {rowsOf(weight), columnsOf(hidden)}, "[V, d]")
      .elements({"targets", op.getTargets()}, tokens, "T")
      .elements({"weights", op.getWeights()}, tokens, "T")
      .sameElementType({{"hidden", hidden}, {"weight", weight}})
      .statistics(hidden, {{"weights", op.getWeights()}, {"loss_sum", op.getLossSum()}});
}

LogicalResult LinearCrossEntropyOp::verify() { return checkLinearCrossEntropy(*this); }

LogicalResult LinearCrossEntropyBackwardOp::verify() {
  Value hidden = getHidden(), weight = getWeight();
  return checkLinearCrossEntropy(*this)
      .shape({"hidden_gradient", getHiddenGradient()}, typeOf(hidden).getShape(), "hidden")
      .shape({"weight_gradient", getWeightGradient()}, typeOf(weight).getShape(), "weight")
      .sameElementType({{"hidden", hidden},
                        {"hidden_gradient", getHiddenGradient()},
                        {"weight_gradient", getWeightGradient()}})
      .statistics(hidden, {{"loss_gradient", getLossGradient()}});
}

LogicalResult GlobalNormOp::verify() {
  if (getInputs().empty())
    return emitOpError("has no operands; the norm of nothing is not needed");
  Checks checks(*this);
  for (Value input : getInputs())
    checks.statistics(input, {{"norm", getNorm()}});
  return checks;
}

LogicalResult AdamWOp::verify() {
  Value parameter = getParameter();
  ArrayRef<int64_t> shape = typeOf(parameter).getShape();
  Checks checks(*this);
  checks.shape({"gradient", getGradient()}, shape, "parameter")
      .shape({"exp_avg", getExpAvg()}, shape, "parameter")
      .shape({"exp_avg_sq", getExpAvgSq()}, shape, "parameter")
      .shape({"new_parameter", getNewParameter()}, shape, "parameter")
      .shape({"new_exp_avg", getNewExpAvg()}, shape, "parameter")
      .shape({"new_exp_avg_sq", getNewExpAvgSq()}, shape, "parameter")
      .sameElementType({{"parameter", parameter}, {"new_parameter", getNewParameter()}})
      .statistics(parameter, {{"exp_avg", getExpAvg()},
                              {"exp_avg_sq", getExpAvgSq()},
                              {"new_exp_avg", getNewExpAvg()},
                              {"new_exp_avg_sq", getNewExpAvgSq()},
                              {"grad_norm", getGradNorm()},
                              {"learning_rate", getLearningRate()},
                              {"bias_correction1", getBiasCorrection1()},
                              {"bias_correction2", getBiasCorrection2()}});
  if (static_cast<bool>(getMaster()) != static_cast<bool>(getNewMaster()))
    return emitOpError() << "has " << (getMaster() ? "a master but no new one" : "a new master but none to update");
  if (getMaster())
    checks.shape({"master", getMaster()}, shape, "parameter")
        .shape({"new_master", getNewMaster()}, shape, "parameter")
        .statistics(parameter, {{"master", getMaster()}, {"new_master", getNewMaster()}});
  return checks.fraction("beta1", getBeta1())
      .fraction("beta2", getBeta2())
      .positive("epsilon", getEpsilon())
      .positive("max_grad_norm", getMaxGradNorm());
}
