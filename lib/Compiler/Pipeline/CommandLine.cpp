//===- CommandLine.cpp - What tools that compile share -----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Pipeline/CommandLine.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Support/WithColor.h"

namespace mlir::moe {

int reportError(StringRef tool, const llvm::Twine &message) {
  llvm::WithColor::error(llvm::errs(), tool) << message << "\n";
  return 1;
}

LogicalResult loadPassPlugins(StringRef tool, ArrayRef<std::string> paths) {
  for (const std::string &path : paths) {
    llvm::Expected<PassPlugin> plugin = PassPlugin::load(path);
    if (!plugin) {
      reportError(tool, llvm::toString(plugin.takeError()));
      return failure();
    }
    plugin->registerPassRegistryCallbacks();
  }
  return success();
}

static void print(llvm::raw_ostream &stream, Diagnostic &diagnostic) {
  if (auto where = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>())
    stream << where.getFilename().getValue() << ":" << where.getLine() << ":" << where.getColumn() << ": ";
  stream << diagnostic << "\n";
}

void printDiagnostics(StringRef tool, MLIRContext &context) {
  context.printOpOnDiagnostic(false);
  context.getDiagEngine().registerHandler([tool](Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    print(isError ? llvm::WithColor::error(llvm::errs(), tool) : llvm::WithColor::warning(llvm::errs(), tool),
          diagnostic);
    for (Diagnostic &note : diagnostic.getNotes())
      print(llvm::WithColor::note(llvm::errs(), tool), note);
  });
}

} // namespace mlir::moe
