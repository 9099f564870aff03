//===- RowsBFloat16Test.cpp - Rows kernels on bf16 tensors ------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// In the form that the stage fuse writes: bodies extend what they read, compute in float32 and round what they store.
///
//===----------------------------------------------------------------------===//
#include "KernelTest.h"

using namespace moe::test;

namespace {

const std::string kMaps = R"mlir(
  #i = affine_map<(i) -> (i)>
  #none1 = affine_map<(i) -> ()>
  #ij = affine_map<(i, j) -> (i, j)>
  #rows = affine_map<(i, j) -> (i)>
  #cols = affine_map<(i, j) -> (j)>
)mlir";

class RowsBFloat16Test : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (!CompiledKernel::canRun(GetParam()))
      GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
  std::unique_ptr<CompiledKernel> compile(const std::string &body) {
    return CompiledKernel::compile(kMaps + body, GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(, RowsBFloat16Test, testing::Values("cpu:host", "cpu:x86-64-v3", "cuda:sm_80"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::erase_if(name, [](char c) { return c == '-' || c == ':'; });
                           return name;
                         });

/// Whether the numbers are the same, or both are NaN.
bool areSame(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (a != a && b != b); }

} // namespace

/// Every bf16 there is comes out as the float32 of the same value: subnormal numbers, infinities and NaN included.
TEST_P(RowsBFloat16Test, ExtendsExactly) {
  constexpr int64_t kCount = 1 << 16;
  auto kernel = compile(R"mlir(
    moe_kernel.kernel @extend(%x: tensor<65536xbf16>) -> tensor<65536xf32> {
      %e = tensor.empty() : tensor<65536xf32>
      %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
          ins(%x : tensor<65536xbf16>) outs(%e : tensor<65536xf32>) {
        ^bb0(%a: bf16, %o: f32):
          %r = arith.extf %a : bf16 to f32
          linalg.yield %r : f32
      } -> tensor<65536xf32>
      moe_kernel.return %y : tensor<65536xf32>
    })mlir");
  ASSERT_TRUE(kernel);
  Buffer<uint16_t> x(kCount);
  auto y = poisonedBuffer(kCount);
  for (int64_t i = 0; i < kCount; ++i)
    x[i] = i;
  runInAllWays(*kernel, {x, y}, y);
  int64_t wrong = 0;
  for (int64_t i = 0; i < kCount; ++i)
    wrong += !areSame(y[i], std::bit_cast<float>(uint32_t(i) << 16));
  EXPECT_EQ(wrong, 0);
}

/// Around every bf16: itself, its neighbours in float32, and the middle of the way to the next one, which is a tie.
TEST_P(RowsBFloat16Test, RoundsToNearestEven) {
  constexpr int64_t kCount = 5 << 16;
  auto kernel = compile(R"mlir(
    moe_kernel.kernel @round(%x: tensor<327680xf32>) -> tensor<327680xbf16> {
      %e = tensor.empty() : tensor<327680xbf16>
      %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
          ins(%x : tensor<327680xf32>) outs(%e : tensor<327680xbf16>) {
        ^bb0(%a: f32, %o: bf16):
          %r = arith.truncf %a : f32 to bf16
          linalg.yield %r : bf16
      } -> tensor<327680xbf16>
      moe_kernel.return %y : tensor<327680xbf16>
    })mlir");
  ASSERT_TRUE(kernel);
  auto x = randomBuffer(kCount, 1);
  auto y = poisonedBuffer<BFloat16>(kCount);
  constexpr uint32_t kLow[] = {0, 1, 0x7fff, 0x8000, 0x8001};
  for (int64_t i = 0; i < kCount; ++i)
    x[i] = std::bit_cast<float>(uint32_t(i / 5) << 16 | kLow[i % 5]);
  runInAllWays(*kernel, {x, y}, y);
  int64_t wrong = 0;
  for (int64_t i = 0; i < kCount; ++i)
    wrong += !areSame(y[i], BFloat16(x[i]));
  EXPECT_EQ(wrong, 0);
}

/// A remainder of every length, and scalars of float32 among tensors of bf16.
TEST_P(RowsBFloat16Test, ElementwiseOfAllSizes) {
  for (int64_t n : {1, 2, 3, 7, 8, 13, 16, 31, 33, 100, 4096 + 5, 1 << 20}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @add(%x: tensor<$Nxbf16>, %y: tensor<$Nxbf16>, %s: tensor<f32>) -> tensor<$Nxbf16> {
        %e = tensor.empty() : tensor<$Nxbf16>
        %z = linalg.generic {indexing_maps = [#i, #i, #none1, #i], iterator_types = ["parallel"]}
            ins(%x, %y, %s : tensor<$Nxbf16>, tensor<$Nxbf16>, tensor<f32>) outs(%e : tensor<$Nxbf16>) {
          ^bb0(%a: bf16, %b: bf16, %c: f32, %o: bf16):
            %a32 = arith.extf %a : bf16 to f32
            %b32 = arith.extf %b : bf16 to f32
            %m = arith.mulf %a32, %c : f32
            %r = arith.addf %m, %b32 : f32
            %r16 = arith.truncf %r : f32 to bf16
            linalg.yield %r16 : bf16
        } -> tensor<$Nxbf16>
        moe_kernel.return %z : tensor<$Nxbf16>
      })mlir",
                                      {{'N', n}}));
    ASSERT_TRUE(kernel);
    auto x = randomBuffer<BFloat16>(n, 1), y = randomBuffer<BFloat16>(n, 2), z = poisonedBuffer<BFloat16>(n);
    auto s = randomBuffer(1, 3);
    kernel->runInPieces({x, y, s, z}, 3);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i)
      wrong += z[i] != BFloat16(std::fma(x[i], s[0], y[i]));
    EXPECT_EQ(wrong, 0) << "of " << n;
    EXPECT_TRUE(z.isIntact());
  }
}

