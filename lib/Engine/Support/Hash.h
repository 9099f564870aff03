//===- Hash.h - Checksums ---------------------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_SUPPORT_HASH_H
#define LIB_ENGINE_SUPPORT_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace moe::engine {

inline std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
  return XXH64(bytes.data(), bytes.size(), seed);
}

inline std::uint64_t hash64(std::string_view text, std::uint64_t seed = 0) {
  return XXH64(text.data(), text.size(), seed);
}

} // namespace moe::engine

#endif // LIB_ENGINE_SUPPORT_HASH_H
