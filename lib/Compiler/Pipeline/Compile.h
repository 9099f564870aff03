//===- Compile.h - From a description to an artifact ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_PIPELINE_COMPILE_H
#define LIB_COMPILER_PIPELINE_COMPILE_H

#include "lib/Compiler/Pipeline/Pipeline.h"
#include "mlir/IR/BuiltinOps.h"
#include <cstddef>
#include <vector>

namespace mlir::moe {

/// Runs the stages on `module` up to options.stopAfter. With options.dumpTo, writes `N-<stage>.mlir` after each.
/// `configure`, if given, sees the pass manager of each stage first.
LogicalResult runStages(ModuleOp module, const CompileOptions &options,
                        function_ref<LogicalResult(PassManager &)> configure = nullptr);

/// Compiles the text of a description and returns the artifact's bytes. Diagnostics go to the context.
FailureOr<std::vector<std::byte>> compileToArtifact(llvm::StringRef description, MLIRContext &context,
                                                    CompileOptions options = {});

/// What `moe-opt INPUT --moe-compile=... -o OUTPUT` does: an artifact, or IR if it stops at an earlier stage. "-" is
/// standard input or output. MLIR's command line options (--mlir-print-ir-after-all, --mlir-timing, …) apply.
LogicalResult compileFile(llvm::StringRef input, llvm::StringRef output, const CompileOptions &options,
                          const DialectRegistry &registry);

} // namespace mlir::moe

#endif // LIB_COMPILER_PIPELINE_COMPILE_H
