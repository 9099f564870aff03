//===- LayerFunctions.cpp - One function for each distinct layer -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Layers/LayerFunctions.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::moe {

//===----------------------------------------------------------------------===//
// Description
//===----------------------------------------------------------------------===//

TokenShape TokenShape::ofTraining(TrainingOp op) {
  return {static_cast<int64_t>(op.getBatchSize()), static_cast<int64_t>(op.getSequenceLength()), /*context=*/0,
          op.getPackedDocuments()};
}
TokenShape TokenShape::ofPrefill(ServingOp op) {
  return {static_cast<int64_t>(op.getBatchSize()), static_cast<int64_t>(op.getPromptLength()),
          static_cast<int64_t>(op.getContextLength())};
}
TokenShape TokenShape::ofDecode(ServingOp op) {
  TokenShape shape = ofPrefill(op);
  shape.length = 1;
  return shape;
}

Type getStorageType(ModelOp model) {
  if (model.getDtype() == DType::bf16)
    return BFloat16Type::get(model.getContext());
  return Float32Type::get(model.getContext());
}

LayerDescription::LayerDescription(LayersOp layers)
    : model(layers->getParentOfType<ModelOp>()), attention(cast<SelfAttentionOp>(layers.getBody().front().front())),
      feedForward(&layers.getBody().front().back()) {}

bool LayerDescription::hasSelectionBias() const {
  SparseMLPOp sparse = getSparse();
  return sparse && sparse.getBiasUpdateRate().isNonZero();
}

bool LayerDescription::hasBalanceLoss() const {
  SparseMLPOp sparse = getSparse();
  return sparse && sparse.getAuxLossAlpha().isNonZero();
}

Attribute LayerDescription::getKey() const {
  return ArrayAttr::get(
      feedForward->getContext(),
      {attention->getAttrDictionary(), feedForward->getName().getIdentifier(), feedForward->getAttrDictionary()});
}

SmallVector<LayerWeight> getLayerWeights(const LayerDescription &layer) {
  ModelOp model = layer.model;
  SelfAttentionOp attention = layer.attention;
  Type storage = getStorageType(model);
  int64_t hidden = model.getHiddenSize(), headDim = attention.getHeadDim();
  int64_t queries = attention.getNumHeads() * headDim, keys = attention.getNumKvHeads() * headDim;

  SmallVector<LayerWeight> weights;
  auto add = [&](StringRef name, ArrayRef<int64_t> shape, InitializerKind initializer = InitializerKind::normal) {
    auto type = RankedTensorType::get(shape, storage);
    weights.push_back({name, type, VariableRole::parameter, initializer, type.getNumElements()});
  };
  auto addNorm = [&](StringRef name, int64_t size) { add(name, {size}, InitializerKind::ones); };

  addNorm("input_layernorm.weight", hidden);
  add("self_attn.q_proj.weight", {queries, hidden});
  add("self_attn.k_proj.weight", {keys, hidden});
  add("self_attn.v_proj.weight", {keys, hidden});
  if (attention.getQkNorm()) {
    addNorm("self_attn.q_norm.weight", headDim);
    addNorm("self_attn.k_norm.weight", headDim);
  }
  add("self_attn.o_proj.weight", {hidden, queries});
  addNorm("post_attention_layernorm.weight", hidden);

  SparseMLPOp sparse = layer.getSparse();
  if (!sparse) {
    int64_t size = cast<MLPOp>(layer.feedForward).getIntermediateSize();
    add("mlp.gate_up_proj.weight", {2 * size, hidden});
    add("mlp.down_proj.weight", {hidden, size});
    return weights;
  }

  int64_t experts = sparse.getNumExperts(), size = sparse.getMoeIntermediateSize();
  auto addExperts = [&](StringRef name, ArrayRef<int64_t> shape) {
    add(name, shape);
    weights.back().activeElements = weights.back().activeElements / experts * sparse.getTopK();
  };
  add("mlp.gate.weight", {experts, hidden});
  addExperts("mlp.experts.gate_up_proj", {experts, 2 * size, hidden});
  addExperts("mlp.experts.down_proj", {experts, hidden, size});
  if (int64_t shared = sparse.getNumSharedExperts() * size) {
    add("mlp.shared_experts.gate_up_proj.weight", {2 * shared, hidden});
    add("mlp.shared_experts.down_proj.weight", {hidden, shared});
  }
  if (layer.hasSelectionBias()) {
    add(selectionBiasName, {experts}, InitializerKind::zeros);
    weights.back().role = VariableRole::buffer;
    weights.back().type = weights.back().type.clone(Float32Type::get(model.getContext()));
  }
  return weights;
}

