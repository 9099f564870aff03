//===- OutputFile.cpp - Files that are whole or not there --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/OutputFile.h"

#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/ToolOutputFile.h"

namespace mlir::moe {

LogicalResult writeOutputFile(StringRef path, function_ref<void(llvm::raw_fd_ostream &)> write, std::string &error) {
  std::unique_ptr<llvm::ToolOutputFile> file = openOutputFile(path, &error);
  if (!file)
    return failure();
  write(file->os());
  file->os().flush();
  if (file->os().has_error()) {
    std::string name = path == "-" ? "to stdout" : ("'" + path + "'").str();
    error = "cannot write " + name + ": " + file->os().error().message();
    file->os().clear_error();
    return failure();
  }
  file->keep();
  return success();
}

} // namespace mlir::moe
