//===- ExpandLayers.cpp - Expand layer ops into tensor ops, one function per distinct layer -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Layers/LayerFunctions.h"
#include "passes/Layers/ModelInfo.h"
#include "passes/Layers/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDLAYERSPASS
#include "passes/Layers/Passes.h.inc"

namespace {

constexpr StringLiteral embeddingName = "model.embed_tokens.weight";
constexpr StringLiteral finalNormName = "model.norm.weight";
constexpr StringLiteral headName = "lm_head.weight";

std::string getWeightName(int64_t layer, StringRef name) { return ("model.layers." + Twine(layer) + "." + name).str(); }
std::string getCacheName(int64_t layer, StringRef kind) { return ("cache.layers." + Twine(layer) + "." + kind).str(); }

/// Expands one moe.model: variables, then layer functions, then entry points, all at the end of the module.
class ModelExpansion {
public:
  explicit ModelExpansion(ModelOp model)
      : model(model), builder(model.getLoc(), OpBuilder::atBlockEnd(model->getBlock())) {
    for (auto layers : model.getOps<LayersOp>())
      for (uint64_t i = 0; i < layers.getCount(); ++i)
        layerDescriptions.emplace_back(layers);
  }

  /// Fails if the tokens that `op` asks for at a time, or the elements of a variable, are more than indices reach.
  LogicalResult verifySizes(Operation *op, const TokenShape &shape);
  void declareVariables(ServingOp serving);
  void declareLayerFunctions(LayerMode mode, const TokenShape &shape);
  void buildSequenceEntry(EntryKind kind, const TokenShape &shape);
  void buildCachedEntry(EntryKind kind, LayerMode mode, const TokenShape &shape);
  DictionaryAttr getModelInfo(TrainingOp training, ServingOp serving);

private:
  /// Of parameters and activations; of angles, losses and output logits.
  RankedTensorType getType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, getStorageType(model)); }
  RankedTensorType getFloatType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getF32Type()); }
  RankedTensorType getIndexType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getI32Type()); }
  int64_t getHiddenSize() { return model.getHiddenSize(); }
  int64_t getVocabSize() { return model.getVocabSize(); }

  void declareVariable(StringRef name, RankedTensorType type, VariableRole role, InitializerKind initializer,
                       int64_t activeElements);
  Value read(StringRef name);
  void write(Value value, StringRef name) { WriteOp::create(builder, value, name); }

  func::FuncOp beginEntry(EntryKind kind, ArrayRef<std::pair<StringRef, Type>> inputs);
  void endEntry(func::FuncOp entry, ArrayRef<std::pair<std::string, Value>> outputs);

  Value embed(Value tokens, const TokenShape &shape);
  ValueRange getRopeTable(const LayerDescription &layer, Value positions);
  func::CallOp callLayer(int64_t index, ArrayRef<Value> inputs);
  Value computeLogits(Value x);

  ModelOp model;
  ImplicitLocOpBuilder builder;
  SmallVector<LayerDescription> layerDescriptions;
  llvm::StringMap<RankedTensorType> variableTypes;
  int64_t parameters = 0, activeParameters = 0;

  /// One name per distinct layer, whatever the mode.
  llvm::DenseMap<Attribute, std::string> layerNames;
  llvm::StringMap<unsigned> layerKinds;
  /// The functions of the mode declared last, by layer.
  SmallVector<func::FuncOp> layerFunctions;
  /// The rotary tables of the entry point under construction, by theta and table type.
  llvm::DenseMap<std::pair<Attribute, Type>, RopeTableOp> ropeTables;
};

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

LogicalResult ModelExpansion::verifySizes(Operation *op, const TokenShape &shape) {
  int64_t tokens = shape.getNumTokens();
  constexpr int64_t maxRows = std::numeric_limits<int32_t>::max(); // indices are int32
  constexpr double maxElements = 0x1p53;                           // far above any memory, far below an overflow
  for (const LayerDescription &layer : layerDescriptions) {
    int64_t rows = layer.getSparse() ? layer.getSparse().getTopK() : 1;
    if (tokens > maxRows || tokens * rows > maxRows)
      return emitError(op->getLoc()) << op->getName() << " asks for " << tokens << " tokens at a time, each with up to "
                                     << rows << " routed rows, but there can be at most " << maxRows << " rows";
    for (const LayerWeight &weight : getLayerWeights(layer)) {
      double elements = 1;
      for (int64_t size : weight.type.getShape())
        elements *= size;
      if (elements > maxElements)
        return emitError(layer.feedForward->getParentOp()->getLoc())
               << weight.name << " of type " << weight.type << " has more than 2^53 elements";
    }
  }
  return success();
}

