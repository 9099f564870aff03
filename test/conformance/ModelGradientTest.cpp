//===- ModelGradientTest.cpp - Gradients of whole models --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Differentiates whole models, layers called several times included, and compares the gradient of elements of every
/// parameter with finite differences of loss + aux_loss, in float64.
///
//===----------------------------------------------------------------------===//
#include "dialects/MoE/IR/MoEOps.h"
#include "test/conformance/Device.h"
#include "test/conformance/Model.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;

namespace {

struct Description {
  const char *name, *text;
};

const Description descriptions[] = {
    {"DenseWithPerHeadNorms", R"(
      moe.model @dense (vocab_size = 11, hidden_size = 6) {
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 3, num_kv_heads = 1, head_dim = 4, qk_norm = true)
          moe.mlp (intermediate_size = 5)
        }
      }
      moe.training (batch_size = 2, sequence_length = 3)
    )"},
    {"SigmoidRouterWithBiasAndSharedExpert", R"(
      moe.model @sigmoid (vocab_size = 11, hidden_size = 6) {
        moe.layers (count = 1) {
          moe.self_attention (num_heads = 2, num_kv_heads = 2, head_dim = 2)
          moe.mlp (intermediate_size = 5)
        }
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 2, num_kv_heads = 2, head_dim = 2)
          moe.sparse_mlp (num_experts = 4, top_k = 2, moe_intermediate_size = 3, num_shared_experts = 1,
                          scoring_func = sigmoid, routed_scaling_factor = 1.5, aux_loss_alpha = 0.1,
                          bias_update_rate = 0.01)
        }
      }
      moe.training (batch_size = 2, sequence_length = 4)
    )"},
    {"SoftmaxRouterWithoutNormalisation", R"(
      moe.model @softmax (vocab_size = 7, hidden_size = 4) {
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 2)
          moe.sparse_mlp (num_experts = 5, top_k = 3, moe_intermediate_size = 3, scoring_func = softmax,
                          norm_topk_prob = false, aux_loss_alpha = 0.1)
        }
      }
      moe.training (batch_size = 1, sequence_length = 5)
    )"},
    // A softmax over the chosen logits is one over all, divided by the sum of the chosen.
    {"MixtralLayers", R"(
      moe.model @mixtral (vocab_size = 7, hidden_size = 6) {
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 2, rope_theta = 1000000.0)
          moe.sparse_mlp (num_experts = 3, top_k = 2, moe_intermediate_size = 5, aux_loss_alpha = 0.02)
        }
      }
      moe.training (batch_size = 2, sequence_length = 3)
    )"},
    {"Qwen3MoELayers", R"(
      moe.model @qwen3_moe (vocab_size = 7, hidden_size = 6, rms_norm_eps = 1.0e-6) {
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 3, num_kv_heads = 1, head_dim = 6, rope_theta = 1000000.0, qk_norm = true)
          moe.sparse_mlp (num_experts = 7, top_k = 3, moe_intermediate_size = 3, aux_loss_alpha = 0.001)
        }
      }
      moe.training (batch_size = 1, sequence_length = 5)
    )"},
    {"OneExpertPerToken", R"(
      moe.model @switch (vocab_size = 7, hidden_size = 4) {
        moe.layers (count = 1) {
          moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 6)
          moe.sparse_mlp (num_experts = 5, top_k = 1, moe_intermediate_size = 3, norm_topk_prob = false,
                          aux_loss_alpha = 0.1)
        }
      }
      moe.training (batch_size = 1, sequence_length = 5)
    )"},
    {"FullCheckpointing", R"(
      moe.model @full (vocab_size = 11, hidden_size = 6) {
        moe.layers (count = 1) {
          moe.self_attention (num_heads = 2, num_kv_heads = 2, head_dim = 2)
          moe.mlp (intermediate_size = 5)
        }
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 2, num_kv_heads = 2, head_dim = 2)
          moe.sparse_mlp (num_experts = 4, top_k = 2, moe_intermediate_size = 3, num_shared_experts = 1,
                          scoring_func = sigmoid, routed_scaling_factor = 1.5, aux_loss_alpha = 0.1,
                          bias_update_rate = 0.01)
        }
      }
      moe.training (batch_size = 2, sequence_length = 4, activation_checkpointing = full)
    )"},
    {"NoCheckpointing", R"(
      moe.model @none (vocab_size = 7, hidden_size = 4) {
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 2)
          moe.sparse_mlp (num_experts = 5, top_k = 3, moe_intermediate_size = 3, aux_loss_alpha = 0.1)
        }
      }
      moe.training (batch_size = 1, sequence_length = 5, activation_checkpointing = none)
    )"},
    {"EveryExpertForEveryToken", R"(
      moe.model @all (vocab_size = 7, hidden_size = 4) {
        moe.layers (count = 1) {
          moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
          moe.sparse_mlp (num_experts = 3, top_k = 3, moe_intermediate_size = 2)
        }
      }
      moe.training (batch_size = 1, sequence_length = 3)
    )"},
    {"PackedDocuments", R"(
      moe.model @packed (vocab_size = 11, hidden_size = 6) {
        moe.layers (count = 1) {
          moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 4)
          moe.mlp (intermediate_size = 5)
        }
        moe.layers (count = 2) {
          moe.self_attention (num_heads = 2, num_kv_heads = 1, head_dim = 2, qk_norm = true)
          moe.sparse_mlp (num_experts = 3, top_k = 2, moe_intermediate_size = 3, aux_loss_alpha = 0.1)
        }
      }
      moe.training (batch_size = 2, sequence_length = 7, packed_documents = true)
    )"},
    {"TiedEmbeddings", R"(
      moe.model @tied (vocab_size = 7, hidden_size = 4, tie_word_embeddings = true) {
        moe.layers (count = 1) {
          moe.self_attention (num_heads = 1, num_kv_heads = 1, head_dim = 4)
          moe.mlp (intermediate_size = 3)
        }
      }
      moe.training (batch_size = 1, sequence_length = 3)
    )"},
    // What layers do not have: functions that call functions, a result that only one call uses, a parameter shared by
    // calls.
    {"NestedCalls", R"(
      moe.training (batch_size = 1, sequence_length = 3)
      moe.variable @embed parameter normal 0.02 : tensor<5x4xf32>
      moe.variable @inner parameter normal 0.02 : tensor<4x4xf32>
      moe.variable @outer parameter ones : tensor<4xf32>
      func.func private @inner_function(%x: tensor<3x4xf32>, %w: tensor<4x4xf32>) -> (tensor<3x4xf32>, tensor<f32>) {
        %h = moe.linear %x, %w : (tensor<3x4xf32>, tensor<4x4xf32>) -> tensor<3x4xf32>
        %y = moe.multiply %h, %x : tensor<3x4xf32>
        %sum = moe.sum %y : (tensor<3x4xf32>) -> tensor<f32>
        return %y, %sum : tensor<3x4xf32>, tensor<f32>
      }
      func.func private @outer_function(%x: tensor<3x4xf32>, %w: tensor<4x4xf32>, %norm: tensor<4xf32>)
          -> (tensor<3x4xf32>, tensor<f32>) {
        %a, %sum = call @inner_function(%x, %w) : (tensor<3x4xf32>, tensor<4x4xf32>) -> (tensor<3x4xf32>, tensor<f32>)
        %n = moe.rms_norm %a, %norm {eps = 1.0e-5} : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
        %b, %unused = call @inner_function(%n, %w) : (tensor<3x4xf32>, tensor<4x4xf32>) -> (tensor<3x4xf32>, tensor<f32>)
        return %b, %sum : tensor<3x4xf32>, tensor<f32>
      }
      func.func @train_step(%tokens: tensor<1x3xi32> {moe.name = "tokens"})
          -> (tensor<3x5xf32> {moe.name = "logits"}, tensor<f32> {moe.name = "aux_loss"})
          attributes {moe.entry = #moe.entry<train_step>} {
        %embed = moe.read @embed : tensor<5x4xf32>
        %w = moe.read @inner : tensor<4x4xf32>
        %norm = moe.read @outer : tensor<4xf32>
        %x = moe.embedding %embed, %tokens : (tensor<5x4xf32>, tensor<1x3xi32>) -> tensor<3x4xf32>
        %y, %aux = call @outer_function(%x, %w, %norm)
            : (tensor<3x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> (tensor<3x4xf32>, tensor<f32>)
        %z, %unused = call @outer_function(%y, %w, %norm)
            : (tensor<3x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> (tensor<3x4xf32>, tensor<f32>)
        %logits = moe.linear %z, %embed : (tensor<3x4xf32>, tensor<5x4xf32>) -> tensor<3x5xf32>
        return %logits, %aux : tensor<3x5xf32>, tensor<f32>
      }
    )"},
};

/// Tests are listed by name.
void PrintTo(const Description &description, std::ostream *stream) { *stream << description.name; }

/// Elements of each parameter that are checked.
constexpr int64_t kSamples = 4;

class ModelGradientTest : public testing::TestWithParam<Description> {};

TEST_P(ModelGradientTest, AgreesWithFiniteDifferences) {
  std::unique_ptr<Model> model = Model::parse(GetParam().text);
  ASSERT_TRUE(model);
  // Drawn so that the loss is smooth within the steps of the differences: where a router changes its choice, it jumps.
  Draw draw("0");
  NamedTensors variables = model->drawVariables(draw);
  NamedTensors inputs = model->drawInputs(model->getLoss(), "train_step", draw);

  auto run = [&](ModuleOp module, const NamedTensors &inputs) {
    ReferenceDevice device(module);
    for (auto &[name, value] : variables)
      device.setVariable(name, value);
    return *device.run("train_step", inputs);
  };
  auto loss = [&] {
    NamedTensors outputs = run(model->getLoss(), inputs);
    return outputs.at("loss")[0] + outputs.at("aux_loss")[0];
  };
  NamedTensors trainingInputs = inputs;
  for (const char *name : {"learning_rate", "bias_correction1", "bias_correction2"})
    trainingInputs[name] = Tensor::scalar(1.0);
  NamedTensors outputs = run(model->getTraining(), trainingInputs);

  int64_t gradients = 0;
  double tolerance = differenceTolerance(std::max(1.0, loss()));
  for (auto &[output, gradient] : outputs) {
    StringRef name = output;
    if (!name.consume_front("gradient."))
      continue;
    ++gradients;
    Tensor &parameter = variables.at(name.str());
    for (int64_t sample = 0; sample < kSamples; ++sample) {
      int64_t element = draw.index(parameter.size());
      double center = parameter[element];
      double difference = centralDifference([&](double step) {
        parameter[element] = center + step;
        return loss();
      });
      parameter[element] = center;
      EXPECT_NEAR(gradient[element], difference, tolerance) << output << ", element " << element;
    }
  }
  EXPECT_EQ(gradients, llvm::count_if(model->getForward().getOps<VariableOp>(), [](VariableOp variable) {
              return variable.getRole() == VariableRole::parameter;
            }));
}

INSTANTIATE_TEST_SUITE_P(Models, ModelGradientTest, testing::ValuesIn(descriptions),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
