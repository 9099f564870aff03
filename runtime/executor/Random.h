//===- Random.h - Counter-based random numbers ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Philox4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): a bijection
/// of 128-bit counters under a 64-bit key. There is no state: the value for (seed, stream, index) is a pure function of
/// the three, so it depends neither on the order in which values are drawn, nor on threads, nor on ranks.
///
///   key     = seed
///   counter = (index, stream)         e.g. stream = streamOf("model.embed_tokens.weight")
///
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_EXECUTOR_RANDOM_H
#define MOE_RUNTIME_EXECUTOR_RANDOM_H

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

namespace moe::random {

using Block = std::array<std::uint32_t, 4>;

/// Ten rounds, with the constants of the paper (section 3.3, table 2).
constexpr Block philox4x32(Block counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// 128 random bits.
constexpr std::array<std::uint64_t, 2> bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
  auto high = [](std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); };
  const Block block = philox4x32({low(index), high(index), low(stream), high(stream)}, {low(seed), high(seed)});
  return {block[0] | std::uint64_t{block[1]} << 32, block[2] | std::uint64_t{block[3]} << 32};
}

/// The upper 53 of 64 random bits as a multiple of 2^-53 in [0, 1).
constexpr double toUnit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

/// Uniform in [0, 1).
constexpr double uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return toUnit(bits(seed, stream, index)[0]);
}

/// Two independent draws from N(0, 1) by Box and Muller (1958): elements 2 * pair and 2 * pair + 1 of a tensor.
inline std::pair<double, double> normalPair(std::uint64_t seed, std::uint64_t stream, std::uint64_t pair) {
  const auto [first, second] = bits(seed, stream, pair);
  // 1 - u is in (0, 1], where the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - toUnit(first)));
  const double angle = 2.0 * 3.14159265358979323846 * toUnit(second);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// The stream of a name: its xxh64 with seed 0.
std::uint64_t streamOf(std::string_view name);

} // namespace moe::random

#endif // MOE_RUNTIME_EXECUTOR_RANDOM_H