RankedTensorType getCacheType(const LayerDescription &layer, const TokenShape &shape) {
  SelfAttentionOp attention = layer.attention;
  int64_t width = attention.getNumKvHeads() * attention.getHeadDim();
  return RankedTensorType::get({shape.batch, shape.context, width}, getStorageType(layer.model));
}

//===----------------------------------------------------------------------===//
// Body
//===----------------------------------------------------------------------===//

namespace {
/// Emits the body of a layer function. Values are [tokens or routed rows, features] unless their name says otherwise.
class LayerBuilder {
public:
  LayerBuilder(func::FuncOp function, const LayerDescription &layer, LayerMode mode, const TokenShape &shape);
  void build();

private:
  /// Of activations; of scores, statistics and losses.
  Type getType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, getStorageType(layer.model)); }
  Type getFloatType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getF32Type()); }
  Type getIndexType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getI32Type()); }

  Value norm(Value input, StringRef weight);
  Value linear(Value input, StringRef weight);
  Value gatedActivation(Value input);
  Value denseMLP(Value input, StringRef gateUp, StringRef down);
  Value groupedMatmul(Value rows, StringRef weight, Value offsets);

  Value rotatedHeads(Value input, StringRef projection, StringRef headNorm);
  Value attention(Value input);
  Value sparseMLP(Value input, SparseMLPOp sparse);

  const LayerDescription &layer;
  LayerMode mode;
  TokenShape shape;
  ImplicitLocOpBuilder builder;
  Block *body;
  Value cos, sin, positions, keyCache, valueCache;
  llvm::StringMap<Value> weights;
  /// What the function returns after its main result.
  SmallVector<Value> extraResults;
};
} // namespace

LayerBuilder::LayerBuilder(func::FuncOp function, const LayerDescription &layer, LayerMode mode,
                           const TokenShape &shape)
    : layer(layer), mode(mode), shape(shape), builder(function.getLoc(), function.getContext()),
      body(&function.getBody().emplaceBlock()) {
  builder.setInsertionPointToStart(body);
}

void LayerBuilder::build() {
  ModelOp model = layer.model;
  SelfAttentionOp attentionOp = layer.attention;
  int64_t tokens = shape.getNumTokens();
  // An argument is located by its name, so that --mlir-use-nameloc-as-prefix prints it.
  auto addArgument = [&](StringRef name, Type type) {
    return body->addArgument(type, NameLoc::get(builder.getStringAttr(name), builder.getLoc()));
  };
  Value x = addArgument("x", getType({tokens, static_cast<int64_t>(model.getHiddenSize())}));
  Type angles = getFloatType({tokens, static_cast<int64_t>(attentionOp.getHeadDim() / 2)});
  cos = addArgument("cos", angles);
  sin = addArgument("sin", angles);
  if (isCached(mode) || shape.packedDocuments)
    positions = addArgument("positions", getIndexType({shape.batch, shape.length}));
  if (isCached(mode)) {
    keyCache = addArgument("key_cache", getCacheType(layer, shape));
    valueCache = addArgument("value_cache", getCacheType(layer, shape));
  }
  for (const LayerWeight &weight : getLayerWeights(layer))
    weights[weight.name] = addArgument(weight.name, weight.type);

  builder.setLoc(layer.attention->getLoc());
  x = AddOp::create(builder, x, attention(norm(x, "input_layernorm.weight")));

  builder.setLoc(layer.feedForward->getLoc());
  Value normalized = norm(x, "post_attention_layernorm.weight");
  Value update;
  if (SparseMLPOp sparse = layer.getSparse())
    update = sparseMLP(normalized, sparse);
  else
    update = denseMLP(normalized, "mlp.gate_up_proj.weight", "mlp.down_proj.weight");
  x = AddOp::create(builder, x, update);

  extraResults.insert(extraResults.begin(), x);
  func::ReturnOp::create(builder, extraResults);
}

Value LayerBuilder::norm(Value input, StringRef weight) {
  ModelOp model = layer.model;
  return RMSNormOp::create(builder, input.getType(), input, weights.at(weight), model.getRmsNormEps());
}

/// Rows of `value`, whatever they stand for.
static int64_t getNumRows(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(0); }

Value LayerBuilder::linear(Value input, StringRef weight) {
  Value matrix = weights.at(weight);
  return LinearOp::create(builder, getType({getNumRows(input), getNumRows(matrix)}), input, matrix);
}

Value LayerBuilder::gatedActivation(Value input) {
  int64_t size = cast<RankedTensorType>(input.getType()).getDimSize(1) / 2;
  return GatedActivationOp::create(builder, getType({getNumRows(input), size}), input);
}

