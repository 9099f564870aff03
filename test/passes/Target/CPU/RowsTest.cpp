//===- RowsTest.cpp - Rows kernels against plain loops ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "../KernelTest.h"

#include <algorithm>
#include <numeric>
#include <string>

using namespace moe::test;

namespace {

/// Names and maps that the kernels below share.
const std::string kMaps = R"mlir(
  #i = affine_map<(i) -> (i)>
  #none1 = affine_map<(i) -> ()>
  #ij = affine_map<(i, j) -> (i, j)>
  #rows = affine_map<(i, j) -> (i)>
  #cols = affine_map<(i, j) -> (j)>
  #none = affine_map<(i, j) -> ()>
)mlir";

const char *kTargets[] = {"cpu:host", "cpu:x86-64-v3", "cuda:sm_80"};

/// Each form is run with wide and with narrow vectors.
class RowsTest : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (!CompiledKernel::canRun(GetParam()))
      GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
  std::unique_ptr<CompiledKernel> compile(const std::string &body) {
    return CompiledKernel::compile(kMaps + body, GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(, RowsTest, testing::ValuesIn(kTargets), [](const auto &info) {
  std::string name = info.param;
  std::erase_if(name, [](char c) { return c == '-' || c == ':'; });
  return name;
});

/// The bound |error| ≤ `ulps` · 2^-24 · magnitude for sums of `terms` products, in any order (Higham 2002,
/// section 3.1).
double bound(double magnitude, int64_t terms = 1) { return (terms + 4) * kEpsilon * magnitude + 1e-37; }

} // namespace

/// A remainder of every length, in flat form: one column loop, blocks that do not divide it.
TEST_P(RowsTest, ElementwiseOfAllSizes) {
  for (int64_t n : {1, 2, 3, 7, 8, 13, 16, 31, 33, 100, 4096 + 5}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @add(%x: tensor<$Nxf32>, %y: tensor<$Nxf32>, %s: tensor<f32>) -> tensor<$Nxf32> {
        %e = tensor.empty() : tensor<$Nxf32>
        %z = linalg.generic {indexing_maps = [#i, #i, #none1, #i], iterator_types = ["parallel"]}
            ins(%x, %y, %s : tensor<$Nxf32>, tensor<$Nxf32>, tensor<f32>) outs(%e : tensor<$Nxf32>) {
          ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
            %m = arith.mulf %a, %c : f32
            %r = arith.addf %m, %b : f32
            linalg.yield %r : f32
        } -> tensor<$Nxf32>
        moe_kernel.return %z : tensor<$Nxf32>
      })mlir",
                                      {{'N', n}}));
    ASSERT_TRUE(kernel);
    auto x = randomBuffer(n, 1), y = randomBuffer(n, 2), s = randomBuffer(1, 3), z = poisonedBuffer(n);
    runInAllWays(*kernel, {x, y, s, z}, z);
    for (int64_t i = 0; i < n; ++i)
      EXPECT_EQ(z[i], std::fma(x[i], s[0], y[i])) << i << " of " << n;
    EXPECT_TRUE(z.isIntact());
  }
}

