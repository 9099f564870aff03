//===- Passes.h - Passes of the stage shard ---------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SHARD_PASSES_H
#define PASSES_SHARD_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

/// The discardable attribute of the module that holds the extents of the grid of ranks.
inline constexpr llvm::StringLiteral kGridAttrName = "moe.grid";

#define GEN_PASS_DECL
#include "passes/Shard/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Shard/Passes.h.inc"
} // namespace mlir::moe

#endif // PASSES_SHARD_PASSES_H
