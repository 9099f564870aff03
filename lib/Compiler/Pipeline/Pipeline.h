//===- Pipeline.h - The stages and their order ------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A description becomes an artifact in nine stages. Pipeline.cpp owns their order; each ends with a pass that checks
/// what is left.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_PIPELINE_PIPELINE_H
#define LIB_COMPILER_PIPELINE_PIPELINE_H

#include "mlir/Pass/PassManager.h"
#include "passes/Target/Target.h"
#include "passes/Verify/Stage.h"

namespace mlir::moe {

struct CompileOptions {
  std::string target = "cpu";       ///< "cpu", "cpu:x86-64-v3".
  int64_t ranks = 1;                ///< Processes that will run the artifact together.
  bool keepGradients = false;       ///< train_step also returns every gradient, as `gradient.<parameter>`.
  std::string dumpTo;               ///< A folder for the IR after each stage and each kernel's code; "": none.
  std::string remarks;              ///< A regular expression: prints remarks of the categories that match; "": none.
  Stage stopAfter = Stage::artifact;
};

/// Sets what `text` ("target=cpu:x86-64-v3 keep-gradients=true") says; an error lists the options there are.
LogicalResult parseCompileOptions(llvm::StringRef text, CompileOptions &options,
                                  function_ref<InFlightDiagnostic()> emitError);

/// Adds the passes of one stage, the verifying one last. `artifact` has none: writing a file is not a pass.
LogicalResult addStage(OpPassManager &passes, Stage stage, const CompileOptions &options, const Target &target);

} // namespace mlir::moe

#endif // LIB_COMPILER_PIPELINE_PIPELINE_H