/// Statistics are float32, elements bf16.
TEST_P(RowsBFloat16Test, RMSNorm) {
  for (auto [rows, columns] : {std::pair(64, 128), std::pair(5, 37), std::pair(3, 3), std::pair(1, 200)}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @norm(%x: tensor<$Tx$Hxbf16>, %w: tensor<$Hxbf16>) -> (tensor<$Tx$Hxbf16>, tensor<$Txf32>) {
        %zero = arith.constant 0.0 : f32
        %e1 = tensor.empty() : tensor<$Txf32>
        %f = linalg.fill ins(%zero : f32) outs(%e1 : tensor<$Txf32>) -> tensor<$Txf32>
        %ss = linalg.generic {indexing_maps = [#ij, #rows], iterator_types = ["parallel", "reduction"]}
            ins(%x : tensor<$Tx$Hxbf16>) outs(%f : tensor<$Txf32>) {
          ^bb0(%a: bf16, %acc: f32):
            %a32 = arith.extf %a : bf16 to f32
            %m = arith.mulf %a32, %a32 : f32
            %r = arith.addf %acc, %m : f32
            linalg.yield %r : f32
        } -> tensor<$Txf32>
        %e2 = tensor.empty() : tensor<$Txf32>
        %scale = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
            ins(%ss : tensor<$Txf32>) outs(%e2 : tensor<$Txf32>) {
          ^bb0(%a: f32, %o: f32):
            %n = arith.constant $H.0 : f32
            %eps = arith.constant 1.0e-5 : f32
            %mean = arith.divf %a, %n : f32
            %sum = arith.addf %mean, %eps : f32
            %r = math.rsqrt %sum : f32
            linalg.yield %r : f32
        } -> tensor<$Txf32>
        %e3 = tensor.empty() : tensor<$Tx$Hxbf16>
        %y = linalg.generic {indexing_maps = [#ij, #rows, #cols, #ij], iterator_types = ["parallel", "parallel"]}
            ins(%x, %scale, %w : tensor<$Tx$Hxbf16>, tensor<$Txf32>, tensor<$Hxbf16>)
            outs(%e3 : tensor<$Tx$Hxbf16>) {
          ^bb0(%a: bf16, %s: f32, %b: bf16, %o: bf16):
            %a32 = arith.extf %a : bf16 to f32
            %b32 = arith.extf %b : bf16 to f32
            %m = arith.mulf %a32, %s : f32
            %r = arith.mulf %m, %b32 : f32
            %r16 = arith.truncf %r : f32 to bf16
            linalg.yield %r16 : bf16
        } -> tensor<$Tx$Hxbf16>
        moe_kernel.return %y, %scale : tensor<$Tx$Hxbf16>, tensor<$Txf32>
      })mlir",
                                      {{'T', rows}, {'H', columns}}));
    ASSERT_TRUE(kernel);
    auto x = randomBuffer<BFloat16>(rows * columns, 1), w = randomBuffer<BFloat16>(columns, 2);
    auto y = poisonedBuffer<BFloat16>(rows * columns);
    auto scale = poisonedBuffer(rows);
    runInAllWays(*kernel, {x, w, y, scale}, y, scale);
    std::vector<double> expected, bounds, scales, scaleBounds;
    for (int64_t t = 0; t < rows; ++t) {
      double sum = 0;
      for (int64_t h = 0; h < columns; ++h)
        sum += double(x[t * columns + h]) * x[t * columns + h];
      // A sum of `columns` products in any order (Higham 2002, section 3.1), and a few operations more.
      scales.push_back(1 / std::sqrt(sum / columns + 1e-5));
      scaleBounds.push_back((columns + 4) * kEpsilon * scales.back());
      for (int64_t h = 0; h < columns; ++h) {
        expected.push_back(x[t * columns + h] * scales.back() * w[h]);
        bounds.push_back((columns + 8) * kEpsilon * std::abs(expected.back()) + 1e-37);
      }
    }
    expectWithin(y, expected, bounds, "y");
    expectWithin(scale, scales, scaleBounds, "scale");
  }
}

/// A sum over gathered rows stays float32 until another op of the kernel rounds it.
TEST_P(RowsBFloat16Test, Combine) {
  for (auto [tokens, columns] : {std::pair(50, 64), std::pair(9, 21)}) {
    constexpr int64_t kTopK = 3;
    auto kernel = compile(instantiate(R"mlir(
      #tkh = affine_map<(t, k, h) -> (t, k)>
      #th = affine_map<(t, k, h) -> (t, h)>
      moe_kernel.kernel @combine(%rows: tensor<$Rx$Hxbf16>, %inverse: tensor<$Tx$Kxi32>, %weights: tensor<$Tx$Kxf32>)
          -> tensor<$Tx$Hxbf16> {
        %zero = arith.constant 0.0 : f32
        %e = tensor.empty() : tensor<$Tx$Hxf32>
        %f = linalg.fill ins(%zero : f32) outs(%e : tensor<$Tx$Hxf32>) -> tensor<$Tx$Hxf32>
        %sum = linalg.generic {indexing_maps = [#tkh, #tkh, #th],
                               iterator_types = ["parallel", "reduction", "parallel"]}
            ins(%inverse, %weights : tensor<$Tx$Kxi32>, tensor<$Tx$Kxf32>) outs(%f : tensor<$Tx$Hxf32>) {
          ^bb0(%r: i32, %w: f32, %acc: f32):
            %row = arith.index_cast %r : i32 to index
            %column = linalg.index 2 : index
            %a = tensor.extract %rows[%row, %column] : tensor<$Rx$Hxbf16>
            %a32 = arith.extf %a : bf16 to f32
            %m = arith.mulf %w, %a32 : f32
            %s = arith.addf %acc, %m : f32
            linalg.yield %s : f32
        } -> tensor<$Tx$Hxf32>
        %e2 = tensor.empty() : tensor<$Tx$Hxbf16>
        %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
            ins(%sum : tensor<$Tx$Hxf32>) outs(%e2 : tensor<$Tx$Hxbf16>) {
          ^bb0(%a: f32, %o: bf16):
            %r = arith.truncf %a : f32 to bf16
            linalg.yield %r : bf16
        } -> tensor<$Tx$Hxbf16>
        moe_kernel.return %y : tensor<$Tx$Hxbf16>
      })mlir",
                                      {{'T', tokens}, {'H', columns}, {'K', kTopK}, {'R', tokens * kTopK}}));
    ASSERT_TRUE(kernel);
    EXPECT_EQ(kernel->scratchBytes, 0) << "sums go through memory";
    auto rows = randomBuffer<BFloat16>(tokens * kTopK * columns, 1);
    auto weights = randomBuffer(tokens * kTopK, 2);
    Buffer<int32_t> inverse(tokens * kTopK);
    for (int64_t i = 0; i < tokens * kTopK; ++i)
      inverse[i] = (i * 11) % (tokens * kTopK);
    auto y = poisonedBuffer<BFloat16>(tokens * columns);
    runInAllWays(*kernel, {rows, inverse, weights, y}, y);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < columns; ++h) {
        float sum = 0;
        for (int64_t k = 0; k < kTopK; ++k)
          sum = std::fma(weights[t * kTopK + k], rows[inverse[t * kTopK + k] * columns + h], sum);
        EXPECT_EQ(float(y[t * columns + h]), float(BFloat16(sum))) << t << ", " << h;
      }
  }
}

