//===- AttentionTest.cpp - Attention on warpgroup matmuls against plain loops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "../../KernelTest.h"

#include "llvm/Support/FormatVariadic.h"

using namespace moe::test;

namespace {

struct Case {
  int64_t sequences, length, heads, keyHeads, headDim;
  bool isPacked = false; ///< Sequences hold documents of different lengths.
  float scale = 1;       ///< Of queries and keys: logits are its square times larger.

  int64_t tokens() const { return sequences * length; }
  int64_t group() const { return heads / keyHeads; }
};

// Tiles are of 128 queries and 128 keys: lengths below, at and beyond a multiple; heads of one and of two rows of
// shared memory, full and not.
const Case kCases[] = {
    {2, 1, 2, 2, 128},        {2, 17, 4, 2, 128},        {2, 130, 2, 1, 32},
    {1, 190, 2, 2, 80},       {2, 200, 3, 3, 64},        {1, 300, 2, 1, 96},
    {1, 384, 2, 2, 128},      {1, 256, 32, 4, 64},       {1, 640, 2, 1, 128, false, 3},
    {2, 640, 2, 1, 64, true}, {1, 1000, 2, 2, 16, true}, {1, 4096, 1, 1, 16},
};

std::string nameOf(const testing::TestParamInfo<Case> &info) {
  const Case &c = info.param;
  return llvm::formatv("{0}_S{1}_H{2}_{3}_D{4}{5}", info.index, c.length, c.heads, c.keyHeads, c.headDim,
                       c.isPacked ? "_packed" : "");
}

/// Documents of 1, 3, 64, 128, 150 and 333 tokens in turn, from another one in every sequence.
Buffer<int32_t> packDocuments(const Case &c) {
  constexpr int64_t kLengths[] = {1, 3, 64, 128, 150, 333};
  Buffer<int32_t> positions(c.tokens());
  for (int64_t sequence = 0; sequence < c.sequences; ++sequence) {
    int64_t document = sequence, position = 0;
    for (int64_t t = 0; t < c.length; ++t) {
      positions[sequence * c.length + t] = position;
      if (++position == kLengths[document % std::size(kLengths)]) {
        position = 0;
        ++document;
      }
    }
  }
  return positions;
}

struct HopperAttentionTest : testing::TestWithParam<Case> {
  const Case &c = GetParam();
  const char *target = "cuda:sm_90a";
  const char *config =
      "#moe_kernel.cuda_config<threads = 384, tile_m = 128, tile_n = 128, tile_k = 1, stages = 2, unit = wgmma>";

  Buffer<BFloat16> query = random(c.heads, 1, c.scale), key = random(c.keyHeads, 2, c.scale);
  Buffer<BFloat16> value = random(c.keyHeads, 3, 1), gradient = random(c.heads, 4, 1);
  Buffer<int32_t> positions = packDocuments(c);

