//===- EmitRows.cpp - Kernels of linalg.generic ops -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"
namespace mlir::moe::cpu {
FailureOr<LaunchShape> emitRows(EmitterContext &context) {
  return context.kernel.emitOpError() << "not implemented";
}
}