void ModelExpansion::declareVariable(StringRef name, RankedTensorType type, VariableRole role,
                                     InitializerKind initializer, int64_t activeElements) {
  FloatAttr stddev = initializer == InitializerKind::normal ? model.getInitializerRangeAttr() : FloatAttr();
  VariableOp::create(builder, name, role, initializer, stddev, /*source=*/FlatSymbolRefAttr(), type);
  variableTypes[name] = type;
  if (role != VariableRole::parameter)
    return;
  parameters += type.getNumElements();
  activeParameters += activeElements;
}

void ModelExpansion::declareVariables(ServingOp serving) {
  RankedTensorType table = getType({getVocabSize(), getHiddenSize()}), norm = getType({getHiddenSize()});
  declareVariable(embeddingName, table, VariableRole::parameter, InitializerKind::normal, table.getNumElements());
  for (auto [index, layer] : llvm::enumerate(layerDescriptions))
    for (const LayerWeight &weight : getLayerWeights(layer))
      declareVariable(getWeightName(index, weight.name), weight.type, weight.role, weight.initializer,
                      weight.activeElements);
  declareVariable(finalNormName, norm, VariableRole::parameter, InitializerKind::ones, norm.getNumElements());
  if (!model.getTieWordEmbeddings())
    declareVariable(headName, table, VariableRole::parameter, InitializerKind::normal, table.getNumElements());
  if (!serving)
    return;
  TokenShape shape = TokenShape::ofDecode(serving);
  for (auto [index, layer] : llvm::enumerate(layerDescriptions))
    for (StringRef kind : {"key", "value"})
      declareVariable(getCacheName(index, kind), getCacheType(layer, shape), VariableRole::cache,
                      InitializerKind::zeros, 0);
}

Value ModelExpansion::read(StringRef name) { return ReadOp::create(builder, variableTypes.at(name), name); }

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

static StringRef getModeSuffix(LayerMode mode) {
  switch (mode) {
  case LayerMode::Sequence:
    return "";
  case LayerMode::Prefill:
    return "_prefill";
  case LayerMode::Decode:
    return "_decode";
  }
  llvm_unreachable("unknown mode");
}

void ModelExpansion::declareLayerFunctions(LayerMode mode, const TokenShape &shape) {
  layerFunctions.clear();
  llvm::DenseMap<Attribute, func::FuncOp> functions;
  for (const LayerDescription &layer : layerDescriptions) {
    std::string &name = layerNames[layer.getKey()];
    if (name.empty()) {
      name = layer.getSparse() ? "sparse_layer" : "dense_layer";
      if (unsigned number = ++layerKinds[name]; number > 1)
        name += "_" + std::to_string(number);
    }
    func::FuncOp &function = functions[layer.getKey()];
    if (!function)
      function = buildLayerFunction(builder, name + getModeSuffix(mode).str(), layer, mode, shape);
    layerFunctions.push_back(function);
  }
}

/// The table of angles that `layer` needs at `positions`, shared with the layers before it.
ValueRange ModelExpansion::getRopeTable(const LayerDescription &layer, Value positions) {
  SelfAttentionOp attention = layer.attention;
  int64_t tokens = cast<RankedTensorType>(positions.getType()).getNumElements();
  Type type = getFloatType({tokens, static_cast<int64_t>(attention.getHeadDim() / 2)});
  RopeTableOp &table = ropeTables[{attention.getRopeThetaAttr(), type}];
  if (!table)
    table = RopeTableOp::create(builder, type, type, positions, attention.getRopeTheta());
  return table.getResults();
}

