//===- LayerFolder.h - Compiled layers to choose from ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_LAYERFOLDER_H
#define LIB_ENGINE_BENCH_LAYERFOLDER_H

#include "lib/Engine/Bench/LayerFloor.h"
#include "moe/Session.h"

#include <memory>
#include <string>
#include <vector>

namespace moe::engine {

/// One layer that was compiled for several numbers of tokens.
struct CompiledLayer {
  std::string shape, dtype;
  LayerSizes sizes;
  std::vector<std::int64_t> tokens;
  std::shared_ptr<const Artifact> artifact;
};

/// The product of two matrices whose speed is the ceiling for layers of that type.
struct CompiledCeiling {
  std::string dtype;
  std::int64_t size = 0;
  std::shared_ptr<const Artifact> artifact;
};

/// What to run of a folder: everything that is not restricted.
struct LayerSelection {
  std::vector<std::string> shapes, dtypes;
  std::vector<std::int64_t> tokens;
};

/// What moe-bench wrote (lib/Compiler/Bench/Folder.h says how).
struct LayerFolder {
  std::vector<CompiledLayer> layers; ///< By shape, in the order of their sizes' names.
  std::vector<CompiledCeiling> ceilings;

  /// Errors: ErrorCode::failed (no such folder, or nothing in it), those of Artifact::open, ErrorCode::corruptFile.
  static Result<LayerFolder> open(const std::string &directory);

  /// Keeps what was asked for. ErrorCode::usage if there is no such shape, type or number; the message lists what there
  /// is.
  Status select(const LayerSelection &selection);

  /// Null if there is none.
  const CompiledCeiling *findCeiling(const std::string &dtype) const;
};

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_LAYERFOLDER_H
