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
#include <vector>

namespace moe::test {

/// Half the distance from 1 to the next float32: the relative error of one operation.
inline constexpr double kEpsilon = 0x1p-24;
/// The same for bf16, which has 8 bits of precision: the relative error of storing a number.
inline constexpr double kBFloat16Epsilon = 0x1p-8;
/// Of one addition by tensor cores, which drop the bits below those of the largest term instead of rounding (Fasi et al.,
/// "Numerical behavior of NVIDIA tensor cores", 2021): less than 2^-22 of it. Products of bf16 are exact.
inline constexpr double kTensorCoreEpsilon = 0x1p-22;

/// `count` numbers uniform in [−1, 1), the same for the same seed.
inline Buffer<float> randomBuffer(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  Buffer<float> buffer(count);
  for (float &value : buffer)
    value = 2.0f * (generator() >> 8) * 0x1p-24f - 1.0f;
  return buffer;
}

/// Floats as a kernel gets them: float32, or bf16, to which numbers are rounded to nearest even.
class FloatBuffer {
public:
  FloatBuffer(const Buffer<float> &numbers, bool isBFloat16)
      : isBFloat16(isBFloat16), bytes((numbers.end() - numbers.begin()) * (isBFloat16 ? 2 : 4)), memory(bytes) {
    if (!isBFloat16) {
      std::memcpy(memory.data(), numbers.begin(), bytes);
      return;
    }
    uint16_t *target = static_cast<uint16_t *>(memory.data());
    for (float number : numbers) {
      uint32_t bits = std::bit_cast<uint32_t>(number);
      *target++ = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    }
  }

  float operator[](size_t i) const {
    if (!isBFloat16)
      return static_cast<const float *>(memory.data())[i];
    return std::bit_cast<float>(uint32_t(static_cast<const uint16_t *>(memory.data())[i]) << 16);
  }
  std::byte *begin() const { return static_cast<std::byte *>(memory.data()); }
  std::byte *end() const { return begin() + bytes; }
  std::vector<std::byte> values() const { return {begin(), end()}; }
  bool isIntact() const { return memory.isIntact(); }
  operator KernelBuffer() const { return {memory.data(), bytes}; }

private:
  bool isBFloat16;
  size_t bytes;
  KernelMemory memory;
};

/// A result before a launch: reading it or leaving some of it shows.
inline Buffer<float> poisonedBuffer(size_t count) {
  return Buffer<float>(count, std::numeric_limits<float>::quiet_NaN());
}

/// The largest error, in units of the bound of its element; expects it to be at most 1.
template <typename Floats>
void expectWithin(const Floats &actual, const std::vector<double> &expected,
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
