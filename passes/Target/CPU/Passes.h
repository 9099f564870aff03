//===- Passes.h - Code generation for the CPU -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_PASSES_H
#define PASSES_TARGET_CPU_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {
#define GEN_PASS_DECL
#include "passes/Target/CPU/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Target/CPU/Passes.h.inc"

/// The passes of the stage codegen: configured `moe_kernel.kernel`s become `moe_exec.kernel`s and a `moe_exec.object`.
/// If `dumpTo` is not empty, each kernel's LLVM IR and assembly are written there.
void buildCPUCodegenPipeline(OpPassManager &passes, StringRef dumpTo = "");

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_PASSES_H
