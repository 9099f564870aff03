//===- EmitStructuredStub.cpp - Until the emitters are merged ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"

namespace mlir::moe::cpu {

__attribute__((weak)) FailureOr<LaunchShape> emitStructuredOp(Operation *op, EmitterContext &context) {
  return op->emitOpError() << "not implemented";
}

} // namespace mlir::moe::cpu
