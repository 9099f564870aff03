//===- RowsTest.cpp - Rows kernels against plain loops ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CompiledKernel.h"

#include "gtest/gtest.h"

using namespace moe::test;

TEST(RowsTest, Scale) {
  auto kernel = CompiledKernel::compile(R"mlir(
    #id = affine_map<(i, j) -> (i, j)>
    moe_kernel.kernel @scale(%x: tensor<7x37xf32>) -> tensor<7x37xf32> {
      %empty = tensor.empty() : tensor<7x37xf32>
      %two = arith.constant 2.0 : f32
      %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%x : tensor<7x37xf32>) outs(%empty : tensor<7x37xf32>) {
        ^bb0(%a: f32, %unused: f32):
          %b = arith.mulf %a, %two : f32
          linalg.yield %b : f32
      } -> tensor<7x37xf32>
      moe_kernel.return %y : tensor<7x37xf32>
    })mlir");
  ASSERT_TRUE(kernel);
  Buffer<float> x(7 * 37), y(7 * 37);
  for (int i = 0; i < 7 * 37; ++i)
    x[i] = i;
  kernel->run({x, y});
  for (int i = 0; i < 7 * 37; ++i)
    EXPECT_EQ(y[i], 2.0f * i) << i;
  EXPECT_TRUE(y.isIntact());
}
