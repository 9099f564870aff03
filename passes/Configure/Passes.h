//===- Passes.h - Passes of the stage configure -----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_CONFIGURE_PASSES_H
#define PASSES_CONFIGURE_PASSES_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {
#define GEN_PASS_DECL
#include "passes/Configure/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Configure/Passes.h.inc"
} // namespace mlir::moe

#endif // PASSES_CONFIGURE_PASSES_H
