//===- Stage.h - The names of the stages --------------------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_VERIFY_STAGE_H
#define PASSES_VERIFY_STAGE_H

#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace mlir::moe {

/// In the order in which they run. What each does is in lib/Compiler/Pipeline/Pipeline.cpp.
enum class Stage { input, layers, objective, shard, fuse, configure, schedule, codegen, artifact };

llvm::StringRef stringifyStage(Stage stage);
std::optional<Stage> symbolizeStage(llvm::StringRef name);
/// "input, layers, …" for messages.
std::string listStages();

} // namespace mlir::moe

#endif // PASSES_VERIFY_STAGE_H
