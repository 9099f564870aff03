//===- ScatterTest.cpp - Scattering and norm kernels ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "KernelTest.h"

#include "llvm/Support/FormatVariadic.h"

using namespace moe::test;

namespace {

struct Arch {
  const char *target, *name, *config;
};

struct ScatterTest : testing::TestWithParam<Arch> {
  void SetUp() override {
    if (!CompiledKernel::canRun(GetParam().target))
      GTEST_SKIP() << "this machine cannot run " << GetParam().target;
  }
  std::string config() const { return "config = " + std::string(GetParam().config); }
  template <typename T> void testScatterAdd();
  template <typename T> void testCacheAppend();
  template <typename T> void testSumsOfSquares();
};

// Additions in float32 in token order: the same bits as a plain loop.
TEST_P(ScatterTest, AddsInTokenOrder) { testScatterAdd<float>(); }
TEST_P(ScatterTest, AddsInTokenOrderOfBFloat16) { testScatterAdd<BFloat16>(); }

template <typename T> void ScatterTest::testScatterAdd() {
  for (int64_t columns : {1, 16, 24, 53, 128}) {
    int64_t tokens = 50, targets = 9;
    std::string source = llvm::formatv(R"mlir(
      moe_kernel.kernel @scatter(%i: tensor<2x25xi32>, %x: tensor<{0}x{1}x{4}>) -> tensor<{2}x{1}x{4}>
          attributes {{{3}} {{
        %r = moe_kernel.scatter_add %i, %x : (tensor<2x25xi32>, tensor<{0}x{1}x{4}>) -> tensor<{2}x{1}x{4}>
        moe_kernel.return %r : tensor<{2}x{1}x{4}>
      })mlir",
                                       tokens, columns, targets, config(), kTypeName<T>);
    auto kernel = CompiledKernel::compile(source, GetParam().target);
    ASSERT_TRUE(kernel);
    Buffer<int32_t> indices(tokens);
    for (int64_t t = 0; t < tokens; ++t)
      indices[t] = t * t % (targets - 1); // The last target gets nothing.
    auto rows = randomBuffer<T>(tokens * columns, 1), result = poisonedBuffer<T>(targets * columns);
    runInAllWays(*kernel, {indices, rows, result}, result);
    std::vector<float> expected(targets * columns);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t n = 0; n < columns; ++n)
        expected[indices[t] * columns + n] += rows[t * columns + n];
    // Sums are of float32, in the order of the tokens, whatever they are stored as.
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_EQ(float(result[i]), float(T(expected[i]))) << i << " of " << columns << " columns";
    EXPECT_TRUE(result.isIntact());
  }
}

// Copies, each of a token to all of its places: no row of the result is left out or written twice with something else.
struct DispatchTest : testing::Test {
  template <typename T> void testDispatch();
};
TEST_F(DispatchTest, CopiesEachTokenToAllOfItsRows) { testDispatch<float>(); }
TEST_F(DispatchTest, CopiesEachTokenToAllOfItsRowsOfBFloat16) { testDispatch<BFloat16>(); }

template <typename T> void DispatchTest::testDispatch() {
  const char *target = "cuda:sm_80";
  if (!CompiledKernel::canRun(target))
    GTEST_SKIP() << "this machine cannot run " << target;
  using Sizes = std::tuple<int64_t, int64_t, int64_t>;
  for (auto [tokens, topK, columns] : {Sizes{1, 1, 1}, {53, 2, 37}, {29, 6, 264}, {96, 8, 128}}) {
    int64_t rows = tokens * topK;
    std::string source = llvm::formatv(R"mlir(
      moe_kernel.kernel @dispatch(%x: tensor<{0}x{1}x{4}>, %i: tensor<{0}x{2}xi32>) -> tensor<{3}x{1}x{4}>
          attributes {{config = #moe_kernel.cuda_config<threads = 64, tile_m = 4, tile_n = 1, tile_k = 1, stages = 1>} {{
        %r = moe_kernel.dispatch %x, %i : (tensor<{0}x{1}x{4}>, tensor<{0}x{2}xi32>) -> tensor<{3}x{1}x{4}>
        moe_kernel.return %r : tensor<{3}x{1}x{4}>
      })mlir",
                                       tokens, columns, topK, rows, kTypeName<T>);
    auto kernel = CompiledKernel::compile(source, target);
    ASSERT_TRUE(kernel);
    Buffer<int32_t> inverse(rows);
    for (int64_t entry = 0; entry < rows; ++entry)
      inverse[entry] = (entry * 7 + 3) % rows; // Every row once: 7 divides no number of rows here.
    auto input = randomBuffer<T>(tokens * columns, 1), result = poisonedBuffer<T>(rows * columns);
    runInAllWays(*kernel, {input, inverse, result}, result);
    for (int64_t entry = 0; entry < rows; ++entry)
      for (int64_t n = 0; n < columns; ++n)
        EXPECT_EQ(float(result[inverse[entry] * columns + n]), float(input[entry / topK * columns + n]))
            << entry << ", " << n << " of " << columns << " columns";
    EXPECT_TRUE(result.isIntact());
  }
}

TEST_P(ScatterTest, CacheAppendWritesItsRowsOnly) { testCacheAppend<float>(); }
TEST_P(ScatterTest, CacheAppendWritesItsRowsOnlyOfBFloat16) { testCacheAppend<BFloat16>(); }

template <typename T> void ScatterTest::testCacheAppend() {
  for (int64_t columns : {1, 16, 37, 64}) {
    std::string source = llvm::formatv(R"mlir(
      moe_kernel.kernel @append(%c: tensor<2x10x{0}x{2}> {{moe_kernel.tied = 0 : i64}, %x: tensor<6x{0}x{2}>,
                                %p: tensor<2x3xi32>) -> tensor<2x10x{0}x{2}> attributes {{{1}} {{
        %r = moe_kernel.cache_append %c, %x, %p
            : (tensor<2x10x{0}x{2}>, tensor<6x{0}x{2}>, tensor<2x3xi32>) -> tensor<2x10x{0}x{2}>
        moe_kernel.return %r : tensor<2x10x{0}x{2}>
      })mlir",
                                       columns, config(), kTypeName<T>);
    auto kernel = CompiledKernel::compile(source, GetParam().target);
    ASSERT_TRUE(kernel);
    auto cache = randomBuffer<T>(2 * 10 * columns, 1), rows = randomBuffer<T>(6 * columns, 2);
    Buffer<int32_t> positions(std::vector<int32_t>{7, 8, 9, 0, 1, 2});
    std::vector<T> expected = cache.values();
    for (int64_t t = 0; t < 6; ++t)
      for (int64_t n = 0; n < columns; ++n)
        expected[(t / 3 * 10 + positions[t]) * columns + n] = rows[t * columns + n];
    kernel->runInPieces({cache, rows, positions, cache}, 2);
    EXPECT_EQ(cache.values(), expected) << columns << " columns";
    EXPECT_TRUE(cache.isIntact());
  }
}

TEST_P(ScatterTest, SumsOfSquares) { testSumsOfSquares<float>(); }
TEST_P(ScatterTest, SumsOfSquaresOfBFloat16) { testSumsOfSquares<BFloat16>(); }

template <typename T> void ScatterTest::testSumsOfSquares() {
  std::string source = llvm::formatv(R"mlir(
    moe_kernel.kernel @squares(%a: tensor<3x1000x{1}>, %b: tensor<{1}>, %c: tensor<17x{1}>, %d: tensor<4x8x16x{1}>)
        -> tensor<6xf32> attributes {{{0}} {{
      %r = moe_kernel.sum_of_squares %a, %b, %c, %d {{chunk = 1024 : i64}
          : (tensor<3x1000x{1}>, tensor<{1}>, tensor<17x{1}>, tensor<4x8x16x{1}>) -> tensor<6xf32>
      moe_kernel.return %r : tensor<6xf32>
    })mlir",
                                     config(), kTypeName<T>);
  auto kernel = CompiledKernel::compile(source, GetParam().target);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->items, 6);
  std::vector<Buffer<T>> inputs;
  for (int64_t size : {3000, 1, 17, 512})
    inputs.push_back(randomBuffer<T>(size, size));
  auto partial = poisonedBuffer(6);
  runInAllWays(*kernel, {inputs[0], inputs[1], inputs[2], inputs[3], partial}, partial);

  std::vector<double> expected, bound;
  for (const Buffer<T> &input : inputs)
    for (int64_t i = 0; const float value : input) {
      if (i++ % 1024 == 0)
        expected.push_back(0);
      expected.back() += double(value) * value;
    }
  for (double sum : expected)
    bound.push_back(sum * 1024 * kEpsilon);
  expectWithin(partial, expected, bound, "partial");
}

const Arch kArchs[] = {
    {"cpu:host", "Lanes16",
     "#moe_kernel.cpu_config<vector_width = 16, tile_m = 4, tile_n = 16, block_m = 8, block_n = 64>"},
    {"cpu:x86-64-v3", "Lanes8",
     "#moe_kernel.cpu_config<vector_width = 8, tile_m = 4, tile_n = 8, block_m = 8, block_n = 64>"},
    {"cuda:sm_80", "Cuda",
     "#moe_kernel.cuda_config<threads = 64, tile_m = 4, tile_n = 1, tile_k = 1, stages = 1>"},
};
INSTANTIATE_TEST_SUITE_P(Targets, ScatterTest, testing::ValuesIn(kArchs),
                         [](const auto &info) { return info.param.name; });

} // namespace
