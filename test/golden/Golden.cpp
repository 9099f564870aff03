//===- Golden.cpp - Comparing a device with PyTorch -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/golden/Golden.h"

#include "lib/Engine/Checkpoint/Safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::moe::conformance;

static constexpr double kRoundings = 3 * 2048;
static constexpr int64_t kSteps = 3;

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

template <typename T> static Tensor readTensor(const ::moe::engine::TensorView &view) {
  Tensor tensor(ArrayRef<int64_t>(view.shape.data(), view.shape.size()));
  for (auto [index, value] : llvm::enumerate(tensor.values)) {
    T element;
    std::memcpy(&element, view.bytes.data() + index * sizeof(T), sizeof(T));
    value = element;
  }
  return tensor;
}

Golden::Golden() {
  auto file = ::moe::engine::SafetensorsFile::open(MOE_SOURCE_DIR "/test/golden/golden.safetensors");
  if (!file) {
    ADD_FAILURE() << file.status().message();
    return;
  }
  for (auto &[name, view] : file->directory().tensors)
    tensors[name] = view.dtype == "I32" ? readTensor<int32_t>(view) : readTensor<float>(view);
}

NamedTensors Golden::getGroup(StringRef prefix) const {
  NamedTensors group;
  for (auto &[name, tensor] : tensors)
    if (StringRef(name).starts_with(prefix))
      group[name.substr(prefix.size())] = tensor;
  return group;
}

Tensor Golden::get(StringRef name, int64_t index) const {
  const Tensor &tensor = get(name);
  Tensor slice(ArrayRef(tensor.shape).drop_front());
  std::copy_n(tensor.values.begin() + index * slice.size(), slice.size(), slice.values.begin());
  return slice;
}

void Golden::initialize(Device &device) const {
  for (auto &[name, value] : getGroup("initial."))
    device.setVariable(name, value);
}

NamedTensors Golden::getInputs(int64_t index) const {
  NamedTensors inputs;
  for (auto &[name, value] : getGroup("inputs."))
    inputs[name] = get("inputs." + name, index);
  return inputs;
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

/// Expects `actual` to be `expected` within the tolerance of the device.
static void expectClose(const Device &device, const Twine &what, const Tensor &actual, const Tensor &expected) {
  ASSERT_EQ(actual.shape, expected.shape) << what.str();
  double largest = 0.0, difference = 0.0;
  for (auto [x, y] : llvm::zip_equal(actual.values, expected.values)) {
    largest = std::max(largest, std::abs(y));
    // A NaN is a difference, too.
    difference = std::abs(x - y) <= difference ? difference : std::abs(x - y);
  }
  EXPECT_LE(difference, (0x1p-24 + kRoundings * device.unitRoundoff()) * largest) << what.str();
}

void mlir::moe::conformance::compareEvaluation(Device &device, const Golden &golden) {
  golden.initialize(device);
  NamedTensors inputs = golden.getInputs(0);
  std::optional<NamedTensors> outputs = device.run(
      "evaluate", {{"tokens", inputs["tokens"]}, {"targets", inputs["targets"]}, {"weights", inputs["weights"]}});
  ASSERT_TRUE(outputs);
  Tensor mean = Tensor::scalar(outputs->at("loss_sum")[0] / outputs->at("weight_sum")[0]);
  expectClose(device, "loss_sum / weight_sum", mean, golden.get("loss", 0));
  for (auto &[layer, load] : golden.getGroup("load."))
    EXPECT_EQ(outputs->at("load." + layer).values, golden.get("load." + layer, 0).values) << "load of layer " << layer;
}

void mlir::moe::conformance::compareGeneration(Device &device, const Golden &golden) {
  golden.initialize(device);
  Tensor tokens = golden.get("inputs.tokens", 0), logits = golden.get("logits");
  int64_t length = logits.dim(1), vocabulary = logits.dim(2), prompt = length / 2;
  auto expectLogits = [&](const std::optional<NamedTensors> &outputs, int64_t position) {
    ASSERT_TRUE(outputs);
    Tensor expected({1, vocabulary}, logits.row(position).vec());
    expectClose(device, "logits of token " + Twine(position), outputs->at("logits"), expected);
  };

  // Half of the sequence as the prompt, padded with zeros; the other half token by token.
  NamedTensors inputs = {{"tokens", Tensor({1, length})}, {"positions", Tensor({1, length})}, {"last", Tensor({1})}};
  for (int64_t position : llvm::seq(length)) {
    inputs["tokens"][position] = position < prompt ? tokens[position] : 0.0;
    inputs["positions"][position] = position;
  }
  inputs["last"][0] = prompt - 1;
  expectLogits(device.run("prefill", inputs), prompt - 1);
  for (int64_t position : llvm::seq(prompt, length))
    expectLogits(device.run("decode_step", {{"tokens", Tensor({1, 1}, {tokens[position]})},
                                            {"positions", Tensor({1, 1}, {static_cast<double>(position)})}}),
                 position);
}

void mlir::moe::conformance::compareTraining(Device &device, const Golden &golden) {
  golden.initialize(device);
  for (int64_t step : llvm::seq(kSteps)) {
    SCOPED_TRACE("step " + std::to_string(step + 1));
    std::optional<NamedTensors> outputs = device.run("train_step", golden.getInputs(step));
    ASSERT_TRUE(outputs);
    for (const char *name : {"loss", "aux_loss", "grad_norm"})
      expectClose(device, name, outputs->at(name), golden.get(name, step));
    for (auto &[layer, load] : golden.getGroup("load."))
      EXPECT_EQ(outputs->at("load." + layer).values, golden.get("load." + layer, step).values) << "layer " << layer;
    if (step > 0)
      continue;
    // exp_avg = (1 − β1)·g with g clipped to a norm of 1; 1 − β1 is the first bias correction.
    double factor = golden.get("inputs.bias_correction1")[0] / std::max(1.0, golden.get("grad_norm")[0] + 1e-6);
    for (auto &[name, gradient] : golden.getGroup("gradient.")) {
      llvm::for_each(gradient.values, [&](double &value) { value *= factor; });
      expectClose(device, "gradient of " + name, device.getVariable(name + ".exp_avg"), gradient);
    }
  }
  for (auto &[name, value] : golden.getGroup("final."))
    expectClose(device, name, device.getVariable(name), value);
}
