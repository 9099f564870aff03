//===- Stage.cpp - The names of the stages ------------------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Verify/Stage.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace mlir::moe {

static constexpr llvm::StringLiteral stageNames[] = {"input",     "layers",   "objective", "shard",   "fuse",
                                                     "configure", "schedule", "codegen",   "artifact"};

llvm::StringRef stringifyStage(Stage stage) { return stageNames[static_cast<int>(stage)]; }

std::optional<Stage> symbolizeStage(llvm::StringRef name) {
  const auto *found = llvm::find(stageNames, name);
  if (found == std::end(stageNames))
    return std::nullopt;
  return static_cast<Stage>(found - std::begin(stageNames));
}

std::string listStages() { return llvm::join(llvm::ArrayRef(stageNames), ", "); }

} // namespace mlir::moe
