//===- PackedDocumentsTest.cpp - Documents in one row and in rows of their own -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What packing means: documents packed into a row give the loss and the gradients that they give in rows of their own,
/// padded with masked tokens. Padding takes part in the balance of experts, so the model has no balance loss.
///
//===----------------------------------------------------------------------===//
#include "test/conformance/Device.h"
#include "test/conformance/Model.h"

#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;

namespace {

constexpr int64_t kVocabulary = 11;

std::unique_ptr<Model> makeModel(int64_t batch, int64_t length, bool packed) {
  return Model::parse(llvm::formatv(R"(
    moe.model @documents (vocab_size = {0}, hidden_size = 6) {{
      moe.layers (count = 1) {{
        moe.self_attention (num_heads = 3, num_kv_heads = 1, head_dim = 4, qk_norm = true)
        moe.mlp (intermediate_size = 5)
      }
      moe.layers (count = 2) {{
        moe.self_attention (num_heads = 2, num_kv_heads = 2, head_dim = 6)
        moe.sparse_mlp (num_experts = 5, top_k = 2, moe_intermediate_size = 3)
      }
    }
    moe.training (batch_size = {1}, sequence_length = {2}, packed_documents = {3})
  )",
                                    kVocabulary, batch, length, packed ? "true" : "false")
                          .str());
}

/// Rows of tokens, filled document by document.
struct Rows {
  Rows(int64_t batch, int64_t length) : length(length) {
    for (const char *name : {"tokens", "targets", "weights", "positions"})
      inputs[name] = Tensor({batch, length});
    for (const char *name : {"learning_rate", "bias_correction1", "bias_correction2"})
      inputs[name] = Tensor::scalar(1.0);
  }

  /// Puts a document of tokens and their targets at (row, column).
  void put(ArrayRef<double> tokens, ArrayRef<double> targets, int64_t row, int64_t column) {
    for (auto [i, token] : llvm::enumerate(tokens)) {
      int64_t at = row * length + column + i;
      inputs["tokens"][at] = token;
      inputs["targets"][at] = targets[i];
      inputs["weights"][at] = 1.0;
      inputs["positions"][at] = i;
    }
  }

  int64_t length;
  NamedTensors inputs;
};

/// The loss and all gradients.
NamedTensors train(Model &model, const NamedTensors &variables, NamedTensors inputs, bool packed) {
  if (!packed)
    inputs.erase("positions");
  ReferenceDevice device(model.getTraining());
  for (auto &[name, value] : variables)
    device.setVariable(name, value);
  std::optional<NamedTensors> outputs = device.run("train_step", inputs);
  return outputs ? std::move(*outputs) : NamedTensors();
}

TEST(PackedDocuments, AreWhatTheyAreInRowsOfTheirOwn) {
  constexpr int64_t lengths[] = {3, 1, 5, 2}; // In one row of 11 tokens, or in four of up to 5.
  std::unique_ptr<Model> packed = makeModel(1, 11, /*packed=*/true), apart = makeModel(4, 5, /*packed=*/false);
  ASSERT_TRUE(packed && apart);
  Draw draw("documents");
  NamedTensors variables = packed->drawVariables(draw);
  Rows together(1, 11), separate(4, 5);
  int64_t column = 0;
  for (auto [row, length] : llvm::enumerate(lengths)) {
    Tensor tokens = draw.integers({length}, kVocabulary), targets = draw.integers({length}, kVocabulary);
    together.put(tokens.values, targets.values, 0, column);
    separate.put(tokens.values, targets.values, row, 0);
    column += length;
  }

  NamedTensors expected = train(*apart, variables, separate.inputs, /*packed=*/false);
  NamedTensors actual = train(*packed, variables, together.inputs, /*packed=*/true);
  ASSERT_FALSE(expected.empty());
  int64_t gradients = 0;
  for (auto &[name, value] : expected) {
    // Padding is routed, too.
    if (StringRef(name).starts_with("load."))
      continue;
    gradients += StringRef(name).starts_with("gradient.");
    // The same terms and zeros: sums of a hundred of them, in float64, in another order.
    for (int64_t i = 0; i < value.size(); ++i)
      EXPECT_NEAR(actual.at(name)[i], value[i], 1e-13) << name << ", element " << i;
  }
  EXPECT_GT(gradients, 0);
}

// Without positions the documents would see one another: the test above would notice.
TEST(PackedDocuments, DifferFromOneDocumentPerRow) {
  std::unique_ptr<Model> packed = makeModel(1, 6, /*packed=*/true), whole = makeModel(1, 6, /*packed=*/false);
  ASSERT_TRUE(packed && whole);
  Draw draw("difference");
  NamedTensors variables = packed->drawVariables(draw);
  Rows rows(1, 6);
  for (int64_t column : {0, 3})
    rows.put(draw.integers({3}, kVocabulary).values, draw.integers({3}, kVocabulary).values, 0, column);
  EXPECT_GT(std::abs(train(*packed, variables, rows.inputs, true).at("loss")[0] -
                     train(*whole, variables, rows.inputs, false).at("loss")[0]),
            1e-3);

  // One document in the row is what a model without packing sees, bit for bit.
  for (int64_t i = 0; i < 6; ++i)
    rows.inputs["positions"][i] = i;
  for (auto &[name, value] : train(*whole, variables, rows.inputs, false))
    EXPECT_EQ(train(*packed, variables, rows.inputs, true).at(name).values, value.values) << name;
}

} // namespace
