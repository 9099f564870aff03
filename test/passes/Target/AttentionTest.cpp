//===- AttentionTest.cpp - Attention kernels against plain loops -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelTest.h"

#include "llvm/Support/FormatVariadic.h"
#include <span>

using namespace moe::test;

namespace {

struct AttentionCase {
  int64_t sequences, length, heads, keyHeads, headDim;
  const char *target = "cpu:host";
  const char *config = "#moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 64, block_m = 32, block_n = 64>";
  bool isNarrow = false; ///< Tensors are of bf16, lse aside.
  /// The mean length of packed documents; 0 if every sequence is one.
  int64_t documentLength = 0;

  int64_t tokens() const { return sequences * length; }
  int64_t queryColumns() const { return heads * headDim; }
  int64_t keyColumns() const { return keyHeads * headDim; }
  double scale() const { return 1 / std::sqrt(double(headDim)); }
  bool usesTensorCores() const { return std::string_view(config).find("mma>") != std::string_view::npos; }
  /// Of one operation, and of P and dS, which tensor cores multiply as bf16.
  double epsilon() const { return usesTensorCores() ? kTensorCoreEpsilon : kEpsilon; }
  double weightsEpsilon() const { return usesTensorCores() ? kStorageEpsilon<BFloat16> : 0; }
  /// The number of each token in its document. Lengths are drawn; some documents are one token long.
  std::vector<int32_t> positions() const {
    std::mt19937 generator(7);
    std::vector<int32_t> result(tokens());
    int64_t left = 0;
    for (int64_t t = 0; t < tokens(); ++t) {
      bool begins = left == 0 || t % length == 0;
      if (begins)
        left = documentLength == 0 ? length : 1 + generator() % (2 * documentLength - 1);
      result[t] = begins ? 0 : result[t - 1] + 1;
      --left;
    }
    return result;
  }
};

constexpr const char *kBlocksDiffer = "#moe_kernel.cpu_config<vector_width = 16, tile_m = 8, tile_n = 32, block_m = 48, block_n = 16>";
constexpr const char *kEightLanes = "#moe_kernel.cpu_config<vector_width = 8, tile_m = 6, tile_n = 16, block_m = 16, block_n = 32>";

constexpr const char *kCudaConfigs[] = {
    "#moe_kernel.cuda_config<threads = 128, tile_m = 32, tile_n = 32, tile_k = 1, stages = 1>",
    "#moe_kernel.cuda_config<threads = 256, tile_m = 64, tile_n = 16, tile_k = 1, stages = 1>",
    "#moe_kernel.cuda_config<threads = 64, tile_m = 16, tile_n = 32, tile_k = 1, stages = 1>",
};

const AttentionCase kCases[] = {
    {1, 1, 1, 1, 32},
    {2, 7, 4, 2, 8},
    {1, 33, 3, 1, 64},
    {3, 40, 2, 2, 2},
    {2, 128, 4, 2, 32},
    {1, 70, 2, 1, 128},
    {1, 65, 2, 2, 20},
    {2, 41, 6, 3, 7},
    {1, 50, 3, 1, 33},
    {2, 100, 4, 1, 32, "cpu:host", kBlocksDiffer},
    {1, 33, 2, 2, 24, "cpu:host", kBlocksDiffer},
    {2, 7, 4, 2, 8, "cpu:x86-64-v3", kEightLanes},
    {1, 77, 6, 2, 36, "cpu:x86-64-v3", kEightLanes},
};

// Blocks whose keys are all hidden from some rows, and blocks that are skipped.
const AttentionCase kPackedCases[] = {
    {2, 128, 4, 2, 32, "cpu:host", AttentionCase().config, false, 20},
    {1, 200, 2, 1, 64, "cpu:host", AttentionCase().config, true, 90},
    {3, 40, 2, 2, 2, "cpu:host", AttentionCase().config, false, 1},
    {2, 33, 3, 1, 5, "cpu:host", AttentionCase().config, false, 4},
    {2, 100, 4, 1, 32, "cpu:host", kBlocksDiffer, false, 12},
    {1, 65, 2, 2, 20, "cpu:host", kBlocksDiffer, true, 100},
    {2, 77, 6, 2, 36, "cpu:x86-64-v3", kEightLanes, true, 30},
};

/// The shapes of `cases`, each with one of the configurations for GPUs.
std::vector<AttentionCase> forCuda(std::span<const AttentionCase> shapes) {
  std::vector<AttentionCase> cases(shapes.begin(), shapes.end());
  for (size_t i = 0; i < cases.size(); ++i) {
    cases[i].target = "cuda:sm_80";
    cases[i].config = kCudaConfigs[i % std::size(kCudaConfigs)];
  }
  return cases;
}

/// `cases` with tensors of bf16.
std::vector<AttentionCase> narrow(std::vector<AttentionCase> cases) {
  for (AttentionCase &c : cases)
    c.isNarrow = true;
  return cases;
}

std::string nameOf(const testing::TestParamInfo<AttentionCase> &info) {
  const AttentionCase &c = info.param;
  return llvm::formatv("{0}_S{1}_H{2}_{3}_D{4}", info.index, c.length, c.heads, c.keyHeads, c.headDim);
}

/// Sums in float64. `keys(t)` is how many keys row t sees, `keyRow(t, j)` where key j of them is.
struct Reference {
  std::vector<double> result, lse, probabilities; ///< Of all (row, head, key < most).
};

template <typename T, typename Keys, typename KeyRow>
Reference attend(const AttentionCase &c, const Buffer<T> &query, const Buffer<T> &key, const Buffer<T> &value,
                 int64_t most, Keys keys, KeyRow keyRow) {
  Reference r;
  r.result.resize(c.tokens() * c.queryColumns());
  r.lse.resize(c.tokens() * c.heads);
  r.probabilities.resize(c.tokens() * c.heads * most);
  for (int64_t t = 0; t < c.tokens(); ++t)
    for (int64_t h = 0; h < c.heads; ++h) {
      int64_t keyColumn = h / (c.heads / c.keyHeads) * c.headDim;
      double *p = &r.probabilities[(t * c.heads + h) * most], sum = 0;
      for (int64_t j = 0; j < keys(t); ++j) {
        double score = 0;
        for (int64_t d = 0; d < c.headDim; ++d)
          score += double(query[t * c.queryColumns() + h * c.headDim + d]) *
                   key[keyRow(t, j) * c.keyColumns() + keyColumn + d];
        p[j] = std::exp(score * c.scale());
        sum += p[j];
      }
      r.lse[t * c.heads + h] = std::log(sum);
      for (int64_t j = 0; j < keys(t); ++j) {
        p[j] /= sum;
        for (int64_t d = 0; d < c.headDim; ++d)
          r.result[t * c.queryColumns() + h * c.headDim + d] +=
              p[j] * value[keyRow(t, j) * c.keyColumns() + keyColumn + d];
      }
    }
  return r;
}

/// A token sees the keys from the first of its document to its own.
template <typename T>
Reference attendCausally(const AttentionCase &c, const Buffer<T> &query, const Buffer<T> &key, const Buffer<T> &value) {
  std::vector<int32_t> positions = c.positions();
  return attend(
      c, query, key, value, c.length, [&](int64_t t) { return positions[t] + 1; },
      [&](int64_t t, int64_t j) { return t - positions[t] + j; });
}

/// |score| ≤ √D for operands in [−1, 1): its D products and the exponential leave a probability with a relative error
/// of (D·√D + √D + 8) ε. A result adds at most S of them (their sum is 1), and the running sums are rescaled once a
/// block.
double resultError(const AttentionCase &c, int64_t keys) {
  double root = std::sqrt(double(c.headDim));
  return (2 * (c.headDim * root + root + 8) + keys + 8) * c.epsilon();
}

struct AttentionTest : testing::TestWithParam<AttentionCase> {
  const AttentionCase &c = GetParam();
  const char *element = c.isNarrow ? kTypeName<BFloat16> : kTypeName<float>;

