//===- OutputFile.h - Files that are whole or not there ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_COMMON_OUTPUTFILE_H
#define PASSES_TARGET_COMMON_OUTPUTFILE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace mlir::moe {

/// Calls `write` with a stream to the file `path`, "-" for stdout. If not everything could be written, the file is
/// removed and `error` says why ("cannot write 'x.ptx': No space left on device"). A plain llvm::raw_fd_ostream ends
/// the process then.
LogicalResult writeOutputFile(StringRef path, function_ref<void(llvm::raw_fd_ostream &)> write, std::string &error);

} // namespace mlir::moe

#endif // PASSES_TARGET_COMMON_OUTPUTFILE_H
