//===- LayerBenchTest.cpp - The layers that moe-bench compiles --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Gradients against finite differences in float64, and compiled layers against the reference within its bound of what
/// float32 arithmetic may differ by.
///
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Artifact/ModuleToArtifact.h"
#include "lib/Compiler/Bench/LayerModule.h"
#include "lib/Compiler/Pipeline/Compile.h"
#include "lib/Compiler/Pipeline/Registration.h"
#include "lib/Compiler/Reference/Interpreter.h"
#include "lib/Compiler/Reference/Rounding.h"
#include "test/conformance/CompiledDevice.h"
#include "test/conformance/Numerics.h"

#include "dialects/MoE/IR/MoEOps.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;
using reference::Bounded;

namespace {

constexpr int64_t kTokens = 9;
const bench::LayerShape kShape = {"small", 12, 10, 5, 2};

MLIRContext &getContext() {
  static MLIRContext context([] {
    registerAllPasses();
    DialectRegistry registry;
    registerAllDialects(registry);
    return registry;
  }());
  context.loadAllAvailableDialects();
  return context;
}

OwningOpRef<ModuleOp> buildLayer(StringRef dtype) {
  FailureOr<OwningOpRef<ModuleOp>> module =
      bench::buildLayerModule({kShape, dtype.str(), {1, kTokens}, {1, kTokens}}, getContext());
  EXPECT_TRUE(succeeded(module));
  return std::move(*module);
}

/// Normal, with the type's rounding; weights are of a size at which no gate is saturated.
Tensor draw(StringRef name, Type type, double deviation) {
  Draw random(name.str());
  Tensor tensor = random.normal(cast<ShapedType>(type).getShape(), deviation);
  if (getElementTypeOrSelf(type).isBF16())
    for (double &value : tensor.values)
      value = reference::roundToBF16(value);
  return tensor;
}

/// What the variables and inputs of an entry point are in every test.
NamedTensors drawVariables(ModuleOp module, double deviation = 0.4) {
  NamedTensors variables;
  for (auto variable : module.getOps<VariableOp>())
    variables[variable.getSymName().str()] = draw(variable.getSymName(), variable.getType(), deviation);
  return variables;
}
NamedTensors drawInputs(ModuleOp module, StringRef entry) {
  auto func = module.lookupSymbol<func::FuncOp>(entry);
  NamedTensors inputs;
  for (unsigned index : llvm::seq(func.getNumArguments())) {
    StringRef name = func.getArgAttrOfType<StringAttr>(index, "moe.name").getValue();
    inputs[name.str()] = draw(name, func.getArgumentTypes()[index], 1.0);
  }
  return inputs;
}

TEST(LayerBench, GradientsAgreeWithFiniteDifferences) {
  OwningOpRef<ModuleOp> module = buildLayer("f32");
  NamedTensors variables = drawVariables(*module), inputs = drawInputs(*module, "forward_backward.9");
  reference::Interpreter interpreter(*module);
  auto setVariables = [&] {
    for (auto &[name, value] : variables)
      interpreter.setVariable(name, value);
  };
  setVariables();
  auto results = interpreter.run("forward_backward.9", inputs);
  ASSERT_TRUE(succeeded(results));

  double magnitude = 0;
  auto loss = [&] {
    setVariables();
    auto outputs = interpreter.run("forward.9", {{"x", inputs.at("x")}});
    EXPECT_TRUE(succeeded(outputs));
    double sum = magnitude = 0;
    for (auto [y, factor] : llvm::zip_equal(outputs->at("y").values, inputs.at("gradient.y").values)) {
      sum += y * factor;
      magnitude += std::abs(y * factor);
    }
    return sum;
  };
  loss();
  double tolerance = differenceTolerance(magnitude);
  auto compare = [&](const std::string &name, Tensor &tensor) {
    Draw random(name);
    for (int sample = 0; sample < 24; ++sample) {
      int64_t element = random.index(tensor.size());
      double center = tensor[element];
      double difference = centralDifference([&](double step) {
        tensor[element] = center + step;
        return loss();
      });
      tensor[element] = center;
      EXPECT_NEAR(results->at("gradient." + name)[element], difference, tolerance) << name << "[" << element << "]";
    }
  };
  compare("x", inputs.at("x"));
  for (auto &[name, value] : variables)
    if (results->count("gradient." + name)) // Not those of the chain's other layers.
      compare(name, value);
  EXPECT_EQ(results->size(), 3u + 3u); // y, offsets and gradient.x, and those of three variables.
}

/// Each of its layers has the weights of its set, and takes what the one before it gave.
TEST(LayerBench, AChainIsItsLayersOneAfterTheOther) {
  OwningOpRef<ModuleOp> module = buildLayer("f32");
  // Small, so that nothing grows from layer to layer.
  NamedTensors variables = drawVariables(*module, 0.1), inputs = drawInputs(*module, "chain.1");
  reference::Interpreter interpreter(*module);
  int sets = 0;
  for (auto &[name, value] : variables) {
    interpreter.setVariable(name, value);
    sets += StringRef(name).ends_with(".gate.weight");
  }
  auto chain = interpreter.run("chain.1", inputs);
  ASSERT_TRUE(succeeded(chain));
  ASSERT_EQ(chain->size(), 16u);
  ASSERT_EQ(sets, 16); // A token of so small a layer reads next to nothing.

  Tensor x = inputs.at("x");
  for (int layer = 0; layer < 16; ++layer) {
    for (const char *name : {"mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"})
      interpreter.setVariable(name, variables.at(layer ? "set" + std::to_string(layer) + "." + name : name));
    auto y = interpreter.run("forward.1", {{"x", x}});
    ASSERT_TRUE(succeeded(y));
    const Tensor &sum = chain->at("x." + std::to_string(layer + 1));
    for (int64_t element : llvm::seq(x.size()))
      EXPECT_NEAR(sum[element], inputs.at("x")[element] + y->at("y")[element], 1e-12 * (1 + std::abs(sum[element])))
          << "layer " << layer << ", " << element;
    x = sum;
  }
}

using Parameter = std::tuple<std::string, std::string>; // dtype, entry point

class CompiledLayer : public testing::TestWithParam<Parameter> {};

TEST_P(CompiledLayer, AgreesWithTheReference) {
  auto [dtype, entry] = GetParam();
  OwningOpRef<ModuleOp> module = buildLayer(dtype);
  NamedTensors variables = drawVariables(*module), inputs = drawInputs(*module, entry);
  reference::InterpreterOf<Bounded> interpreter(*module);
  auto bounded = [](const Tensor &tensor) {
    return reference::TensorOf<Bounded>(tensor.shape,
                                        std::vector<Bounded>(tensor.values.begin(), tensor.values.end()));
  };
  reference::InterpreterOf<Bounded>::NamedTensors boundedInputs;
  for (auto &[name, value] : inputs)
    boundedInputs.emplace(name, bounded(value));
  for (auto &[name, value] : variables)
    interpreter.setVariable(name, bounded(value));
  auto expected = interpreter.run(entry, boundedInputs);
  ASSERT_TRUE(succeeded(expected));

  CompileOptions options;
  options.target = "cpu";
  ASSERT_TRUE(succeeded(runStages(*module, options)));
  FailureOr<std::vector<std::byte>> bytes = moduleToArtifact(*module, "");
  ASSERT_TRUE(succeeded(bytes));
  auto artifact = ::moe::Artifact::fromBytes(*bytes);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  std::unique_ptr<CompiledDevice> device = CompiledDevice::load(*artifact);
  ASSERT_TRUE(device);
  for (auto &[name, value] : variables)
    device->setVariable(name, value);
  std::optional<NamedTensors> actual = device->run(entry, inputs);
  ASSERT_TRUE(actual);

  ASSERT_EQ(actual->size(), expected->size());
  for (auto &[name, tensor] : *expected)
    for (int64_t element : llvm::seq(tensor.size()))
      EXPECT_LE(std::abs(actual->at(name)[element] - tensor[element].value()), tensor[element].error())
          << name << "[" << element << "]";
}

INSTANTIATE_TEST_SUITE_P(, CompiledLayer,
                         testing::Combine(testing::Values("f32", "bf16"),
                                          testing::Values("forward.1", "forward.9", "forward_backward.1",
                                                          "forward_backward.9")),
                         [](const testing::TestParamInfo<Parameter> &info) {
                           std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param);
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

} // namespace