  template <typename T> Buffer<T> makeQuery() const { return randomBuffer<T>(c.tokens() * c.queryColumns(), 1); }
  template <typename T> Buffer<T> makeKey() const { return randomBuffer<T>(c.tokens() * c.keyColumns(), 2); }
  template <typename T> Buffer<T> makeValue() const { return randomBuffer<T>(c.tokens() * c.keyColumns(), 3); }
  template <typename T> void testForward();
  template <typename T> void testBackward();
  template <typename T> void testCached();

  void SetUp() override {
    if (!CompiledKernel::canRun(c.target))
      GTEST_SKIP() << "this machine cannot run " << c.target;
  }
  std::string queryType() const { return llvm::formatv("tensor<{0}x{1}x{2}>", c.tokens(), c.queryColumns(), element); }
  std::string keyType() const { return llvm::formatv("tensor<{0}x{1}x{2}>", c.tokens(), c.keyColumns(), element); }
  std::string lseType() const { return llvm::formatv("tensor<{0}x{1}xf32>", c.tokens(), c.heads); }
  std::string attributes() const {
    return llvm::formatv("num_heads = {0} : i64, num_kv_heads = {1} : i64", c.heads, c.keyHeads);
  }

  bool isPacked() const { return c.documentLength > 0; }
  /// What a kernel says of its last operand, if documents are packed: the argument, the use and the type.
  std::string positionsArgument() const { return isPacked() ? ", %p: " + positionsType() : ""; }
  std::string positionsUse() const { return isPacked() ? ", %p" : ""; }
  std::string positionsOperandType() const { return isPacked() ? ", " + positionsType() : ""; }
  std::string positionsType() const { return llvm::formatv("tensor<{0}x{1}xi32>", c.sequences, c.length); }
};

TEST_P(AttentionTest, Forward) { c.isNarrow ? testForward<BFloat16>() : testForward<float>(); }

template <typename T> void AttentionTest::testForward() {
  std::string source = llvm::formatv(R"mlir(
    moe_kernel.kernel @attention(%q: {0}, %k: {1}, %v: {1}{6}) -> ({0}, {2})
        attributes {{config = {3}} {{
      %r:2 = moe_kernel.attention %q, %k, %v{7} {{{4}, sequence_length = {5} : i64} : ({0}, {1}, {1}{8}) -> ({0}, {2})
      moe_kernel.return %r#0, %r#1 : {0}, {2}
    })mlir",
                                     queryType(), keyType(), lseType(), c.config, attributes(), c.length,
                                     positionsArgument(), positionsUse(), positionsOperandType());
  auto kernel = CompiledKernel::compile(source, c.target);
  ASSERT_TRUE(kernel);
  auto query = makeQuery<T>(), key = makeKey<T>(), value = makeValue<T>();
  auto result = poisonedBuffer<T>(c.tokens() * c.queryColumns());
  auto lse = poisonedBuffer(c.tokens() * c.heads);
  Buffer<int32_t> positions(c.positions());
  KernelBuffers buffers = {query, key, value};
  if (isPacked())
    buffers.push_back(positions);
  buffers.insert(buffers.end(), {result, lse});
  runInAllWays(*kernel, buffers, result, lse);

  Reference expected = attendCausally(c, query, key, value);
  double error = resultError(c, c.length);
  // Rounded weights, whose sum is 1, change a result by at most that much: values are below 1.
  std::vector<double> resultBound(expected.result.size(), error + c.weightsEpsilon());
  expectWithin(result, expected.result, resultBound, "result");
  std::vector<double> lseBound;
  for (double value : expected.lse)
    lseBound.push_back(error + 2 * std::abs(value) * kEpsilon);
  expectWithin(lse, expected.lse, lseBound, "lse");
}

TEST_P(AttentionTest, Backward) { c.isNarrow ? testBackward<BFloat16>() : testBackward<float>(); }

template <typename T> void AttentionTest::testBackward() {
  std::string source = llvm::formatv(R"mlir(
    moe_kernel.kernel @attention_backward(%q: {0}, %k: {1}, %v: {1}, %o: {0}, %lse: {2}, %g: {0}{6}) -> ({0}, {1}, {1})
        attributes {{config = {3}} {{
      %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %lse, %g{7} {{{4}, sequence_length = {5} : i64}
          : ({0}, {1}, {1}, {0}, {2}, {0}{8}) -> ({0}, {1}, {1})
      moe_kernel.return %r#0, %r#1, %r#2 : {0}, {1}, {1}
    })mlir",
                                     queryType(), keyType(), lseType(), c.config, attributes(), c.length,
                                     positionsArgument(), positionsUse(), positionsOperandType());
  auto kernel = CompiledKernel::compile(source, c.target);
  ASSERT_TRUE(kernel);
  auto query = makeQuery<T>(), key = makeKey<T>(), value = makeValue<T>();
  Reference forward = attendCausally(c, query, key, value);
  Buffer<T> result(std::vector<T>(forward.result.begin(), forward.result.end()));
  Buffer<float> lse(std::vector<float>(forward.lse.begin(), forward.lse.end()));
  auto gradient = randomBuffer<T>(c.tokens() * c.queryColumns(), 4);
  auto queryGradient = poisonedBuffer<T>(c.tokens() * c.queryColumns());
  auto keyGradient = poisonedBuffer<T>(c.tokens() * c.keyColumns());
  auto valueGradient = poisonedBuffer<T>(c.tokens() * c.keyColumns());
  Buffer<int32_t> positions(c.positions());
  KernelBuffers buffers = {query, key, value, result, lse, gradient};
  if (isPacked())
    buffers.push_back(positions);
  buffers.insert(buffers.end(), {queryGradient, keyGradient, valueGradient});
  runInAllWays(*kernel, buffers, queryGradient, keyGradient, valueGradient);

  std::vector<double> dQ(c.tokens() * c.queryColumns()), dK(c.tokens() * c.keyColumns()), dV(dK.size());
  std::vector<double> dQBound(dQ.size(), kEpsilon), dKBound(dK.size(), kEpsilon), dVBound(dV.size(), kEpsilon);
  // A probability has the relative error of resultError; dP and delta are sums of D terms below 1 (delta of D
  // products of a result, itself rounded); each gradient adds at most S·(H/Hkv) terms.
  int64_t group = c.heads / c.keyHeads;
  double relative = resultError(c, 0), terms = (c.length * group + 8) * c.epsilon() + c.weightsEpsilon();
  for (int64_t t = 0; t < c.tokens(); ++t)
    for (int64_t h = 0; h < c.heads; ++h) {
      int64_t at = t * c.queryColumns() + h * c.headDim;
      double delta = 0;
      for (int64_t d = 0; d < c.headDim; ++d)
        delta += double(gradient[at + d]) * result[at + d];
      for (int64_t j = 0; j <= positions[t]; ++j) {
        int64_t keyAt = (t - positions[t] + j) * c.keyColumns() + h / group * c.headDim;
        double p = forward.probabilities[(t * c.heads + h) * c.length + j], dP = 0;
        for (int64_t d = 0; d < c.headDim; ++d)
          dP += double(gradient[at + d]) * value[keyAt + d];
        double dS = c.scale() * p * (dP - delta);
        double dSError = std::abs(dS) * (relative + terms) + c.scale() * p * 2 * c.headDim * (c.headDim + 2) * c.epsilon();
        for (int64_t d = 0; d < c.headDim; ++d) {
          dV[keyAt + d] += p * gradient[at + d];
          dVBound[keyAt + d] += p * std::abs(gradient[at + d]) * (relative + terms);
          dQ[at + d] += dS * key[keyAt + d];
          dQBound[at + d] += std::abs(key[keyAt + d]) * dSError;
          dK[keyAt + d] += dS * query[at + d];
          dKBound[keyAt + d] += std::abs(query[at + d]) * dSError;
        }
      }
    }
  expectWithin(queryGradient, dQ, dQBound, "query_gradient");
  expectWithin(keyGradient, dK, dKBound, "key_gradient");
  expectWithin(valueGradient, dV, dVBound, "value_gradient");
}

TEST_P(AttentionTest, Cached) { c.isNarrow ? testCached<BFloat16>() : testCached<float>(); }

template <typename T> void AttentionTest::testCached() {
  // The tokens of a sequence follow one another in a cache with room for more; every sequence starts elsewhere.
  int64_t capacity = c.length + 21;
  std::string cacheType = llvm::formatv("tensor<{0}x{1}x{2}x{3}>", c.sequences, capacity, c.keyColumns(), element);
  std::string source = llvm::formatv(R"mlir(
    moe_kernel.kernel @cached_attention(%q: {0}, %k: {1}, %v: {1}, %p: {2}) -> {0}
        attributes {{config = {3}} {{
      %r = moe_kernel.cached_attention %q, %k, %v, %p {{{4}} : ({0}, {1}, {1}, {2}) -> {0}
      moe_kernel.return %r : {0}
    })mlir",
                                     queryType(), cacheType, positionsType(), c.config, attributes());
  auto kernel = CompiledKernel::compile(source, c.target);
  ASSERT_TRUE(kernel);
  auto query = makeQuery<T>();
  auto keyCache = randomBuffer<T>(c.sequences * capacity * c.keyColumns(), 5);
  auto valueCache = randomBuffer<T>(c.sequences * capacity * c.keyColumns(), 6);
  Buffer<int32_t> positions(c.tokens());
  for (int64_t t = 0; t < c.tokens(); ++t)
    positions[t] = t % c.length + (t / c.length * 9 + 4) % 21;
  // What lies behind the last position must not matter.
  for (int64_t b = 0; b < c.sequences; ++b)
    for (int64_t j = positions[(b + 1) * c.length - 1] + 1; j < capacity; ++j)
      for (int64_t n = 0; n < c.keyColumns(); ++n)
        keyCache[(b * capacity + j) * c.keyColumns() + n] = valueCache[(b * capacity + j) * c.keyColumns() + n] = NAN;
  auto result = poisonedBuffer<T>(c.tokens() * c.queryColumns());
  runInAllWays(*kernel, {query, keyCache, valueCache, positions, result}, result);

  Reference expected = attend(
      c, query, keyCache, valueCache, capacity, [&](int64_t t) { return positions[t] + 1; },
      [&](int64_t t, int64_t j) { return t / c.length * capacity + j; });
  expectWithin(result, expected.result, std::vector<double>(expected.result.size(), resultError(c, capacity)),
               "result");
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest, testing::ValuesIn(kCases), nameOf);

INSTANTIATE_TEST_SUITE_P(Cuda, AttentionTest,
                         testing::ValuesIn(forCuda(kCases)), nameOf);

struct PackedAttentionTest : AttentionTest {};
TEST_P(PackedAttentionTest, Forward) { c.isNarrow ? testForward<BFloat16>() : testForward<float>(); }
TEST_P(PackedAttentionTest, Backward) { c.isNarrow ? testBackward<BFloat16>() : testBackward<float>(); }

INSTANTIATE_TEST_SUITE_P(Documents, PackedAttentionTest, testing::ValuesIn(kPackedCases), nameOf);
INSTANTIATE_TEST_SUITE_P(CudaDocuments, PackedAttentionTest, testing::ValuesIn(forCuda(kPackedCases)), nameOf);

// A decode step: one new token in each of several sequences, with caches filled to different lengths.
const AttentionCase kDecodeCases[] = {
    {3, 1, 4, 2, 32},
    {2, 1, 2, 1, 20},
    {2, 3, 4, 4, 64},
    {1, 1, 2, 1, 300},
    {2, 1, 6, 2, 13},
    {3, 1, 4, 2, 36, "cpu:x86-64-v3", kEightLanes},
};
INSTANTIATE_TEST_SUITE_P(Decode, AttentionTest, testing::ValuesIn(kDecodeCases), nameOf);
INSTANTIATE_TEST_SUITE_P(CudaDecode, AttentionTest,
                         testing::ValuesIn(forCuda(kDecodeCases)),
                         nameOf);

std::vector<AttentionCase> listOf(std::span<const AttentionCase> cases) { return {cases.begin(), cases.end()}; }
INSTANTIATE_TEST_SUITE_P(BFloat16, AttentionTest, testing::ValuesIn(narrow(listOf(kCases))), nameOf);
INSTANTIATE_TEST_SUITE_P(BFloat16Decode, AttentionTest, testing::ValuesIn(narrow(listOf(kDecodeCases))), nameOf);
INSTANTIATE_TEST_SUITE_P(CudaBFloat16, AttentionTest, testing::ValuesIn(narrow(forCuda(kCases))), nameOf);
INSTANTIATE_TEST_SUITE_P(CudaBFloat16Decode, AttentionTest, testing::ValuesIn(narrow(forCuda(kDecodeCases))), nameOf);

// Tensor cores: blocks of one warp to eight, one or two fragments of rows for each, tiles with and without a rest.
constexpr const char *kOneWarp =
    "#moe_kernel.cuda_config<threads = 32, tile_m = 16, tile_n = 16, tile_k = 16, stages = 2, unit = mma>";
constexpr const char *kFourWarps =
    "#moe_kernel.cuda_config<threads = 128, tile_m = 64, tile_n = 32, tile_k = 16, stages = 2, unit = mma>";
constexpr const char *kEightWarps =
    "#moe_kernel.cuda_config<threads = 256, tile_m = 128, tile_n = 64, tile_k = 16, stages = 2, unit = mma>";
constexpr const char *kTwoFragments =
    "#moe_kernel.cuda_config<threads = 64, tile_m = 64, tile_n = 32, tile_k = 16, stages = 2, unit = mma>";

const AttentionCase kMmaCases[] = {
    {1, 1, 1, 1, 16, "cuda:sm_80", kOneWarp, true},
    {2, 7, 4, 2, 32, "cuda:sm_80", kOneWarp, true},
    {1, 50, 2, 1, 48, "cuda:sm_80", kOneWarp, true},
    {2, 64, 4, 2, 64, "cuda:sm_80", kFourWarps, true},
    {1, 130, 6, 2, 128, "cuda:sm_80", kFourWarps, true},
    {2, 77, 3, 1, 80, "cuda:sm_80", kFourWarps, true},
    {1, 300, 2, 2, 64, "cuda:sm_80", kEightWarps, true},
    {2, 128, 4, 1, 16, "cuda:sm_80", kEightWarps, true},
    {1, 33, 2, 1, 112, "cuda:sm_80", kTwoFragments, true},
    {1, 140, 2, 1, 32, "cuda:sm_80", kTwoFragments, true},
};

struct MmaAttentionTest : AttentionTest {};
TEST_P(MmaAttentionTest, Forward) { testForward<BFloat16>(); }
TEST_P(MmaAttentionTest, Backward) { testBackward<BFloat16>(); }
INSTANTIATE_TEST_SUITE_P(Cuda, MmaAttentionTest, testing::ValuesIn(kMmaCases), nameOf);

} // namespace
