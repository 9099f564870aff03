//===- CommandLine.h - What tools that compile share -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_PIPELINE_COMMANDLINE_H
#define LIB_COMPILER_PIPELINE_COMMANDLINE_H

#include "mlir/IR/MLIRContext.h"

#include <string>

namespace mlir::moe {

/// "moe-bench: error: MESSAGE" on stderr; returns the exit code 1.
int reportError(StringRef tool, const llvm::Twine &message);

/// Registers the passes and targets of shared objects (`--load-pass-plugin`); an error is reported.
LogicalResult loadPassPlugins(StringRef tool, ArrayRef<std::string> paths);

/// Prints diagnostics to stderr as "moe-bench: error: cases.mlir:3:5: MESSAGE", notes behind them.
void printDiagnostics(StringRef tool, MLIRContext &context);

} // namespace mlir::moe

#endif // LIB_COMPILER_PIPELINE_COMMANDLINE_H