Value LayerBuilder::denseMLP(Value input, StringRef gateUp, StringRef down) {
  return linear(gatedActivation(linear(input, gateUp)), down);
}

Value LayerBuilder::groupedMatmul(Value rows, StringRef weight, Value offsets) {
  Value stack = weights.at(weight);
  int64_t size = cast<RankedTensorType>(stack.getType()).getDimSize(1);
  return GroupedMatmulOp::create(builder, getType({getNumRows(rows), size}), rows, stack, offsets, RaggedDim::rows,
                                 /*transpose_rhs=*/true);
}

/// Queries or keys: projected, normalised per head if the layer asks for it, and rotated to their positions.
Value LayerBuilder::rotatedHeads(Value input, StringRef projection, StringRef headNorm) {
  Value heads = linear(input, projection);
  if (weights.contains(headNorm))
    heads = norm(heads, headNorm);
  return RopeOp::create(builder, heads.getType(), heads, cos, sin);
}

Value LayerBuilder::attention(Value input) {
  SelfAttentionOp op = layer.attention;
  Value query = rotatedHeads(input, "self_attn.q_proj.weight", "self_attn.q_norm.weight");
  Value key = rotatedHeads(input, "self_attn.k_proj.weight", "self_attn.k_norm.weight");
  Value value = linear(input, "self_attn.v_proj.weight");
  Value result;
  if (isCached(mode)) {
    Value keys = CacheAppendOp::create(builder, keyCache.getType(), keyCache, key, positions);
    Value values = CacheAppendOp::create(builder, valueCache.getType(), valueCache, value, positions);
    result = CachedAttentionOp::create(builder, query.getType(), query, keys, values, positions, op.getNumHeads(),
                                       op.getNumKvHeads());
    extraResults.append({keys, values});
  } else {
    Type lse = getFloatType({shape.getNumTokens(), static_cast<int64_t>(op.getNumHeads())});
    result = AttentionOp::create(builder, query.getType(), lse, query, key, value, positions, op.getNumHeads(),
                                 op.getNumKvHeads(), shape.length)
                 .getResult();
  }
  return linear(result, "self_attn.o_proj.weight");
}

Value LayerBuilder::sparseMLP(Value input, SparseMLPOp op) {
  int64_t tokens = shape.getNumTokens(), experts = op.getNumExperts(), topK = op.getTopK();
  int64_t hidden = cast<RankedTensorType>(input.getType()).getDimSize(1);

  Value logits = LinearOp::create(builder, getFloatType({tokens, experts}), input, weights.at("mlp.gate.weight"));
  Value scores = RouterScoresOp::create(builder, logits.getType(), logits, op.getScoringFunc());
  auto gate =
      TopKGateOp::create(builder, getFloatType({tokens, topK}), getIndexType({tokens, topK}), scores,
                         weights.lookup(selectionBiasName), topK, op.getNormTopkProb(), op.getRoutedScalingFactor());
  auto plan = PlanRoutingOp::create(builder, getIndexType({experts + 1}), getIndexType({tokens * topK}),
                                    getIndexType({tokens, topK}), gate.getIndices());

  Value rows = DispatchOp::create(builder, getType({tokens * topK, hidden}), input, plan.getPermutation(),
                                  plan.getInverse(), /*weights=*/Value());
  rows = groupedMatmul(rows, "mlp.experts.gate_up_proj", plan.getOffsets());
  rows = groupedMatmul(gatedActivation(rows), "mlp.experts.down_proj", plan.getOffsets());
  Value result =
      CombineOp::create(builder, input.getType(), rows, plan.getPermutation(), plan.getInverse(), gate.getWeights());
  if (op.getNumSharedExperts() > 0)
    result =
        AddOp::create(builder, result,
                      denseMLP(input, "mlp.shared_experts.gate_up_proj.weight", "mlp.shared_experts.down_proj.weight"));

  if (!isCached(mode)) {
    Value load = ExpertLoadOp::create(builder, getIndexType({experts}), plan.getOffsets());
    if (layer.hasBalanceLoss())
      extraResults.push_back(BalanceLossOp::create(builder, getFloatType({}), scores, load, op.getAuxLossAlpha()));
    extraResults.push_back(load);
  }
  return result;
}

func::FuncOp buildLayerFunction(OpBuilder &builder, StringRef name, const LayerDescription &layer, LayerMode mode,
                                const TokenShape &shape) {
  Location loc = layer.attention->getParentOp()->getLoc();
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, {}));
  function.setPrivate();
  LayerBuilder(function, layer, mode, shape).build();
  Block &body = function.getBody().front();
  function.setType(builder.getFunctionType(body.getArgumentTypes(), body.getTerminator()->getOperandTypes()));
  return function;
}

} // namespace mlir::moe
