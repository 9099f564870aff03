//===- FileLayout.h - What surrounds the FlatBuffer -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The bytes of a `.moe` file around the FlatBuffer; the table is at the top of artifact.fbs. The header keeps its
/// layout in every version, so that any reader can say who wrote a file that it cannot read.
///
//===----------------------------------------------------------------------===//
#ifndef MOE_RUNTIME_FORMAT_FILELAYOUT_H
#define MOE_RUNTIME_FORMAT_FILELAYOUT_H

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace moe::format {

static_assert(std::endian::native == std::endian::little, "artifacts are read in place and are little endian");

/// Raised when a file's layout or meaning changes in a way that the schema hash does not show.
inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::array<char, 8> kMagic = {'M', 'O', 'E', '-', 'A', 'R', 'T', 'F'};
inline constexpr std::uint64_t kBlobAlignment = 4096;

struct FileHeader {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kFormatVersion;
  std::uint32_t reserved = 0;
  std::uint64_t schemaHash = 0;
  std::uint64_t tableSize = 0; ///< Bytes of the FlatBuffer.
  std::uint64_t checksum = 0;  ///< headerChecksum of this header and the FlatBuffer.
  std::array<char, 88> producer = {};
};
static_assert(sizeof(FileHeader) == 128 && offsetof(FileHeader, producer) == 40);

/// xxh64 with seed 0.
std::uint64_t checksum(std::span<const std::byte> bytes);

/// xxh64 of `header` without its field `checksum`, followed by `table`.
std::uint64_t headerChecksum(const FileHeader &header, std::span<const std::byte> table);

/// The least multiple of `alignment`, a power of two, that is at least `value`. Wraps around near 2^64.
constexpr std::uint64_t alignTo(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

/// Where the blob area of a file begins.
constexpr std::uint64_t blobAreaOffset(std::uint64_t tableSize) {
  return alignTo(sizeof(FileHeader) + tableSize, kBlobAlignment);
}

} // namespace moe::format

#endif // MOE_RUNTIME_FORMAT_FILELAYOUT_H
