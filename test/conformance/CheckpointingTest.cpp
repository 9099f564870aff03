//===- CheckpointingTest.cpp - Less memory, the same gradients --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Compiles a deep model with each policy of activation checkpointing. What is computed again is computed by the same
/// ops from the same values, so every output has the same bits; the memory that is planned for a step shrinks from
/// policy to policy.
///
//===----------------------------------------------------------------------===//
#include "runtime/format/artifact_generated.h"
#include "test/conformance/CompiledDevice.h"
#include "test/conformance/Model.h"

#include <fstream>
#include <gtest/gtest.h>

using namespace mlir::moe::conformance;

namespace {

constexpr const char *kDescription = R"(
moe.model @deep (vocab_size = 64, hidden_size = 64) {
  moe.layers (count = 2) {
    moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 16, qk_norm = true)
    moe.mlp (intermediate_size = 160)
  }
  moe.layers (count = 6) {
    moe.self_attention (num_heads = 4, num_kv_heads = 2, head_dim = 16)
    moe.sparse_mlp (num_experts = 8, top_k = 2, moe_intermediate_size = 32, num_shared_experts = 1,
                    scoring_func = sigmoid, aux_loss_alpha = 1.0e-3, bias_update_rate = 1.0e-3)
  }
}
moe.training (batch_size = 2, sequence_length = 96, activation_checkpointing = )";

/// A step of the model with a policy.
struct Step {
  NamedTensors outputs;
  uint64_t workspaceBytes = 0;
};

Step runStep(const std::string &policy) {
  std::string path = testing::TempDir() + "/checkpointing-" + policy + ".mlir";
  std::ofstream(path) << kDescription << policy << ")\n";
  auto artifact = compileArtifact(path);
  auto device = CompiledDevice::load(artifact);
  std::unique_ptr<Model> model = Model::parseFile(path);
  if (!device || !model) {
    ADD_FAILURE() << policy;
    return {};
  }
  Draw draw("deep");
  for (auto &[name, value] : model->drawVariables(draw))
    device->setVariable(name, value);
  NamedTensors inputs = model->drawInputs(model->getLoss(), "train_step", draw);
  inputs["learning_rate"] = Tensor::scalar(1e-3);
  inputs["bias_correction1"] = Tensor::scalar(0.1);
  inputs["bias_correction2"] = Tensor::scalar(0.05);

  Step step{*device->run("train_step", inputs)};
  for (const ::moe::format::EntryPoint *entry : *artifact->table().entry_points())
    if (entry->name()->string_view() == "train_step")
      step.workspaceBytes = entry->workspace_bytes();
  return step;
}

TEST(Checkpointing, LessMemoryAndTheSameBits) {
  Step none = runStep("none"), selective = runStep("selective"), full = runStep("full");
  EXPECT_GT(none.workspaceBytes, selective.workspaceBytes);
  EXPECT_GT(selective.workspaceBytes, full.workspaceBytes);
  for (const Step *step : {&selective, &full}) {
    ASSERT_EQ(step->outputs.size(), none.outputs.size());
    for (auto &[name, value] : none.outputs)
      EXPECT_EQ(step->outputs.at(name).values, value.values) << name;
  }
}

} // namespace
