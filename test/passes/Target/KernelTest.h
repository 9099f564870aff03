//===- KernelTest.h - What tests of structured kernels share ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_PASSES_TARGET_KERNELTEST_H
#define TEST_PASSES_TARGET_KERNELTEST_H

#include "CompiledKernel.h"

#include "gtest/gtest.h"
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace moe::test {

/// Half the distance from 1 to the next float32: the relative error of one operation.
inline constexpr double kEpsilon = 0x1p-24;

/// `count` numbers uniform in [−1, 1), the same for the same seed.
inline Buffer<float> randomBuffer(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  Buffer<float> buffer(count);
  for (float &value : buffer)
    value = 2.0f * (generator() >> 8) * 0x1p-24f - 1.0f;
  return buffer;
}

/// A result before a launch: reading it or leaving some of it shows.
inline Buffer<float> poisonedBuffer(size_t count) {
  return Buffer<float>(count, std::numeric_limits<float>::quiet_NaN());
}

/// The largest error, in units of the bound of its element; expects it to be at most 1.
inline void expectWithin(const Buffer<float> &actual, const std::vector<double> &expected,
                         const std::vector<double> &bound, const char *what) {
  size_t worst = 0;
  double worstRatio = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    double ratio = std::abs(actual[i] - expected[i]) / bound[i];
    if (!(ratio <= worstRatio)) {
      worst = i;
      worstRatio = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
    }
  }
  EXPECT_LE(worstRatio, 1.0) << what << "[" << worst << "] is " << actual[worst] << ", expected " << expected[worst]
                             << " within " << bound[worst];
  EXPECT_TRUE(actual.isIntact()) << "wrote past the end of " << what;
}

/// Runs `kernel` in one call, then in calls of one and of three items, last items first: expects the same bits.
/// `results` are those of `buffers` that are written.
template <typename... Results>
void runInAllWays(const CompiledKernel &kernel, const KernelBuffers &buffers, Results &...results) {
  kernel.run(buffers);
  for (int64_t itemsPerCall : {1, 3}) {
    auto before = std::make_tuple(results.values()...);
    (std::fill(reinterpret_cast<std::byte *>(results.begin()), reinterpret_cast<std::byte *>(results.end()),
               std::byte{0xff}),
     ...);
    kernel.runInPieces(buffers, itemsPerCall);
    auto same = [](const auto &buffer, const auto &values) {
      return std::memcmp(buffer.begin(), values.data(), values.size() * sizeof(values[0])) == 0;
    };
    bool allSame = std::apply([&](const auto &...values) { return (same(results, values) && ...); }, before);
    EXPECT_TRUE(allSame) << "bits depend on the split into calls of " << itemsPerCall << " items";
  }
}

} // namespace moe::test

#endif // TEST_PASSES_TARGET_KERNELTEST_H
