//===- Passes.h - Passes of the stage fuse ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_PASSES_H
#define PASSES_FUSE_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {
#define GEN_PASS_DECL
#include "passes/Fuse/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Fuse/Passes.h.inc"

/// Adds the passes of the stage `fuse`: afterwards functions hold only launches, calls and accesses to variables.
void buildFuseStage(OpPassManager &passes);
/// Registers it as the pipeline `moe-fuse`.
void registerFusePipeline();

} // namespace mlir::moe

#endif // PASSES_FUSE_PASSES_H