  void SetUp() override {
    if (!CompiledKernel::canRun(target))
      GTEST_SKIP() << "this machine cannot run " << target;
  }
  Buffer<BFloat16> random(int64_t heads, unsigned seed, float scale) const {
    auto buffer = randomBuffer<BFloat16>(c.tokens() * heads * c.headDim, seed);
    for (BFloat16 &element : buffer)
      element = element * scale;
    return buffer;
  }
  /// A kernel of `op`; {0} in `operands` and `types` is the type of queries, {1} that of keys, {2} that of statistics.
  std::unique_ptr<CompiledKernel> compile(const char *op, std::string arguments, std::string operands,
                                          std::string types, std::string results, int numResults) const {
    if (c.isPacked) {
      arguments += llvm::formatv(", %p: tensor<{0}xi32>", c.tokens());
      operands += ", %p";
      types += llvm::formatv(", tensor<{0}xi32>", c.tokens());
    }
    std::string returned = "%r#0";
    for (int i = 1; i < numResults; ++i)
      returned += ", %r#" + std::to_string(i);
    std::string text = llvm::formatv(R"mlir(
    moe_kernel.kernel @kernel({0}) -> ({1}) attributes {{config = {2}} {{
      %r:{3} = moe_kernel.{4} {5} {{num_heads = {6} : i64, num_kv_heads = {7} : i64, sequence_length = {8} : i64}
          : ({9}) -> ({1})
      moe_kernel.return {10} : {1}
    })mlir",
                                     arguments, results, config, numResults, op, operands, c.heads, c.keyHeads,
                                     c.length, types, returned);
    return CompiledKernel::compile(text, target);
  }
  std::string type(int64_t columns, const char *element = "bf16") const {
    return llvm::formatv("tensor<{0}x{1}x{2}>", c.tokens(), columns, element);
  }

  int64_t firstKey(int64_t t) const { return c.isPacked ? t - positions[t] : t / c.length * c.length; }
  /// Calls `visit(t, h, row of queries, row of keys, j)` for every query t and key j that it sees.
  template <typename Visit> void forScores(Visit visit) const {
    for (int64_t t = 0; t < c.tokens(); ++t)
      for (int64_t h = 0; h < c.heads; ++h)
        for (int64_t j = firstKey(t); j <= t; ++j)
          visit(t * c.heads + h, j * c.keyHeads + h / c.group());
  }
  /// Of rows of two tensors by head.
  template <typename A, typename B> double dot(const A &lhs, int64_t row, const B &rhs, int64_t otherRow) const {
    double sum = 0;
    for (int64_t d = 0; d < c.headDim; ++d)
      sum += double(lhs[row * c.headDim + d]) * rhs[otherRow * c.headDim + d];
    return sum;
  }
  double score(int64_t row, int64_t keyRow) const {
    return dot(query, row, key, keyRow) / std::sqrt(double(c.headDim));
  }

  /// The relative error of a probability: its score sums up D products of at most scale², and is at most scale² · √D.
  double weightError() const {
    double root = std::sqrt(double(c.headDim));
    return (2 * c.scale * c.scale * (c.headDim * root + root) + 16) * kTensorCoreEpsilon;
  }

  std::vector<double> result, lse;
  void attend() {
    result.assign(c.tokens() * c.heads * c.headDim, 0);
    lse.assign(c.tokens() * c.heads, 0);
    forScores([&](int64_t row, int64_t keyRow) { lse[row] += std::exp(score(row, keyRow)); });
    for (double &sum : lse)
      sum = std::log(sum);
    forScores([&](int64_t row, int64_t keyRow) {
      double weight = std::exp(score(row, keyRow) - lse[row]);
      for (int64_t d = 0; d < c.headDim; ++d)
        result[row * c.headDim + d] += weight * value[keyRow * c.headDim + d];
    });
  }
  KernelBuffers withPositions(KernelBuffers inputs, const KernelBuffers &outputs) {
    if (c.isPacked)
      inputs.push_back(positions);
    inputs.insert(inputs.end(), outputs.begin(), outputs.end());
    return inputs;
  }
};

TEST_P(HopperAttentionTest, Forward) {
  std::string q = type(c.heads * c.headDim), k = type(c.keyHeads * c.headDim), l = type(c.heads, "f32");
  auto kernel = compile("attention", "%q: " + q + ", %k: " + k + ", %v: " + k, "%q, %k, %v", q + ", " + k + ", " + k,
                        q + ", " + l, 2);
  ASSERT_TRUE(kernel);
  auto actual = poisonedBuffer<BFloat16>(c.tokens() * c.heads * c.headDim);
  auto actualLse = poisonedBuffer(c.tokens() * c.heads);
  runInAllWays(*kernel, withPositions({query, key, value}, {actual, actualLse}), actual, actualLse);

  attend();
  // Weights are rounded to bf16 for the second product; they sum up to 1, and values are below 1.
  double error = weightError() + (c.length + 8) * kTensorCoreEpsilon;
  expectWithin(actual, result, std::vector<double>(result.size(), error + kStorageEpsilon<BFloat16>), "result");
  std::vector<double> lseBound;
  for (double expected : lse)
    lseBound.push_back(error + std::abs(expected) * kTensorCoreEpsilon);
  expectWithin(actualLse, lse, lseBound, "lse");
}

TEST_P(HopperAttentionTest, Gradients) {
  std::string q = type(c.heads * c.headDim), k = type(c.keyHeads * c.headDim), l = type(c.heads, "f32");
  auto kernel = compile(
      "attention_gradients", "%q: " + q + ", %k: " + k + ", %v: " + k + ", %l: " + l + ", %d: " + l + ", %g: " + q,
      "%q, %k, %v, %l, %d, %g", q + ", " + k + ", " + k + ", " + l + ", " + l + ", " + q, q + ", " + k + ", " + k, 3);
  ASSERT_TRUE(kernel);
  attend();
  std::vector<double> delta;
  for (int64_t row = 0; row < c.tokens() * c.heads; ++row)
    delta.push_back(dot(gradient, row, result, row));
  Buffer<float> lseBuffer(std::vector<float>(lse.begin(), lse.end()));
  Buffer<float> deltaBuffer(std::vector<float>(delta.begin(), delta.end()));
  auto queryGradient = poisonedBuffer<BFloat16>(c.tokens() * c.heads * c.headDim);
  auto keyGradient = poisonedBuffer<BFloat16>(c.tokens() * c.keyHeads * c.headDim),
       valueGradient = poisonedBuffer<BFloat16>(c.tokens() * c.keyHeads * c.headDim);
  runInAllWays(
      *kernel,
      withPositions({query, key, value, lseBuffer, deltaBuffer, gradient}, {queryGradient, keyGradient, valueGradient}),
      queryGradient, keyGradient, valueGradient);

  std::vector<double> dQ(c.tokens() * c.heads * c.headDim), dK(c.tokens() * c.keyHeads * c.headDim),
      dV(c.tokens() * c.keyHeads * c.headDim);
  std::vector<double> dQBound(dQ.size(), kEpsilon), dKBound(dK.size(), kEpsilon), dVBound(dV.size(), kEpsilon);
  // P and dS are rounded to bf16; a gradient adds up at most S · H/Hkv of them. dP is a sum of D products below 1.
  double relative = weightError() + (c.length * c.group() + 8) * kTensorCoreEpsilon + kStorageEpsilon<BFloat16>;
  double scale = 1 / std::sqrt(double(c.headDim)), sumError = 2 * c.headDim * (c.headDim + 2) * kTensorCoreEpsilon;
  forScores([&](int64_t row, int64_t keyRow) {
    double weight = std::exp(score(row, keyRow) - lse[row]);
    double scoreGradient = scale * weight * (dot(gradient, row, value, keyRow) - delta[row]);
    double error = std::abs(scoreGradient) * relative + scale * weight * sumError;
    for (int64_t d = 0; d < c.headDim; ++d) {
      int64_t at = row * c.headDim + d, keyAt = keyRow * c.headDim + d;
      dV[keyAt] += weight * gradient[at];
      dVBound[keyAt] += weight * std::abs(gradient[at]) * relative;
      dQ[at] += scoreGradient * key[keyAt];
      dQBound[at] += std::abs(key[keyAt]) * error;
      dK[keyAt] += scoreGradient * query[at];
      dKBound[keyAt] += std::abs(query[at]) * error;
    }
  });
  expectWithin(queryGradient, dQ, dQBound, "query_gradient");
  expectWithin(keyGradient, dK, dKBound, "key_gradient");
  expectWithin(valueGradient, dV, dVBound, "value_gradient");
}

INSTANTIATE_TEST_SUITE_P(Cuda, HopperAttentionTest, testing::ValuesIn(kCases), nameOf);

} // namespace
