//===- Registration.h - Everything that moe-opt knows -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_PIPELINE_REGISTRATION_H
#define LIB_COMPILER_PIPELINE_REGISTRATION_H

#include "mlir/IR/DialectRegistry.h"

namespace mlir::moe {

/// Registers our dialects and the upstream ones that stand between them.
void registerAllDialects(DialectRegistry &registry);
/// Registers our passes, pipelines and targets, and the upstream passes that are useful beside them.
void registerAllPasses();

} // namespace mlir::moe

#endif // LIB_COMPILER_PIPELINE_REGISTRATION_H
