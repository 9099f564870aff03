//===- EmitStructured.cpp - The emitters of the structured ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Emitter.h"

namespace mlir::moe::cuda {

FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &) {
  return op->emitError("is not a structured op that the CUDA target can emit");
}

} // namespace mlir::moe::cuda
