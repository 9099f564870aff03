//===- Permutation.cpp - A random order without a table -------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Engine/Data/Permutation.h"

#include "runtime/executor/Random.h"

namespace moe::engine {

/// Four rounds of a Feistel network make a pseudorandom permutation out of a pseudorandom function (Luby, Rackoff
/// 1988).
static constexpr std::uint64_t kRounds = 4;

std::uint64_t permuted(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index, std::uint64_t size) {
  static const std::uint64_t stream = random::streamOf("engine/window-order");
  int half = 1;
  while (half < 32 && (std::uint64_t(1) << (2 * half)) < size)
    ++half;
  const std::uint64_t mask = (std::uint64_t(1) << half) - 1;
  // The network permutes a power of four that is below 4·size. Walking on from outside until inside permutes the rest.
  do {
    std::uint64_t left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t mixed = left ^ (random::bits(seed, stream + epoch * kRounds + round, right)[0] & mask);
      left = right;
      right = mixed;
    }
    index = left << half | right;
  } while (index >= size);
  return index;
}

} // namespace moe::engine