/// A float32 master in place, and the bf16 parameter it is rounded to, whose own memory is written and not read.
TEST_P(RowsBFloat16Test, MasterInPlace) {
  for (int64_t n : {1 << 20, 1000, 3}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @update(%p: tensor<$Nxbf16> {moe_kernel.tied = 0 : i64}, %g: tensor<$Nxbf16>,
                                %m: tensor<$Nxf32> {moe_kernel.tied = 1 : i64}, %rate: tensor<f32>)
          -> (tensor<$Nxbf16>, tensor<$Nxf32>) {
        %e0 = tensor.empty() : tensor<$Nxbf16>
        %e1 = tensor.empty() : tensor<$Nxf32>
        %p1, %m1 = linalg.generic {indexing_maps = [#i, #i, #i, #none1, #i, #i], iterator_types = ["parallel"]}
            ins(%p, %g, %m, %rate : tensor<$Nxbf16>, tensor<$Nxbf16>, tensor<$Nxf32>, tensor<f32>)
            outs(%e0, %e1 : tensor<$Nxbf16>, tensor<$Nxf32>) {
          ^bb0(%old: bf16, %b: bf16, %a: f32, %r: f32, %o0: bf16, %o1: f32):
            %b32 = arith.extf %b : bf16 to f32
            %step = arith.mulf %b32, %r : f32
            %new = arith.subf %a, %step : f32
            %rounded = arith.truncf %new : f32 to bf16
            linalg.yield %rounded, %new : bf16, f32
        } -> (tensor<$Nxbf16>, tensor<$Nxf32>)
        moe_kernel.return %p1, %m1 : tensor<$Nxbf16>, tensor<$Nxf32>
      })mlir",
                                      {{'N', n}}));
    ASSERT_TRUE(kernel);
    auto p = poisonedBuffer<BFloat16>(n), g = randomBuffer<BFloat16>(n, 2);
    auto master = randomBuffer(n, 3);
    Buffer<float> rate(1, 0.01f);
    std::vector<float> before = master.values();
    kernel->runInPieces({p, g, master, rate, p, master}, 2);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      float expected = std::fma(-g[i], 0.01f, before[i]);
      wrong += master[i] != expected || p[i] != BFloat16(expected);
    }
    EXPECT_EQ(wrong, 0) << "of " << n;
  }
}
