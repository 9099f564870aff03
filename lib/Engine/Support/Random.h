//===- Random.h - Counter-based randomness ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_SUPPORT_RANDOM_H
#define LIB_ENGINE_SUPPORT_RANDOM_H

#include <cstdint>

namespace moe::engine {

/// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): a
/// bijection of 64-bit words whose output bits each depend on all input bits.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// 64 random bits that depend on nothing but the arguments: nothing to save, nothing to restore.
constexpr std::uint64_t randomBits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return mix64(mix64(mix64(seed) ^ stream) ^ counter);
}

/// Uniform in [0, 1), a multiple of 2^-53.
constexpr double randomUniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return static_cast<double>(randomBits(seed, stream, counter) >> 11) * 0x1p-53;
}

/// Uniform in [0, bound), bound > 0. The bias is below bound / 2^64.
constexpr std::uint64_t randomBelow(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter,
                                    std::uint64_t bound) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(randomBits(seed, stream, counter)) * bound) >> 64);
}

/// Where `index` goes in a random permutation of [0, size): a four-round Feistel network over the next power of four,
/// walked until it lands inside. Needs no table, so that any element of an epoch is found in constant time.
constexpr std::uint64_t permute(std::uint64_t seed, std::uint64_t stream, std::uint64_t index, std::uint64_t size) {
  int half = 1;
  while (half < 32 && (std::uint64_t(1) << (2 * half)) < size)
    ++half;
  const std::uint64_t mask = (std::uint64_t(1) << half) - 1;
  do {
    std::uint64_t left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      std::uint64_t next = left ^ (randomBits(seed, stream * 4 + round, right) & mask);
      left = right;
      right = next;
    }
    index = left << half | right;
  } while (index >= size);
  return index;
}

} // namespace moe::engine

#endif // LIB_ENGINE_SUPPORT_RANDOM_H
