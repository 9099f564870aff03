//===- Folder.cpp - Compiled layers for moe-run bench -------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Bench/Folder.h"

#include "lib/Compiler/Artifact/ModuleToArtifact.h"
#include "lib/Compiler/Pipeline/Compile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::bench;

static LogicalResult writeModule(ModuleOp module, const FolderOptions &options, const std::string &name) {
  CompileOptions compile;
  compile.target = options.target;
  if (failed(runStages(module, compile)))
    return failure();
  FailureOr<std::vector<std::byte>> bytes = moduleToArtifact(module, "a layer for moe-run bench");
  if (failed(bytes))
    return failure();
  SmallString<128> path(options.output);
  llvm::sys::path::append(path, name + ".moe");
  return writeArtifact(path, *bytes, [&] { return emitError(UnknownLoc::get(module.getContext())); });
}

LogicalResult mlir::moe::bench::writeFolder(const FolderOptions &options, MLIRContext &context) {
  if (std::error_code code = llvm::sys::fs::create_directories(options.output))
    return emitError(UnknownLoc::get(&context))
           << "cannot make the folder '" << options.output << "': " << code.message();
  for (const std::string &dtype : options.dtypes) {
    if (failed(writeModule(*buildCeilingModule(options.ceilingSize, dtype, context), options, "ceilings-" + dtype)))
      return failure();
    for (const LayerShape &shape : options.shapes) {
      LayerOptions layer{shape, dtype, options.tokens, options.tokensOfBackward};
      FailureOr<OwningOpRef<ModuleOp>> module = buildLayerModule(layer, context);
      if (failed(module) || failed(writeModule(**module, options, shape.name + "-" + dtype)))
        return failure();
    }
  }
  return success();
}