/// Sum of squares of a row, a scalar of the row, and a pass over the row that uses it: the row is a grid of work items.
TEST_P(RowsTest, RMSNorm) {
  for (auto [rows, columns] : {std::pair(64, 128), std::pair(5, 37), std::pair(3, 3), std::pair(1, 200)}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @norm(%x: tensor<$Tx$Hxf32>, %w: tensor<$Hxf32>) -> (tensor<$Tx$Hxf32>, tensor<$Txf32>) {
        %zero = arith.constant 0.0 : f32
        %e1 = tensor.empty() : tensor<$Txf32>
        %f = linalg.fill ins(%zero : f32) outs(%e1 : tensor<$Txf32>) -> tensor<$Txf32>
        %ss = linalg.generic {indexing_maps = [#ij, #rows], iterator_types = ["parallel", "reduction"]}
            ins(%x : tensor<$Tx$Hxf32>) outs(%f : tensor<$Txf32>) {
          ^bb0(%a: f32, %acc: f32):
            %m = arith.mulf %a, %a : f32
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
        %e3 = tensor.empty() : tensor<$Tx$Hxf32>
        %y = linalg.generic {indexing_maps = [#ij, #rows, #cols, #ij], iterator_types = ["parallel", "parallel"]}
            ins(%x, %scale, %w : tensor<$Tx$Hxf32>, tensor<$Txf32>, tensor<$Hxf32>) outs(%e3 : tensor<$Tx$Hxf32>) {
          ^bb0(%a: f32, %s: f32, %b: f32, %o: f32):
            %m = arith.mulf %a, %s : f32
            %r = arith.mulf %m, %b : f32
            linalg.yield %r : f32
        } -> tensor<$Tx$Hxf32>
        moe_kernel.return %y, %scale : tensor<$Tx$Hxf32>, tensor<$Txf32>
      })mlir",
                                      {{'T', rows}, {'H', columns}}));
    ASSERT_TRUE(kernel);
    auto x = randomBuffer(rows * columns, 1), w = randomBuffer(columns, 2);
    auto y = poisonedBuffer(rows * columns), scale = poisonedBuffer(rows);
    runInAllWays(*kernel, {x, w, y, scale}, y, scale);
    std::vector<double> expected, bounds, scales, scaleBounds;
    for (int64_t t = 0; t < rows; ++t) {
      double sum = 0;
      for (int64_t h = 0; h < columns; ++h)
        sum += double(x[t * columns + h]) * x[t * columns + h];
      scales.push_back(1 / std::sqrt(sum / columns + 1e-5));
      scaleBounds.push_back(bound(scales.back(), columns));
      for (int64_t h = 0; h < columns; ++h) {
        expected.push_back(x[t * columns + h] * scales.back() * w[h]);
        bounds.push_back(bound(std::abs(expected.back()), columns));
      }
    }
    expectWithin(y, expected, bounds, "y");
    expectWithin(scale, scales, scaleBounds, "scale");
  }
}

/// Maximum, sum of exponentials, logarithm, and a gather at a column that each row names.
TEST_P(RowsTest, CrossEntropy) {
  for (auto [rows, columns] : {std::pair(40, 256), std::pair(7, 19)}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @loss(%x: tensor<$Tx$Vxf32>, %target: tensor<$Txi32>) -> (tensor<$Txf32>, tensor<$Txf32>) {
        %low = arith.constant 0xFF800000 : f32
        %zero = arith.constant 0.0 : f32
        %e = tensor.empty() : tensor<$Txf32>
        %f0 = linalg.fill ins(%low : f32) outs(%e : tensor<$Txf32>) -> tensor<$Txf32>
        %max = linalg.generic {indexing_maps = [#ij, #rows], iterator_types = ["parallel", "reduction"]}
            ins(%x : tensor<$Tx$Vxf32>) outs(%f0 : tensor<$Txf32>) {
          ^bb0(%a: f32, %acc: f32):
            %r = arith.maximumf %acc, %a : f32
            linalg.yield %r : f32
        } -> tensor<$Txf32>
        %f1 = linalg.fill ins(%zero : f32) outs(%e : tensor<$Txf32>) -> tensor<$Txf32>
        %sum = linalg.generic {indexing_maps = [#ij, #rows, #rows], iterator_types = ["parallel", "reduction"]}
            ins(%x, %max : tensor<$Tx$Vxf32>, tensor<$Txf32>) outs(%f1 : tensor<$Txf32>) {
          ^bb0(%a: f32, %m: f32, %acc: f32):
            %d = arith.subf %a, %m : f32
            %p = math.exp %d : f32
            %r = arith.addf %acc, %p : f32
            linalg.yield %r : f32
        } -> tensor<$Txf32>
        %lse, %loss = linalg.generic {indexing_maps = [#i, #i, #i, #i, #i], iterator_types = ["parallel"]}
            ins(%max, %sum, %target : tensor<$Txf32>, tensor<$Txf32>, tensor<$Txi32>)
            outs(%e, %e : tensor<$Txf32>, tensor<$Txf32>) {
          ^bb0(%m: f32, %s: f32, %t: i32, %o0: f32, %o1: f32):
            %l = math.log %s : f32
            %r = arith.addf %m, %l : f32
            %row = linalg.index 0 : index
            %column = arith.index_cast %t : i32 to index
            %chosen = tensor.extract %x[%row, %column] : tensor<$Tx$Vxf32>
            %nll = arith.subf %r, %chosen : f32
            linalg.yield %r, %nll : f32, f32
        } -> (tensor<$Txf32>, tensor<$Txf32>)
        moe_kernel.return %lse, %loss : tensor<$Txf32>, tensor<$Txf32>
      })mlir",
                                      {{'T', rows}, {'V', columns}}));
    ASSERT_TRUE(kernel);
    auto x = randomBuffer(rows * columns, 1);
    for (float &value : x)
      value *= 20;
    Buffer<int32_t> target(rows);
    for (int64_t t = 0; t < rows; ++t)
      target[t] = (t * 7) % columns;
    auto lse = poisonedBuffer(rows), loss = poisonedBuffer(rows);
    runInAllWays(*kernel, {x, target, lse, loss}, lse, loss);
    std::vector<double> lses, losses, bounds;
    for (int64_t t = 0; t < rows; ++t) {
      double sum = 0;
      for (int64_t v = 0; v < columns; ++v)
        sum += std::exp(double(x[t * columns + v]));
      lses.push_back(std::log(sum));
      losses.push_back(lses.back() - x[t * columns + target[t]]);
      bounds.push_back(bound(20, 8)); // Rounding to the magnitude of the maximum dominates.
    }
    expectWithin(lse, lses, bounds, "lse");
    expectWithin(loss, losses, bounds, "loss");
  }
}

/// Rows gathered by index are read with vector loads; the weighted sum over a token's experts stays in registers.
TEST_P(RowsTest, Combine) {
  for (auto [tokens, columns] : {std::pair(50, 64), std::pair(9, 21)}) {
    constexpr int64_t kTopK = 3;
    auto kernel = compile(instantiate(R"mlir(
      #tkh = affine_map<(t, k, h) -> (t, k)>
      #th = affine_map<(t, k, h) -> (t, h)>
      moe_kernel.kernel @combine(%rows: tensor<$Rx$Hxf32>, %inverse: tensor<$Tx$Kxi32>, %weights: tensor<$Tx$Kxf32>)
          -> tensor<$Tx$Hxf32> {
        %zero = arith.constant 0.0 : f32
        %e = tensor.empty() : tensor<$Tx$Hxf32>
        %f = linalg.fill ins(%zero : f32) outs(%e : tensor<$Tx$Hxf32>) -> tensor<$Tx$Hxf32>
        %y = linalg.generic {indexing_maps = [#tkh, #tkh, #th], iterator_types = ["parallel", "reduction", "parallel"]}
            ins(%inverse, %weights : tensor<$Tx$Kxi32>, tensor<$Tx$Kxf32>) outs(%f : tensor<$Tx$Hxf32>) {
          ^bb0(%r: i32, %w: f32, %acc: f32):
            %row = arith.index_cast %r : i32 to index
            %column = linalg.index 2 : index
            %a = tensor.extract %rows[%row, %column] : tensor<$Rx$Hxf32>
            %m = arith.mulf %w, %a : f32
            %s = arith.addf %acc, %m : f32
            linalg.yield %s : f32
        } -> tensor<$Tx$Hxf32>
        moe_kernel.return %y : tensor<$Tx$Hxf32>
      })mlir",
                                      {{'T', tokens}, {'H', columns}, {'K', kTopK}, {'R', tokens * kTopK}}));
    ASSERT_TRUE(kernel);
    auto rows = randomBuffer(tokens * kTopK * columns, 1), weights = randomBuffer(tokens * kTopK, 2);
    Buffer<int32_t> inverse(tokens * kTopK);
    for (int64_t i = 0; i < tokens * kTopK; ++i)
      inverse[i] = (i * 11) % (tokens * kTopK);
    auto y = poisonedBuffer(tokens * columns);
    runInAllWays(*kernel, {rows, inverse, weights, y}, y);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < columns; ++h) {
        float sum = 0;
        for (int64_t k = 0; k < kTopK; ++k)
          sum = std::fma(weights[t * kTopK + k], rows[inverse[t * kTopK + k] * columns + h], sum);
        EXPECT_EQ(y[t * columns + h], sum) << t << ", " << h;
      }
  }
}

/// A dot product for each token and expert: the columns are the reduction, inside two parallel loops.
TEST_P(RowsTest, RoutedDot) {
  for (int64_t columns : {128, 30, 5}) {
    constexpr int64_t kTokens = 11, kTopK = 2;
    auto kernel = compile(instantiate(R"mlir(
      #tk = affine_map<(t, k, h) -> (t, k)>
      #th = affine_map<(t, k, h) -> (t, h)>
      moe_kernel.kernel @dot(%rows: tensor<$Rx$Hxf32>, %tokens: tensor<$Tx$Hxf32>, %inverse: tensor<$Tx$Kxi32>)
          -> tensor<$Tx$Kxf32> {
        %zero = arith.constant 0.0 : f32
        %e = tensor.empty() : tensor<$Tx$Kxf32>
        %f = linalg.fill ins(%zero : f32) outs(%e : tensor<$Tx$Kxf32>) -> tensor<$Tx$Kxf32>
        %y = linalg.generic {indexing_maps = [#th, #tk, #tk], iterator_types = ["parallel", "parallel", "reduction"]}
            ins(%tokens, %inverse : tensor<$Tx$Hxf32>, tensor<$Tx$Kxi32>) outs(%f : tensor<$Tx$Kxf32>) {
          ^bb0(%a: f32, %r: i32, %acc: f32):
            %row = arith.index_cast %r : i32 to index
            %column = linalg.index 2 : index
            %b = tensor.extract %rows[%row, %column] : tensor<$Rx$Hxf32>
            %m = arith.mulf %a, %b : f32
            %s = arith.addf %acc, %m : f32
            linalg.yield %s : f32
        } -> tensor<$Tx$Kxf32>
        moe_kernel.return %y : tensor<$Tx$Kxf32>
      })mlir",
                                      {{'T', kTokens}, {'H', columns}, {'K', kTopK}, {'R', kTokens * kTopK}}));
    ASSERT_TRUE(kernel);
    auto rows = randomBuffer(kTokens * kTopK * columns, 1), tokens = randomBuffer(kTokens * columns, 2);
    Buffer<int32_t> inverse(kTokens * kTopK);
    for (int64_t i = 0; i < kTokens * kTopK; ++i)
      inverse[i] = (i * 5) % (kTokens * kTopK);
    auto y = poisonedBuffer(kTokens * kTopK);
    runInAllWays(*kernel, {rows, tokens, inverse, y}, y);
    std::vector<double> expected, bounds;
    for (int64_t i = 0; i < kTokens * kTopK; ++i) {
      double sum = 0;
      for (int64_t h = 0; h < columns; ++h)
        sum += double(tokens[i / kTopK * columns + h]) * rows[inverse[i] * columns + h];
      expected.push_back(sum);
      bounds.push_back(bound(columns, columns));
    }
    expectWithin(y, expected, bounds, "y");
  }
}

/// Halves of heads: indices that count up, wrap around and choose, and a second op that reads the first one's row.
TEST_P(RowsTest, RopeOfScaledHeads) {
  constexpr int64_t kTokens = 6, kHeads = 3;
  for (int64_t half : {16, 6}) {
    auto kernel = compile(instantiate(R"mlir(
      #all = affine_map<(t, h, p, d) -> (t, h, p, d)>
      #angle = affine_map<(t, h, p, d) -> (t, d)>
      moe_kernel.kernel @rope(%x: tensor<$Tx$Cxf32>, %cos: tensor<$Tx$Dxf32>, %sin: tensor<$Tx$Dxf32>)
          -> tensor<$Tx$Cxf32> {
        %e0 = tensor.empty() : tensor<$Tx$Cxf32>
        %scaled = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
            ins(%x : tensor<$Tx$Cxf32>) outs(%e0 : tensor<$Tx$Cxf32>) {
          ^bb0(%a: f32, %o: f32):
            %two = arith.constant 2.0 : f32
            %r = arith.mulf %a, %two : f32
            linalg.yield %r : f32
        } -> tensor<$Tx$Cxf32>
        %heads = tensor.expand_shape %scaled [[0], [1, 2, 3]] output_shape [$T, $H, 2, $D]
            : tensor<$Tx$Cxf32> into tensor<$Tx$Hx2x$Dxf32>
        %e = tensor.empty() : tensor<$Tx$Hx2x$Dxf32>
        %y = linalg.generic {indexing_maps = [#all, #angle, #angle, #all],
                             iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
            ins(%heads, %cos, %sin : tensor<$Tx$Hx2x$Dxf32>, tensor<$Tx$Dxf32>, tensor<$Tx$Dxf32>)
            outs(%e : tensor<$Tx$Hx2x$Dxf32>) {
          ^bb0(%a: f32, %c: f32, %s: f32, %o: f32):
            %t = linalg.index 0 : index
            %h = linalg.index 1 : index
            %part = linalg.index 2 : index
            %d = linalg.index 3 : index
            %one = arith.constant 1 : index
            %zero = arith.constant 0 : index
            %other = arith.subi %one, %part : index
            %b = tensor.extract %heads[%t, %h, %other, %d] : tensor<$Tx$Hx2x$Dxf32>
            %first = arith.cmpi eq, %part, %zero : index
            %minus = arith.negf %s : f32
            %sign = arith.select %first, %minus, %s : f32
            %m0 = arith.mulf %a, %c : f32
            %m1 = arith.mulf %b, %sign : f32
            %r = arith.addf %m0, %m1 : f32
            linalg.yield %r : f32
        } -> tensor<$Tx$Hx2x$Dxf32>
        %flat = tensor.collapse_shape %y [[0], [1, 2, 3]] : tensor<$Tx$Hx2x$Dxf32> into tensor<$Tx$Cxf32>
        moe_kernel.return %flat : tensor<$Tx$Cxf32>
      })mlir",
                                      {{'T', kTokens}, {'H', kHeads}, {'D', half}, {'C', kHeads * 2 * half}}));
    ASSERT_TRUE(kernel);
    int64_t columns = kHeads * 2 * half;
    auto x = randomBuffer(kTokens * columns, 1), cos = randomBuffer(kTokens * half, 2);
    auto sin = randomBuffer(kTokens * half, 3), y = poisonedBuffer(kTokens * columns);
    runInAllWays(*kernel, {x, cos, sin, y}, y);
    std::vector<double> expected, bounds;
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t c = 0; c < columns; ++c) {
        int64_t d = c % half, isSecond = c / half % 2;
        double a = 2 * x[t * columns + c], b = 2 * x[t * columns + (isSecond ? c - half : c + half)];
        expected.push_back(a * cos[t * half + d] + b * (isSecond ? 1 : -1) * sin[t * half + d]);
        bounds.push_back(bound(4));
      }
    expectWithin(y, expected, bounds, "y");
  }
}

/// Angles in double precision from a table in the kernel; two results of one op; half as many lanes.
TEST_P(RowsTest, RopeTable) {
  constexpr int64_t kTokens = 33;
  auto kernel = compile(instantiate(R"mlir(
    moe_kernel.kernel @table(%positions: tensor<$Txi32>) -> (tensor<$Tx5xf32>, tensor<$Tx5xf32>) {
      %frequencies = arith.constant dense<[1.0, 0.5, 0.25, 0.1, 0.001]> : tensor<5xf64>
      %e = tensor.empty() : tensor<$Tx5xf32>
      %cos, %sin = linalg.generic {indexing_maps = [#rows, #cols, #ij, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%positions, %frequencies : tensor<$Txi32>, tensor<5xf64>) outs(%e, %e : tensor<$Tx5xf32>, tensor<$Tx5xf32>) {
        ^bb0(%p: i32, %f: f64, %o0: f32, %o1: f32):
          %x = arith.sitofp %p : i32 to f64
          %angle = arith.mulf %x, %f : f64
          %c = math.cos %angle : f64
          %s = math.sin %angle : f64
          %c32 = arith.truncf %c : f64 to f32
          %s32 = arith.truncf %s : f64 to f32
          linalg.yield %c32, %s32 : f32, f32
      } -> (tensor<$Tx5xf32>, tensor<$Tx5xf32>)
      moe_kernel.return %cos, %sin : tensor<$Tx5xf32>, tensor<$Tx5xf32>
    })mlir",
                                    {{'T', kTokens}}));
  ASSERT_TRUE(kernel);
  Buffer<int32_t> positions(kTokens);
  for (int64_t t = 0; t < kTokens; ++t)
    positions[t] = t * 3001;
  auto cos = poisonedBuffer(kTokens * 5), sin = poisonedBuffer(kTokens * 5);
  runInAllWays(*kernel, {positions, cos, sin}, cos, sin);
  const double frequencies[] = {1.0, 0.5, 0.25, 0.1, 0.001};
  for (int64_t i = 0; i < kTokens * 5; ++i) {
    double angle = positions[i / 5] * frequencies[i % 5];
    EXPECT_EQ(cos[i], float(std::cos(angle))) << angle;
    EXPECT_EQ(sin[i], float(std::sin(angle))) << angle;
  }
}

/// Sums over rows: a grid of column blocks. The unit row loop is how a reduction of everything is written.
TEST_P(RowsTest, ColumnSums) {
  for (auto [rows, columns] : {std::pair(32, 128), std::pair(7, 45), std::pair(100, 3)}) {
    auto kernel = compile(instantiate(R"mlir(
      #all = affine_map<(u, t, h) -> (u, t, h)>
      #result = affine_map<(u, t, h) -> (u, h)>
      moe_kernel.kernel @sum(%x: tensor<$Tx$Hxf32>) -> tensor<$Hxf32> {
        %zero = arith.constant 0.0 : f32
        %x3 = tensor.expand_shape %x [[0, 1], [2]] output_shape [1, $T, $H] : tensor<$Tx$Hxf32> into tensor<1x$Tx$Hxf32>
        %e = tensor.empty() : tensor<1x$Hxf32>
        %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x$Hxf32>) -> tensor<1x$Hxf32>
        %s = linalg.generic {indexing_maps = [#all, #result], iterator_types = ["parallel", "reduction", "parallel"]}
            ins(%x3 : tensor<1x$Tx$Hxf32>) outs(%f : tensor<1x$Hxf32>) {
          ^bb0(%a: f32, %acc: f32):
            %r = arith.addf %acc, %a : f32
            linalg.yield %r : f32
        } -> tensor<1x$Hxf32>
        %y = tensor.collapse_shape %s [[0, 1]] : tensor<1x$Hxf32> into tensor<$Hxf32>
        moe_kernel.return %y : tensor<$Hxf32>
      })mlir",
                                      {{'T', rows}, {'H', columns}}));
    ASSERT_TRUE(kernel);
    auto x = randomBuffer(rows * columns, 1), y = poisonedBuffer(columns);
    runInAllWays(*kernel, {x, y}, y);
    for (int64_t h = 0; h < columns; ++h) {
      float sum = 0, magnitude = 0;
      for (int64_t t = 0; t < rows; ++t) {
        sum += x[t * columns + h];
        magnitude += std::abs(x[t * columns + h]);
      }
      // On a GPU several threads share a sum.
      EXPECT_NEAR(y[h], sum, kernel->code.isForCuda() ? 2 * bound(magnitude, rows) : 0) << h;
    }
  }
}

/// A reduction to a scalar, and an op on the scalar: one row, one item.
TEST_P(RowsTest, SumOfVector) {
  for (int64_t n : {1, 5, 16, 67, 1000}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @norm(%x: tensor<$Nxf32>) -> (tensor<f32>, tensor<1xi32>) {
        %zero = arith.constant 0.0 : f32
        %zero_i = arith.constant 0 : i32
        %row = tensor.expand_shape %x [[0, 1]] output_shape [1, $N] : tensor<$Nxf32> into tensor<1x$Nxf32>
        %e = tensor.empty() : tensor<1xf32>
        %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1xf32>) -> tensor<1xf32>
        %ei = tensor.empty() : tensor<1xi32>
        %fi = linalg.fill ins(%zero_i : i32) outs(%ei : tensor<1xi32>) -> tensor<1xi32>
        %s, %count = linalg.generic {indexing_maps = [#ij, #rows, #rows], iterator_types = ["parallel", "reduction"]}
            ins(%row : tensor<1x$Nxf32>) outs(%f, %fi : tensor<1xf32>, tensor<1xi32>) {
          ^bb0(%a: f32, %acc: f32, %n: i32):
            %r = arith.addf %acc, %a : f32
            %positive = arith.cmpf ogt, %a, %zero : f32
            %one = arith.extui %positive : i1 to i32
            %m = arith.addi %n, %one : i32
            linalg.yield %r, %m : f32, i32
        } -> (tensor<1xf32>, tensor<1xi32>)
        %root = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
            ins(%s : tensor<1xf32>) outs(%e : tensor<1xf32>) {
          ^bb0(%a: f32, %o: f32):
            %p = math.absf %a : f32
            %r = math.sqrt %p : f32
            linalg.yield %r : f32
        } -> tensor<1xf32>
        %scalar = tensor.collapse_shape %root [] : tensor<1xf32> into tensor<f32>
        moe_kernel.return %scalar, %count : tensor<f32>, tensor<1xi32>
      })mlir",
                                      {{'N', n}}));
    ASSERT_TRUE(kernel);
    if (!kernel->code.isForCuda())
      EXPECT_EQ(kernel->items, 1);
    auto x = randomBuffer(n, 1), y = poisonedBuffer(1);
    Buffer<int32_t> count(1, -1);
    runInAllWays(*kernel, {x, y, count}, y, count);
    double sum = std::accumulate(x.begin(), x.end(), 0.0);
    EXPECT_NEAR(double(y[0]) * y[0], std::abs(sum), bound(n, n)) << n;
    EXPECT_EQ(count[0], std::ranges::count_if(x, [](float a) { return a > 0; })) << n;
  }
}

/// In place, several results, scalars: the optimizer's form.
TEST_P(RowsTest, MomentumInPlace) {
  for (int64_t n : {1 << 20, 1000, 3}) {
    auto kernel = compile(instantiate(R"mlir(
      moe_kernel.kernel @update(%p: tensor<$Nxf32> {moe_kernel.tied = 0 : i64}, %g: tensor<$Nxf32>,
                                %m: tensor<$Nxf32> {moe_kernel.tied = 1 : i64}, %rate: tensor<f32>)
          -> (tensor<$Nxf32>, tensor<$Nxf32>) {
        %e = tensor.empty() : tensor<$Nxf32>
        %p1, %m1 = linalg.generic {indexing_maps = [#i, #i, #i, #none1, #i, #i], iterator_types = ["parallel"]}
            ins(%p, %g, %m, %rate : tensor<$Nxf32>, tensor<$Nxf32>, tensor<$Nxf32>, tensor<f32>)
            outs(%e, %e : tensor<$Nxf32>, tensor<$Nxf32>) {
          ^bb0(%a: f32, %b: f32, %c: f32, %r: f32, %o0: f32, %o1: f32):
            %decay = arith.constant 0.75 : f32
            %d = arith.mulf %c, %decay : f32
            %v = arith.addf %d, %b : f32
            %step = arith.mulf %v, %r : f32
            %q = arith.subf %a, %step : f32
            linalg.yield %q, %v : f32, f32
        } -> (tensor<$Nxf32>, tensor<$Nxf32>)
        moe_kernel.return %p1, %m1 : tensor<$Nxf32>, tensor<$Nxf32>
      })mlir",
                                      {{'N', n}}));
    ASSERT_TRUE(kernel);
    EXPECT_EQ(kernel->scratchBytes, 0);
    auto p = randomBuffer(n, 1), g = randomBuffer(n, 2), m = randomBuffer(n, 3);
    Buffer<float> rate(1, 0.01f);
    std::vector<float> p0 = p.values(), m0 = m.values();
    kernel->runInPieces({p, g, m, rate, p, m}, 2);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      float v = std::fma(m0[i], 0.75f, g[i]);
      wrong += m[i] != v || p[i] != std::fma(-v, 0.01f, p0[i]);
    }
    EXPECT_EQ(wrong, 0) << "of " << n;
  }
}

/// Integers, differences of neighbours by shifted indices, and an index as a value.
TEST_P(RowsTest, LoadOfExperts) {
  auto kernel = compile(R"mlir(
    moe_kernel.kernel @load(%offsets: tensor<12xi32>) -> (tensor<11xi32>, tensor<11xi32>) {
      %e = tensor.empty() : tensor<11xi32>
      %y, %odd = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
          outs(%e, %e : tensor<11xi32>, tensor<11xi32>) {
        ^bb0(%o0: i32, %o1: i32):
          %i = linalg.index 0 : index
          %one = arith.constant 1 : index
          %two = arith.constant 2 : index
          %next = arith.addi %i, %one : index
          %a = tensor.extract %offsets[%i] : tensor<12xi32>
          %b = tensor.extract %offsets[%next] : tensor<12xi32>
          %d = arith.subi %b, %a : i32
          %r = arith.remui %i, %two : index
          %c = arith.index_cast %r : index to i32
          linalg.yield %d, %c : i32, i32
      } -> (tensor<11xi32>, tensor<11xi32>)
      moe_kernel.return %y, %odd : tensor<11xi32>, tensor<11xi32>
    })mlir");
  ASSERT_TRUE(kernel);
  Buffer<int32_t> offsets(12), y(11, -1), odd(11, -1);
  for (int i = 0; i < 12; ++i)
    offsets[i] = i * i;
  runInAllWays(*kernel, {offsets, y, odd}, y, odd);
  for (int i = 0; i < 11; ++i) {
    EXPECT_EQ(y[i], 2 * i + 1);
    EXPECT_EQ(odd[i], i % 2);
  }
}

/// Lanes that read here and there: a permutation of the columns, by a table and by arithmetic.
TEST_P(RowsTest, GatheredColumns) {
  constexpr int64_t kRows = 5, kColumns = 23;
  auto kernel = compile(instantiate(R"mlir(
    moe_kernel.kernel @permute(%x: tensor<$Tx$Hxf32>, %order: tensor<$Hxi32>) -> (tensor<$Tx$Hxf32>, tensor<$Tx$Hxf32>) {
      %e = tensor.empty() : tensor<$Tx$Hxf32>
      %y, %z = linalg.generic {indexing_maps = [#cols, #ij, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%order : tensor<$Hxi32>) outs(%e, %e : tensor<$Tx$Hxf32>, tensor<$Tx$Hxf32>) {
        ^bb0(%c: i32, %o0: f32, %o1: f32):
          %row = linalg.index 0 : index
          %column = linalg.index 1 : index
          %last = arith.constant 22 : index
          %from = arith.index_cast %c : i32 to index
          %a = tensor.extract %x[%row, %from] : tensor<$Tx$Hxf32>
          %mirrored = arith.subi %last, %column : index
          %b = tensor.extract %x[%row, %mirrored] : tensor<$Tx$Hxf32>
          linalg.yield %a, %b : f32, f32
      } -> (tensor<$Tx$Hxf32>, tensor<$Tx$Hxf32>)
      moe_kernel.return %y, %z : tensor<$Tx$Hxf32>, tensor<$Tx$Hxf32>
    })mlir",
                                    {{'T', kRows}, {'H', kColumns}}));
  ASSERT_TRUE(kernel);
  auto x = randomBuffer(kRows * kColumns, 1);
  Buffer<int32_t> order(kColumns);
  for (int64_t i = 0; i < kColumns; ++i)
    order[i] = (i * 5) % kColumns;
  auto y = poisonedBuffer(kRows * kColumns), z = poisonedBuffer(kRows * kColumns);
  runInAllWays(*kernel, {x, order, y, z}, y, z);
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t h = 0; h < kColumns; ++h) {
      EXPECT_EQ(y[t * kColumns + h], x[t * kColumns + order[h]]);
      EXPECT_EQ(z[t * kColumns + h], x[t * kColumns + 22 - h]);
    }
}

/// An op that reads other rows than it computes makes the kernel one item, with whole tensors between its ops.
TEST_P(RowsTest, OtherRows) {
  auto kernel = compile(R"mlir(
    #transposed = affine_map<(i, j) -> (j, i)>
    moe_kernel.kernel @twice(%x: tensor<17x17xf32>) -> tensor<17x17xf32> {
      %e = tensor.empty() : tensor<17x17xf32>
      %a = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%x : tensor<17x17xf32>) outs(%e : tensor<17x17xf32>) {
        ^bb0(%v: f32, %o: f32):
          %r = arith.addf %v, %v : f32
          linalg.yield %r : f32
      } -> tensor<17x17xf32>
      %y = linalg.generic {indexing_maps = [#transposed, #ij], iterator_types = ["parallel", "parallel"]}
          ins(%a : tensor<17x17xf32>) outs(%e : tensor<17x17xf32>) {
        ^bb0(%v: f32, %o: f32):
          linalg.yield %v : f32
      } -> tensor<17x17xf32>
      moe_kernel.return %y : tensor<17x17xf32>
    })mlir");
  ASSERT_TRUE(kernel);
  if (!kernel->code.isForCuda()) {
    EXPECT_EQ(kernel->items, 1);
    EXPECT_EQ(kernel->scratchBytes, 17 * 17 * 4 + 60); // Rounded up to 64 bytes.
  }
  auto x = randomBuffer(17 * 17, 1), y = poisonedBuffer(17 * 17);
  runInAllWays(*kernel, {x, y}, y);
  for (int i = 0; i < 17; ++i)
    for (int j = 0; j < 17; ++j)
      EXPECT_EQ(y[i * 17 + j], 2 * x[j * 17 + i]);
}

/// A reduction that is not one op on the partial result is done in order, one element at a time.
TEST_P(RowsTest, HornerIsSequential) {
  auto kernel = compile(R"mlir(
    moe_kernel.kernel @horner(%x: tensor<3x21xf32>) -> tensor<3xf32> {
      %zero = arith.constant 1.0 : f32
      %e = tensor.empty() : tensor<3xf32>
      %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3xf32>) -> tensor<3xf32>
      %y = linalg.generic {indexing_maps = [#ij, #rows], iterator_types = ["parallel", "reduction"]}
          ins(%x : tensor<3x21xf32>) outs(%f : tensor<3xf32>) {
        ^bb0(%a: f32, %acc: f32):
          %half = arith.constant 0.5 : f32
          %m = arith.mulf %acc, %half : f32
          %r = arith.addf %m, %a : f32
          linalg.yield %r : f32
      } -> tensor<3xf32>
      moe_kernel.return %y : tensor<3xf32>
    })mlir");
  ASSERT_TRUE(kernel);
  auto x = randomBuffer(3 * 21, 1), y = poisonedBuffer(3);
  runInAllWays(*kernel, {x, y}, y);
  for (int t = 0; t < 3; ++t) {
    float sum = 1;
    for (int j = 0; j < 21; ++j)
      sum = std::fma(sum, 0.5f, x[t * 21 + j]);
    EXPECT_EQ(y[t], sum);
  }
}
