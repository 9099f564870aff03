//===- CodeGeneration.h - LLVM modules to assembly and objects --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_CODEGENERATION_H
#define PASSES_TARGET_COMMON_CODEGENERATION_H

#include "mlir/IR/Operation.h"
#include "llvm/Target/TargetMachine.h"

namespace mlir::moe::target {

/// Runs LLVM's passes of the textual `pipeline`, without the vectorisers: kernels come with the vectors and the order
/// of operations chosen for them. No loop becomes a library call. Fails if this LLVM lacks one of the passes.
LogicalResult optimize(llvm::Module &module, llvm::TargetMachine &machine, StringRef pipeline);

/// Writes assembly or an object, without library calls. Returns false if the target cannot.
bool emit(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType kind,
          llvm::raw_pwrite_stream &stream);

/// Calls `write` with a stream to the file `path`; errors are emitted on `module`.
LogicalResult dump(Operation *module, const Twine &path, function_ref<void(llvm::raw_fd_ostream &)> write);

} // namespace mlir::moe::target

#endif // PASSES_TARGET_COMMON_CODEGENERATION_H
