//===- Folder.h - Compiled layers for moe-run bench ---------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A folder that `moe-run bench` takes: an artifact for each shape and storage type, `<shape>-<dtype>.moe`
/// (LayerModule.h), and for each storage type `ceilings-<dtype>.moe`, a large matrix product that says what the device
/// can do.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_BENCH_FOLDER_H
#define LIB_COMPILER_BENCH_FOLDER_H

#include "lib/Compiler/Bench/LayerModule.h"

#include <string>
#include <vector>

namespace mlir::moe::bench {

struct FolderOptions {
  std::vector<LayerShape> shapes;
  std::vector<std::string> dtypes;
  SmallVector<int64_t> tokens, tokensOfBackward;
  std::string target; ///< "cuda:sm_90a"
  std::string output; ///< A folder; made if it is not there.
  /// Rows and columns of the matrices of the ceiling.
  int64_t ceilingSize;
};

/// Diagnostics go to the context.
LogicalResult writeFolder(const FolderOptions &options, MLIRContext &context);

} // namespace mlir::moe::bench

#endif // LIB_COMPILER_BENCH_FOLDER_H
