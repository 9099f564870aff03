//===- CompiledModelTest.cpp - Models on a target and in the reference -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Compiles docs/models/tiny.mlir and the small models in Inputs, and compares the loss and every gradient with the
/// reference interpreter, which computes loss and gradient apart and all tokens at once.
///
/// Tolerance, relative to the largest magnitude of a tensor. A value of a step depends on a chain of rounded sums. The
/// error of a sum of n terms of random sign grows like √n roundings of its largest partial sum (Higham, Accuracy and
/// Stability of Numerical Algorithms, section 2.8). The chain through the tiny model, forward and backward, has 3
/// layers of at most 8 sums of at most n = 1536 terms each way: 2 · 3 · 8 · √1536 < 1920 roundings of 2⁻²⁴. The other
/// one has a layer, and sums over its vocabulary of n = 12288: 2 · 8 · √12288 < 1920.
///
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "test/conformance/CompiledDevice.h"
#include "test/conformance/Model.h"

#include "llvm/Support/Path.h"
#include <gtest/gtest.h>
#include <map>

using namespace mlir::moe::conformance;

namespace {

constexpr double kRoundings = 2 * 3 * 8 * 40;
#define MOE_INPUTS MOE_SOURCE_DIR "/test/conformance/Inputs/"
const char *const kModels[] = {
    MOE_SOURCE_DIR "/docs/models/tiny.mlir",
    MOE_INPUTS "packed.mlir",
    MOE_INPUTS "mixtral-layer.mlir",
    MOE_INPUTS "qwen3-moe-layer.mlir",
    MOE_INPUTS "deepseek-v3-layer.mlir",
    MOE_INPUTS "every-expert.mlir",
    MOE_INPUTS "one-expert.mlir",
    MOE_INPUTS "wide-vocabulary.mlir",
};

/// A model with drawn variables, and what the reference makes of one batch.
struct Expected {
  std::unique_ptr<Model> model;
  NamedTensors variables, inputs, outputs;

  explicit Expected(const std::string &path) : model(Model::parseFile(path)) {
    Draw draw(llvm::sys::path::stem(path));
    variables = model->drawVariables(draw);
    inputs = model->drawInputs(model->getLoss(), "train_step", draw);
    inputs["learning_rate"] = Tensor::scalar(1e-3);
    inputs["bias_correction1"] = Tensor::scalar(0.1);
    inputs["bias_correction2"] = Tensor::scalar(0.05);
    ReferenceDevice reference(model->getTraining());
    outputs = run(reference);
  }

  NamedTensors run(Device &device) const {
    for (auto &[name, value] : variables)
      device.setVariable(name, value);
    std::optional<NamedTensors> outputs = device.run("train_step", inputs);
    return outputs ? std::move(*outputs) : NamedTensors();
  }

  static const Expected &get(const std::string &path) {
    static std::map<std::string, Expected> all;
    return all.try_emplace(path, path).first->second;
  }
};

double largest(const Tensor &tensor) {
  double result = 0;
  for (double value : tensor.values)
    result = std::max(result, std::abs(value));
  return result;
}

void expectSame(const NamedTensors &actual, const NamedTensors &expected, double unitRoundoff) {
  ASSERT_EQ(actual.size(), expected.size());
  for (auto &[name, value] : expected) {
    const Tensor &other = actual.at(name);
    ASSERT_EQ(other.size(), value.size()) << name;
    double tolerance = kRoundings * unitRoundoff * largest(value), error = 0;
    for (int64_t i = 0; i < value.size(); ++i)
      error = std::isnan(other[i]) ? INFINITY : std::max(error, std::abs(other[i] - value[i]));
    EXPECT_LE(error, tolerance) << name << ", largest magnitude " << largest(value);
  }
}

/// A model and a target.
class CompiledModelTest : public testing::TestWithParam<std::tuple<const char *, const char *>> {
protected:
  void SetUp() override {
    if (!CompiledDevice::canRun(target))
      GTEST_SKIP() << "this machine cannot run " << target;
  }
  std::unique_ptr<CompiledDevice> load(int threads = 0) {
    return CompiledDevice::load(compileArtifact(model, target), threads);
  }

  const char *const model = std::get<0>(GetParam());
  const char *const target = std::get<1>(GetParam());
};

TEST_P(CompiledModelTest, LossAndAllGradientsAgreeWithTheReference) {
  auto device = load();
  ASSERT_TRUE(device);
  const Expected &expected = Expected::get(model);
  expectSame(expected.run(*device), expected.outputs, device->unitRoundoff());
}

TEST_P(CompiledModelTest, BitsDoNotDependOnTheThreads) {
  auto one = load(/*threads=*/1), three = load(/*threads=*/3);
  ASSERT_TRUE(one && three);
  NamedTensors expected = Expected::get(model).run(*one), actual = Expected::get(model).run(*three);
  for (auto &[name, value] : expected)
    EXPECT_EQ(value.values, actual.at(name).values) << name;
}

// A step that overflows leaves parameters, moments and selection biases as they were, and the next one trains.
TEST_P(CompiledModelTest, AStepThatIsNotFiniteChangesNothing) {
  auto device = load();
  ASSERT_TRUE(device);
  const Expected &expected = Expected::get(model);
  const NamedTensors &inputs = expected.inputs;
  expected.run(*device);
  auto readVariables = [&] {
    NamedTensors values;
    for (auto variable : expected.model->getTraining().getOps<mlir::moe::VariableOp>())
      values[variable.getSymName().str()] = device->getVariable(variable.getSymName());
    return values;
  };
  Tensor norm = device->getVariable("model.norm.weight"), huge = norm;
  huge.values.assign(huge.size(), 0x1p127);
  device->setVariable("model.norm.weight", huge);
  NamedTensors before = readVariables();
  NamedTensors bad = *device->run("train_step", inputs);
  EXPECT_FALSE(std::isfinite(bad.at("grad_norm")[0]));
  for (auto &[name, value] : readVariables())
    EXPECT_EQ(value.values, before.at(name).values) << name;

  device->setVariable("model.norm.weight", norm);
  EXPECT_TRUE(std::isfinite(device->run("train_step", inputs)->at("grad_norm")[0]));
  EXPECT_NE(device->getVariable("model.norm.weight").values, norm.values);
}

std::string nameOf(const testing::TestParamInfo<CompiledModelTest::ParamType> &info) {
  auto [model, target] = info.param;
  std::string name = (llvm::sys::path::stem(model) + "_" + target).str();
  std::erase_if(name, [](char c) { return !std::isalnum(c) && c != '_'; });
  return name;
}

INSTANTIATE_TEST_SUITE_P(Targets, CompiledModelTest,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::Values("cpu", "cpu:x86-64-v3", "cuda", "cuda:sm_90a")),
                         nameOf);

} // namespace
