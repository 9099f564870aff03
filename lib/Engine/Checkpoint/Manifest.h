//===- Manifest.h - What makes a directory a checkpoint ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_CHECKPOINT_MANIFEST_H
#define LIB_ENGINE_CHECKPOINT_MANIFEST_H

#include "moe/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

struct ManifestFile {
  std::string name;                     ///< Relative to the checkpoint, without directories.
  std::uint64_t size = 0, checksum = 0; ///< The checksum is xxh64.
};

/// Where a run stood. `manifest.json` is written last and carries a checksum of itself, so that a directory with a
/// valid manifest whose files have the right sizes and checksums is complete.
struct Manifest {
  static constexpr std::string_view kFileName = "manifest.json";

  std::int64_t step = 0;
  std::uint64_t seed = 0;
  std::uint64_t dataFingerprint = 0;
  std::string model = {}; ///< The artifact's model, JSON.
  std::vector<ManifestFile> files = {};
};

std::string manifestToJson(const Manifest &manifest);
Result<Manifest> parseManifest(std::string_view json);

} // namespace moe::engine

#endif // LIB_ENGINE_CHECKPOINT_MANIFEST_H
