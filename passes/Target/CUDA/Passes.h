//===- Passes.h - Code generation for NVIDIA GPUs ---------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_PASSES_H
#define PASSES_TARGET_CUDA_PASSES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {
#define GEN_PASS_DECL
#include "passes/Target/CUDA/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Target/CUDA/Passes.h.inc"

/// The passes of the stage codegen: configured `moe_kernel.kernel`s become `moe_exec.kernel`s and `moe_exec.object`s.
/// If `dumpTo` is not empty, each kernel's LLVM IR and PTX, and what ptxas says about it, are written there.
void buildCUDACodegenPipeline(OpPassManager &passes, StringRef dumpTo = "");

} // namespace mlir::moe

#endif // PASSES_TARGET_CUDA_PASSES_H
