//===- BFloat16Test.cpp - A bf16 model beside its float32 twin --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One description twice, stored in float32 and in bf16, run by the reference interpreter with equal initial weights
/// and batches: what storage in bf16 does to a model, apart from any target's arithmetic.
///
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "test/conformance/Device.h"
#include "test/conformance/Model.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;

namespace {

std::string description(StringRef dtype) {
  return (R"(
    moe.model @twin (vocab_size = 32, hidden_size = 32, dtype = )" + dtype + R"() {
      moe.layers (count = 1) {
        moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 8, qk_norm = true)
        moe.mlp (intermediate_size = 48)
      }
      moe.layers (count = 2) {
        moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 8)
        moe.sparse_mlp (num_experts = 4, top_k = 2, moe_intermediate_size = 16, num_shared_experts = 1,
                        scoring_func = sigmoid, aux_loss_alpha = 0.01, bias_update_rate = 0.001)
      }
    }
    moe.training (batch_size = 2, sequence_length = 16)
  )").str();
}

class BFloat16Test : public testing::Test {
protected:
  BFloat16Test() {
    Draw draw("twins");
    variables = wide->drawVariables(draw);
    inputs = wide->drawInputs(wide->getLoss(), "train_step", draw);
    for (ReferenceDevice *device : {&wideDevice, &narrowDevice})
      for (auto &[name, value] : variables)
        device->setVariable(name, value);
    // Weights of both have the values that bf16 has.
    for (auto &[name, value] : variables)
      wideDevice.setVariable(name, narrowDevice.getVariable(name));
  }

  NamedTensors step(Device &device, int number) {
    inputs["learning_rate"] = Tensor::scalar(5e-4);
    inputs["bias_correction1"] = Tensor::scalar(1.0 - std::pow(0.9, number));
    inputs["bias_correction2"] = Tensor::scalar(1.0 - std::pow(0.95, number));
    return *device.run("train_step", inputs);
  }

  std::unique_ptr<Model> wide = Model::parse(description("f32")), narrow = Model::parse(description("bf16"));
  ReferenceDevice wideDevice{wide->getTraining()}, narrowDevice{narrow->getTraining()};
  NamedTensors variables, inputs;
};

double norm(const Tensor &tensor) {
  double sum = 0;
  for (double value : tensor.values)
    sum += value * value;
  return std::sqrt(sum);
}

// A value depends on a chain of stored numbers, each off by at most 2⁻⁹ of itself and independent of the others. The
// chain forward and backward is 3 layers of some 12 stored tensors each way: √72 · 2⁻⁹ = 1.7 %, of which a loss, a mean
// over tokens near log V, sees much less. A token that changes an expert for another adds to the gradients of both.
TEST_F(BFloat16Test, LossAndGradientsAreNearThoseOfFloat32) {
  NamedTensors wanted = step(wideDevice, 1), outputs = step(narrowDevice, 1);
  ASSERT_EQ(outputs.size(), wanted.size());
  EXPECT_NEAR(outputs.at("loss")[0], wanted.at("loss")[0], 0.01 * wanted.at("loss")[0]);
  EXPECT_NEAR(outputs.at("grad_norm")[0], wanted.at("grad_norm")[0], 0.02 * wanted.at("grad_norm")[0]);
  for (auto &[name, gradient] : outputs) {
    if (!StringRef(name).starts_with("gradient."))
      continue;
    Tensor difference = gradient;
    for (int64_t i : llvm::seq(gradient.size()))
      difference[i] -= wanted.at(name)[i];
    EXPECT_LE(norm(difference), 0.1 * norm(wanted.at(name))) << name;
  }
}

// At a rate at which the loss falls steadily. At four times the rate it plunges within a few steps as the batch is
// learned by heart, and there the same curves are 1.5 % apart: a fraction of a step sooner or later.
TEST_F(BFloat16Test, TrainsAsFloat32Does) {
  double first = step(wideDevice, 1).at("loss")[0], wanted = 0, loss = 0;
  step(narrowDevice, 1);
  for (int number = 2; number <= 10; ++number) {
    wanted = step(wideDevice, number).at("loss")[0];
    loss = step(narrowDevice, number).at("loss")[0];
  }
  EXPECT_LT(wanted, 0.8 * first);
  EXPECT_NEAR(loss, wanted, 0.01 * wanted);

  // A parameter is its master rounded: one of the numbers that bf16 has, at most half a unit in the last place away.
  int64_t differ = 0;
  for (auto variable : narrow->getForward().getOps<VariableOp>()) {
    if (variable.getRole() != VariableRole::parameter)
      continue;
    std::string name = variable.getSymName().str();
    Tensor parameter = narrowDevice.getVariable(name), master = narrowDevice.getVariable(name + ".master_weight");
    for (auto [rounded, exact] : llvm::zip_equal(parameter.values, master.values)) {
      EXPECT_EQ(std::bit_cast<uint64_t>(rounded) & ((uint64_t(1) << 45) - 1), 0u) << name;
      EXPECT_LE(std::abs(rounded - exact), 0x1p-8 * std::abs(exact)) << name;
      differ += rounded != exact;
    }
  }
  EXPECT_GT(differ, 0);
}

} // namespace