/// Calls layer `index` with `inputs`, followed by its weights.
func::CallOp ModelExpansion::callLayer(int64_t index, ArrayRef<Value> inputs) {
  SmallVector<Value> operands(inputs);
  for (const LayerWeight &weight : getLayerWeights(layerDescriptions[index]))
    operands.push_back(read(getWeightName(index, weight.name)));
  auto call = func::CallOp::create(builder, layerFunctions[index], operands);
  call->setAttr("moe.layer", builder.getI64IntegerAttr(index));
  return call;
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

func::FuncOp ModelExpansion::beginEntry(EntryKind kind, ArrayRef<std::pair<StringRef, Type>> inputs) {
  auto types = llvm::map_to_vector(inputs, [](const auto &input) { return input.second; });
  auto entry = func::FuncOp::create(builder, stringifyEntryKind(kind), builder.getFunctionType(types, {}));
  entry->setAttr("moe.entry", EntryKindAttr::get(builder.getContext(), kind));
  builder.setInsertionPointToStart(entry.addEntryBlock());
  for (auto [index, input] : llvm::enumerate(inputs))
    entry.setArgAttr(index, "moe.name", builder.getStringAttr(input.first));
  ropeTables.clear();
  return entry;
}

void ModelExpansion::endEntry(func::FuncOp entry, ArrayRef<std::pair<std::string, Value>> outputs) {
  auto values = llvm::map_to_vector(outputs, [](const auto &output) { return output.second; });
  func::ReturnOp::create(builder, values);
  entry.setType(builder.getFunctionType(entry.getArgumentTypes(), TypeRange(ValueRange(values))));
  for (auto [index, output] : llvm::enumerate(outputs))
    entry.setResultAttr(index, "moe.name", builder.getStringAttr(output.first));
  builder.setInsertionPointToEnd(model->getBlock());
}

Value ModelExpansion::embed(Value tokens, const TokenShape &shape) {
  return EmbeddingOp::create(builder, getType({shape.getNumTokens(), getHiddenSize()}), read(embeddingName), tokens);
}

Value ModelExpansion::computeLogits(Value x) {
  int64_t rows = cast<RankedTensorType>(x.getType()).getDimSize(0);
  x = RMSNormOp::create(builder, x.getType(), x, read(finalNormName), model.getRmsNormEps());
  Value head = read(model.getTieWordEmbeddings() ? embeddingName : headName);
  return LinearOp::create(builder, getFloatType({rows, getVocabSize()}), x, head);
}

/// train_step or evaluate: every token of whole sequences gets logits. The loss is attached in the stage `objective`.
void ModelExpansion::buildSequenceEntry(EntryKind kind, const TokenShape &shape) {
  Type tokensType = getIndexType({shape.batch, shape.length});
  SmallVector<std::pair<StringRef, Type>> inputs = {{"tokens", tokensType}};
  if (shape.packedDocuments)
    inputs.emplace_back("positions", tokensType);
  func::FuncOp entry = beginEntry(kind, inputs);
  Value x = embed(entry.getArgument(0), shape);
  Value positions = shape.packedDocuments
                        ? Value(entry.getArgument(1))
                        : SequencePositionsOp::create(builder, getIndexType({shape.getNumTokens()}), shape.length);

  Value auxLoss;
  SmallVector<std::pair<std::string, Value>> loads;
  for (auto [index, layer] : llvm::enumerate(layerDescriptions)) {
    ValueRange table = getRopeTable(layer, positions);
    SmallVector<Value> operands = {x, table[0], table[1]};
    if (shape.packedDocuments)
      operands.push_back(positions);
    func::CallOp call = callLayer(index, operands);
    x = call.getResult(0);
    if (!layer.getSparse())
      continue;
    Value load = call.getResults().back();
    loads.emplace_back("load." + std::to_string(index), load);
    if (layer.hasBalanceLoss())
      auxLoss = auxLoss ? AddOp::create(builder, auxLoss, call.getResult(1)) : call.getResult(1);
    if (kind == EntryKind::train_step && layer.hasSelectionBias()) {
      Value bias = call.getOperands().back(); // as getLayerWeights has it
      Value moved = UpdateSelectionBiasOp::create(builder, bias.getType(), bias, load, /*grad_norm=*/Value(),
                                                  layer.getSparse().getBiasUpdateRate());
      write(moved, getWeightName(index, selectionBiasName));
    }
  }
  if (!auxLoss)
    auxLoss = arith::ConstantOp::create(
        builder, DenseElementsAttr::get(getFloatType({}), builder.getF32FloatAttr(0.0).getValue()));

  SmallVector<std::pair<std::string, Value>> outputs = {{"logits", computeLogits(x)}, {"aux_loss", auxLoss}};
  outputs.append(loads);
  endEntry(entry, outputs);
}

/// prefill or decode_step: new tokens after those in the caches; each sequence gets the logits of one token.
void ModelExpansion::buildCachedEntry(EntryKind kind, LayerMode mode, const TokenShape &shape) {
  Type tokensType = getIndexType({shape.batch, shape.length});
  SmallVector<std::pair<StringRef, Type>> inputs = {{"tokens", tokensType}, {"positions", tokensType}};
  if (mode == LayerMode::Prefill)
    inputs.emplace_back("last", getIndexType({shape.batch}));
  func::FuncOp entry = beginEntry(kind, inputs);
  Value x = embed(entry.getArgument(0), shape);
  Value positions = entry.getArgument(1);

  for (auto [index, layer] : llvm::enumerate(layerDescriptions)) {
    ValueRange table = getRopeTable(layer, positions);
    std::string keyName = getCacheName(index, "key"), valueName = getCacheName(index, "value");
    func::CallOp call = callLayer(index, {x, table[0], table[1], positions, read(keyName), read(valueName)});
    x = call.getResult(0);
    write(call.getResult(1), keyName);
    write(call.getResult(2), valueName);
  }
  if (mode == LayerMode::Prefill)
    x = EmbeddingOp::create(builder, getType({shape.batch, getHiddenSize()}), x, entry.getArgument(2));
  endEntry(entry, {{"logits", computeLogits(x)}});
}

//===----------------------------------------------------------------------===//
// Facts about the model
//===----------------------------------------------------------------------===//

DictionaryAttr ModelExpansion::getModelInfo(TrainingOp training, ServingOp serving) {
  ModelInfo info;
  info.numLayers = layerDescriptions.size();
  info.parameters = parameters;
  info.activeParameters = activeParameters;
  for (auto [index, layer] : llvm::enumerate(layerDescriptions)) {
    SparseMLPOp sparse = layer.getSparse();
    if (!sparse)
      continue;
    info.sparseLayers.push_back(index);
    info.numExperts = std::max<int64_t>(info.numExperts, sparse.getNumExperts());
    info.topK = std::max<int64_t>(info.topK, sparse.getTopK());
  }
  return info.toAttribute(model, training, serving);
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

struct ExpandLayersPass : impl::ExpandLayersPassBase<ExpandLayersPass> {
  void runOnOperation() override;
};
} // namespace

template <typename OpT> static OpT getOnly(ModuleOp module) {
  auto ops = module.getOps<OpT>();
  return ops.empty() ? OpT() : *ops.begin();
}

/// Rotary angles beyond those of training are new to the model.
static void warnOfLongContext(TrainingOp training, ServingOp serving) {
  uint64_t length = training.getSequenceLength(), context = serving.getContextLength();
  if (context <= length)
    return;
  InFlightDiagnostic warning = emitWarning(serving.getLoc());
  warning << "context_length = " << context << " exceeds the sequence_length = " << length
          << " of moe.training: the model never sees later positions in training and will write badly there; nearest: "
             "context_length = "
          << length << ", or a longer sequence_length";
  warning.attachNote(training.getLoc()) << "trained here";
}

void ExpandLayersPass::runOnOperation() {
  ModuleOp module = getOperation();
  auto model = getOnly<ModelOp>(module);
  if (!model)
    return;
  auto training = getOnly<TrainingOp>(module);
  auto serving = getOnly<ServingOp>(module);
  if (!training && !serving) {
    emitError(model.getLoc()) << "'" << model.getSymName()
                              << "' has nothing to be compiled for; add moe.training (...) to train and evaluate it, "
                                 "moe.serving (...) to generate from it, or both";
    return signalPassFailure();
  }

  if (training && serving)
    warnOfLongContext(training, serving);

  ModelExpansion expansion(model);
  if ((training && failed(expansion.verifySizes(training, TokenShape::ofTraining(training)))) ||
      (serving && failed(expansion.verifySizes(serving, TokenShape::ofPrefill(serving)))))
    return signalPassFailure();

  expansion.declareVariables(serving);
  if (training) {
    TokenShape shape = TokenShape::ofTraining(training);
    expansion.declareLayerFunctions(LayerMode::Sequence, shape);
    expansion.buildSequenceEntry(EntryKind::train_step, shape);
    expansion.buildSequenceEntry(EntryKind::evaluate, shape);
  }
  if (serving) {
    expansion.declareLayerFunctions(LayerMode::Prefill, TokenShape::ofPrefill(serving));
    expansion.buildCachedEntry(EntryKind::prefill, LayerMode::Prefill, TokenShape::ofPrefill(serving));
    expansion.declareLayerFunctions(LayerMode::Decode, TokenShape::ofDecode(serving));
    expansion.buildCachedEntry(EntryKind::decode_step, LayerMode::Decode, TokenShape::ofDecode(serving));
  }
  module->setAttr(modelInfoAttrName, expansion.getModelInfo(training, serving));
  model.erase();
  if (serving)
    serving.erase();
}

} // namespace mlir::moe
