//===- CompiledModelTest.cpp - The tiny model on a target and in the reference -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Compiles descriptions and compares the loss and every gradient with the reference interpreter, which computes loss
/// and gradient apart and all tokens at once.
///
/// Tolerance, relative to the largest magnitude of a tensor. A value of a step depends on a chain of rounded sums. The
/// error of a sum of n terms of random sign grows like √n roundings of its largest partial sum (Higham, Accuracy and
/// Stability of Numerical Algorithms, section 2.8). The chain through the tiny model, forward and backward, has 3 layers
/// of at most 8 sums of at most n = 1536 terms each way: 2 · 3 · 8 · √1536 < 1920 roundings of 2⁻²⁴. The other one has a
/// layer, and sums over its vocabulary of n = 12288: 2 · 8 · √12288 < 1920.
///
//===----------------------------------------------------------------------===//
#include "test/conformance/CompiledDevice.h"
#include "test/conformance/Model.h"

#include <gtest/gtest.h>

using namespace mlir::moe::conformance;

namespace {

constexpr double kRoundings = 2 * 3 * 8 * 40;
const char *const kTiny = MOE_SOURCE_DIR "/docs/models/tiny.mlir";
const char *const kWideVocabulary = MOE_SOURCE_DIR "/test/conformance/Inputs/models/wide-vocabulary.mlir";

/// A model with drawn variables, and what the reference makes of one batch.
struct Expected {
  std::unique_ptr<Model> model;
  NamedTensors variables, inputs, outputs;

  explicit Expected(const char *path) : model(Model::parseFile(path)) {
    Draw draw("tiny");
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

  static const Expected &get() {
    static const Expected expected(kTiny);
    return expected;
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

class CompiledModelTest : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (!CompiledDevice::canRun(GetParam()))
      GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
};

TEST_P(CompiledModelTest, LossAndAllGradientsAgreeWithTheReference) {
  auto device = CompiledDevice::load(compileArtifact(kTiny, GetParam()));
  ASSERT_TRUE(device);
  expectSame(Expected::get().run(*device), Expected::get().outputs, device->unitRoundoff());
}

TEST_P(CompiledModelTest, ALossInChunksOfTokensAgreesWithTheReference) {
  static const Expected expected(kWideVocabulary);
  auto device = CompiledDevice::load(compileArtifact(kWideVocabulary, GetParam()));
  ASSERT_TRUE(device);
  expectSame(expected.run(*device), expected.outputs, device->unitRoundoff());
}

TEST_P(CompiledModelTest, BitsDoNotDependOnTheThreads) {
  auto one = CompiledDevice::load(compileArtifact(kTiny, GetParam()), /*threads=*/1);
  auto three = CompiledDevice::load(compileArtifact(kTiny, GetParam()), /*threads=*/3);
  ASSERT_TRUE(one && three);
  NamedTensors expected = Expected::get().run(*one), actual = Expected::get().run(*three);
  for (auto &[name, value] : expected)
    EXPECT_EQ(value.values, actual.at(name).values) << name;
}

INSTANTIATE_TEST_SUITE_P(Targets, CompiledModelTest, testing::Values("cpu", "cpu:x86-64-v3", "cuda", "cuda:sm_90a"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

} // namespace
