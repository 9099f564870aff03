//===- LayerModule.cpp - One mixture-of-experts layer as a module -- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Bench/LayerModule.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Bench/LayerGradient.h"
#include "passes/Layers/ModelInfo.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::bench;

static constexpr StringLiteral kNameAttr = "moe.name", kEntryAttr = "moe.entry";
/// Logits of about unit variance, and outputs about as large as inputs, at the widths of the known shapes.
static constexpr double kWeightDeviation = 0.02;
/// Layers of a chain: so many that what a device needs to begin and to end a run is a small part of it.
static constexpr int64_t kChainLength = 16;
/// More than twice the level-2 cache of any GPU so far.
static constexpr int64_t kUncachedBytes = int64_t(256) << 20;

namespace {
/// Adds to the end of a module.
class ModuleBuilder {
public:
  ModuleBuilder(StringRef dtype, MLIRContext &context)
      : module(ModuleOp::create(UnknownLoc::get(&context))), builder(module->getLoc(), &context),
        storage(dtype == "bf16" ? Type(builder.getBF16Type()) : Type(builder.getF32Type())) {
    builder.setInsertionPointToEnd(module->getBody());
  }

  RankedTensorType getType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, storage); }
  RankedTensorType getFloatType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getF32Type()); }
  RankedTensorType getIndexType(ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getI32Type()); }

  VariableOp addVariable(StringRef name, RankedTensorType type, double deviation) {
    return VariableOp::create(builder, name, VariableRole::parameter, InitializerKind::normal,
                              builder.getF64FloatAttr(deviation), FlatSymbolRefAttr(), type);
  }
  VariableOp addCopy(const Twine &name, VariableOp source) {
    return VariableOp::create(builder, name.str(), VariableRole::parameter, InitializerKind::copy, FloatAttr(),
                              FlatSymbolRefAttr::get(source.getSymNameAttr()), source.getType());
  }
  Value read(VariableOp variable) {
    return ReadOp::create(builder, variable.getType(), variable.getSymName());
  }

  func::FuncOp begin(const Twine &name, TypeRange arguments) {
    auto function = func::FuncOp::create(builder, name.str(), builder.getFunctionType(arguments, {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    return function;
  }
  void end(func::FuncOp function, ValueRange results) {
    func::ReturnOp::create(builder, results);
    function.setType(builder.getFunctionType(function.getArgumentTypes(), results.getTypes()));
    builder.setInsertionPointToEnd(module->getBody());
  }
  /// Makes `function` an entry point.
  void publish(func::FuncOp function, ArrayRef<std::string> inputs, ArrayRef<std::string> outputs) {
    function->setAttr(kEntryAttr, builder.getUnitAttr());
    for (auto [index, name] : llvm::enumerate(inputs))
      function.setArgAttr(index, kNameAttr, builder.getStringAttr(name));
    for (auto [index, name] : llvm::enumerate(outputs))
      function.setResultAttr(index, kNameAttr, builder.getStringAttr(name));
  }
  /// What every model says about itself, and `facts` under `key`.
  void setInfo(StringRef name, int64_t hiddenSize, StringRef key, ArrayRef<NamedAttribute> facts) {
    int64_t parameters = 0;
    for (auto variable : module->getOps<VariableOp>())
      parameters += cast<ShapedType>(variable.getType()).getNumElements();
    auto number = [&](StringRef key, int64_t value) {
      return builder.getNamedAttr(key, builder.getI64IntegerAttr(value));
    };
    (*module)->setAttr(modelInfoAttrName,
                       builder.getDictionaryAttr(
                           {builder.getNamedAttr("name", builder.getStringAttr(name)), number("vocab_size", 1),
                            number("hidden_size", hiddenSize), number("num_layers", 0),
                            builder.getNamedAttr("sparse_layers", builder.getI64ArrayAttr({})),
                            number("parameters", parameters), number("active_parameters", parameters),
                            builder.getNamedAttr(key, builder.getDictionaryAttr(facts))}));
  }

  OwningOpRef<ModuleOp> module;
  ImplicitLocOpBuilder builder;
  Type storage;
};

/// Adds one layer and its entry points.
class LayerBuilder : public ModuleBuilder {
public:
  LayerBuilder(const LayerShape &shape, StringRef dtype, MLIRContext &context)
      : ModuleBuilder(dtype, context), shape(shape) {
    int64_t hidden = shape.hiddenSize, experts = shape.numExperts;
    auto add = [&](StringRef name, ArrayRef<int64_t> sizes) {
      weights.push_back(addVariable(name, getType(sizes), kWeightDeviation));
    };
    add("mlp.gate.weight", {experts, hidden});
    add("mlp.experts.gate_up_proj", {experts, 2 * shape.intermediateSize, hidden});
    add("mlp.experts.down_proj", {experts, hidden, shape.intermediateSize});
  }

  /// With `isResidual`, another argument is added to its result.
  func::FuncOp addLayer(int64_t tokens, bool isResidual = false);
  void addForward(func::FuncOp layer, int64_t tokens);
  LogicalResult addForwardBackward(func::FuncOp layer, int64_t tokens);
  void addChain();

private:
  int64_t countUncachedSets();

  const LayerShape &shape;
  SmallVector<VariableOp> weights;
};
} // namespace

/// What moe-expand-layers makes of a moe.sparse_mlp that normalises the softmax of the chosen experts.
func::FuncOp LayerBuilder::addLayer(int64_t tokens, bool isResidual) {
  int64_t hidden = shape.hiddenSize, experts = shape.numExperts, topK = shape.topK, rows = tokens * topK;
  SmallVector<Type> types = {getType({tokens, hidden})};
  for (VariableOp weight : weights)
    types.push_back(weight.getType());
  if (isResidual)
    types.push_back(types.front());
  func::FuncOp layer = begin((isResidual ? "residual_layer." : "layer.") + Twine(tokens), types);
  layer.setPrivate();
  Value x = layer.getArgument(0), router = layer.getArgument(1), gateUp = layer.getArgument(2),
        down = layer.getArgument(3);

  Value logits = LinearOp::create(builder, getFloatType({tokens, experts}), x, router);
  Value scores = RouterScoresOp::create(builder, logits.getType(), logits, ScoringFunc::softmax);
  auto gate = TopKGateOp::create(builder, getFloatType({tokens, topK}), getIndexType({tokens, topK}), scores,
                                 /*selection_bias=*/Value(), topK, /*norm_topk_prob=*/true,
                                 /*routed_scaling_factor=*/APFloat(1.0));
  auto plan = PlanRoutingOp::create(builder, getIndexType({experts + 1}), getIndexType({rows}),
                                    getIndexType({tokens, topK}), gate.getIndices());
  Value gathered = DispatchOp::create(builder, getType({rows, hidden}), x, plan.getPermutation(), plan.getInverse(),
                                      /*weights=*/Value());
  Value gates = GroupedMatmulOp::create(builder, getType({rows, 2 * shape.intermediateSize}), gathered, gateUp,
                                        plan.getOffsets(), RaggedDim::rows, /*transpose_rhs=*/true);
  Value inner = GatedActivationOp::create(builder, getType({rows, shape.intermediateSize}), gates);
  Value outputs = GroupedMatmulOp::create(builder, getType({rows, hidden}), inner, down, plan.getOffsets(),
                                          RaggedDim::rows, /*transpose_rhs=*/true);
  Value y =
      CombineOp::create(builder, x.getType(), outputs, plan.getPermutation(), plan.getInverse(), gate.getWeights());
  if (isResidual)
    y = AddOp::create(builder, x.getType(), layer.getArguments().back(), y);
  end(layer, {y, plan.getOffsets()});
  return layer;
}

void LayerBuilder::addForward(func::FuncOp layer, int64_t tokens) {
  func::FuncOp entry = begin("forward." + Twine(tokens), layer.getArgumentTypes().front());
  SmallVector<Value> operands = {entry.getArgument(0)};
  for (VariableOp weight : weights)
    operands.push_back(read(weight));
  end(entry, func::CallOp::create(builder, layer, operands).getResults());
  publish(entry, {"x"}, {"y", "offsets"});
}

LogicalResult LayerBuilder::addForwardBackward(func::FuncOp layer, int64_t tokens) {
  FailureOr<LayerHalves> halves = buildHalves(layer);
  if (failed(halves))
    return failure();
  Type type = layer.getArgumentTypes().front();
  func::FuncOp entry = begin("forward_backward." + Twine(tokens), {type, type});
  SmallVector<Value> operands = {entry.getArgument(0)};
  SmallVector<std::string> outputs = {"y", "offsets", "gradient.x"};
  for (VariableOp weight : weights) {
    operands.push_back(read(weight));
    outputs.push_back("gradient." + weight.getSymName().str());
  }
  auto forward = func::CallOp::create(builder, halves->forward, operands);
  SmallVector<Value> results(forward.getResults().take_front(2));
  llvm::append_range(operands, forward.getResults().drop_front(2));
  operands.push_back(entry.getArgument(1));
  llvm::append_range(results, func::CallOp::create(builder, halves->backward, operands).getResults());
  end(entry, results);
  publish(entry, {"x", "gradient.y"}, outputs);
  return success();
}

int64_t LayerBuilder::countUncachedSets() {
  int64_t elements = 3 * shape.topK * shape.hiddenSize * shape.intermediateSize;
  int64_t bytes = elements * storage.getIntOrFloatBitWidth() / 8;
  return std::clamp<int64_t>(llvm::divideCeil(kUncachedBytes, bytes), 2, kChainLength);
}

void LayerBuilder::addChain() {
  func::FuncOp layer = addLayer(/*tokens=*/1, /*isResidual=*/true);
  SmallVector<SmallVector<VariableOp>> sets = {weights};
  for (int64_t set = 1, count = countUncachedSets(); set < count; ++set)
    sets.push_back(llvm::map_to_vector(weights, [&](VariableOp weight) {
      return addCopy("set" + Twine(set) + "." + weight.getSymName(), weight);
    }));
  func::FuncOp entry = begin("chain.1", layer.getArgumentTypes().front());
  auto values = llvm::map_to_vector(sets, [&](ArrayRef<VariableOp> set) {
    return llvm::map_to_vector(set, [&](VariableOp weight) { return read(weight); });
  });
  SmallVector<Value> results;
  SmallVector<std::string> names;
  Value input = entry.getArgument(0), x = input;
  for (int64_t i = 0; i < kChainLength; ++i) {
    SmallVector<Value> operands = {x};
    llvm::append_range(operands, values[i % values.size()]);
    operands.push_back(input);
    results.push_back(x = func::CallOp::create(builder, layer, operands).getResult(0));
    names.push_back("x." + std::to_string(i + 1));
  }
  end(entry, results);
  publish(entry, {"x"}, names);
}

FailureOr<OwningOpRef<ModuleOp>> mlir::moe::bench::buildLayerModule(const LayerOptions &options, MLIRContext &context) {
  const LayerShape &shape = options.shape;
  LayerBuilder layer(shape, options.dtype, context);
  for (int64_t tokens : options.tokens) {
    func::FuncOp function = layer.addLayer(tokens);
    layer.addForward(function, tokens);
    if (llvm::is_contained(options.tokensOfBackward, tokens) && failed(layer.addForwardBackward(function, tokens)))
      return failure();
    if (tokens == 1)
      layer.addChain();
  }
  Builder &builder = layer.builder;
  auto number = [&](StringRef key, int64_t value) {
    return builder.getNamedAttr(key, builder.getI64IntegerAttr(value));
  };
  layer.setInfo(shape.name, shape.hiddenSize, "layer",
                {builder.getNamedAttr("shape", builder.getStringAttr(shape.name)),
                          builder.getNamedAttr("dtype", builder.getStringAttr(options.dtype)),
                          number("hidden_size", shape.hiddenSize),
                          number("moe_intermediate_size", shape.intermediateSize),
                          number("num_experts", shape.numExperts), number("top_k", shape.topK),
                          builder.getNamedAttr("tokens", builder.getI64ArrayAttr(options.tokens))});
  if (failed(verify(*layer.module)))
    return failure();
  return std::move(layer.module);
}

OwningOpRef<ModuleOp> mlir::moe::bench::buildCeilingModule(int64_t size, StringRef dtype, MLIRContext &context) {
  ModuleBuilder ceiling(dtype, context);
  RankedTensorType type = ceiling.getType({size, size});
  VariableOp lhs = ceiling.addVariable("lhs", type, 1.0), rhs = ceiling.addVariable("rhs", type, 1.0);
  func::FuncOp entry = ceiling.begin("matmul", {});
  Value left = ceiling.read(lhs), right = ceiling.read(rhs);
  ceiling.end(entry, LinearOp::create(ceiling.builder, type, left, right).getResult());
  ceiling.publish(entry, {}, {"product"});
  Builder &builder = ceiling.builder;
  ceiling.setInfo("ceilings", size, "ceilings",
                  {builder.getNamedAttr("dtype", builder.getStringAttr(dtype)),
                               builder.getNamedAttr("size", builder.getI64IntegerAttr(size))});
  return std::move(ceiling.module);
}
