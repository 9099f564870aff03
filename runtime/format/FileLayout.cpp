//===- FileLayout.cpp - What surrounds the FlatBuffer ---------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/format/FileLayout.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace moe::format {

std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH64(bytes.data(), bytes.size(), /*seed=*/0); }

std::uint64_t headerChecksum(const FileHeader &header, std::span<const std::byte> table) {
  const auto *bytes = reinterpret_cast<const std::byte *>(&header);
  constexpr std::size_t checksumBegin = offsetof(FileHeader, checksum);
  constexpr std::size_t checksumEnd = checksumBegin + sizeof(header.checksum);

  XXH64_state_t state;
  XXH64_reset(&state, /*seed=*/0);
  XXH64_update(&state, bytes, checksumBegin);
  XXH64_update(&state, bytes + checksumEnd, sizeof(header) - checksumEnd);
  XXH64_update(&state, table.data(), table.size());
  return XXH64_digest(&state);
}

} // namespace moe::format
