//===- Permutation.h - A random order without a table -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_DATA_PERMUTATION_H
#define LIB_ENGINE_DATA_PERMUTATION_H

#include <cstdint>

namespace moe::engine {

/// Where `index` goes in the random permutation of [0, size) that (seed, epoch) select. Takes constant time and no
/// memory: any place of any epoch is found without the ones before it.
std::uint64_t permuted(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index, std::uint64_t size);

} // namespace moe::engine

#endif // LIB_ENGINE_DATA_PERMUTATION_H
