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
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace moe::test {

/// Half the distance from 1 to the next float32: the relative error of one operation.
inline constexpr double kEpsilon = 0x1p-24;

/// A kernel's text with $T, $H, ... replaced by numbers.
inline std::string instantiate(std::string text, std::initializer_list<std::pair<char, int64_t>> sizes) {
  for (auto [name, size] : sizes) {
    std::string from = std::string("$") + name;
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
      text.replace(at, from.size(), std::to_string(size));
  }
  return text;
}

/// The relative error of one addition by tensor cores, which drop the bits below those of the largest term instead of
/// rounding (Fasi et al., "Numerical behavior of NVIDIA tensor cores", 2021). Products of bf16 are exact.
inline constexpr double kTensorCoreEpsilon = 0x1p-22;

/// A number as bf16 tensors hold it: the upper half of a float32, rounded to nearest even.
class BFloat16 {
public:
  BFloat16() = default;
  BFloat16(float value) {
    uint32_t whole = std::bit_cast<uint32_t>(value);
    bits = std::isnan(value) ? 0x7fc0 : (whole + 0x7fff + (whole >> 16 & 1)) >> 16;
  }
  operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }

private:
  uint16_t bits = 0;
};

/// How MLIR spells T, and the relative error of storing a number as T beyond that of float32 arithmetic: half a unit in
/// the last of 8 places.
template <typename T> inline constexpr const char *kTypeName = "f32";
template <> inline constexpr const char *kTypeName<BFloat16> = "bf16";
template <typename T> inline constexpr double kStorageEpsilon = 0;
template <> inline constexpr double kStorageEpsilon<BFloat16> = 0x1p-8;

/// `count` numbers uniform in [−1, 1), the same for the same seed.
template <typename T = float> Buffer<T> randomBuffer(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  Buffer<T> buffer(count);
  for (T &value : buffer)
    value = 2.0f * (generator() >> 8) * 0x1p-24f - 1.0f;
  return buffer;
}

/// A result before a launch: reading it or leaving some of it shows.
template <typename T = float> Buffer<T> poisonedBuffer(size_t count) {
  return Buffer<T>(count, std::numeric_limits<float>::quiet_NaN());
}

/// The largest error, in units of the bound of its element; expects it to be at most 1. `bound` is that of float32
/// arithmetic; rounding to T comes on top.
template <typename T>
void expectWithin(const Buffer<T> &actual, const std::vector<double> &expected, const std::vector<double> &bound,
                  const char *what) {
  size_t worst = 0;
  double worstRatio = 0;
  auto limit = [&](size_t i) { return bound[i] + kStorageEpsilon<T> * (std::abs(expected[i]) + bound[i]); };
  for (size_t i = 0; i < expected.size(); ++i) {
    double ratio = std::abs(actual[i] - expected[i]) / limit(i);
    if (!(ratio <= worstRatio)) {
      worst = i;
      worstRatio = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
    }
  }
  EXPECT_LE(worstRatio, 1.0) << what << "[" << worst << "] is " << actual[worst] << ", expected " << expected[worst]
                             << " within " << limit(worst);
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
