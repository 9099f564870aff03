//===- Compile.cpp - From a description to an artifact ----------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Pipeline/Compile.h"

#include "lib/Compiler/Artifact/ModuleToArtifact.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Support/Timing.h"
#include "passes/Target/Common/OutputFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::moe {

/// Writes the module to `<dumpTo>/<number>-<stage>.mlir`.
static LogicalResult dump(ModuleOp module, Stage stage, StringRef dumpTo) {
  SmallString<128> path(dumpTo);
  llvm::sys::path::append(path, std::to_string(static_cast<int>(stage) + 1) + "-" + stringifyStage(stage) + ".mlir");
  if (std::error_code code = llvm::sys::fs::create_directories(dumpTo))
    return module.emitError() << "cannot make the folder '" << dumpTo << "': " << code.message();
  std::string error;
  auto print = [&](auto &stream) {
    module.print(stream, OpPrintingFlags().elideLargeElementsAttrs().elideLargeResourceString());
  };
  return succeeded(writeOutputFile(path, print, error)) ? success() : LogicalResult(module.emitError(error));
}

LogicalResult runStages(ModuleOp module, const CompileOptions &options,
                        function_ref<LogicalResult(PassManager &)> configure) {
  module->setAttr(kTargetAttrName, StringAttr::get(module.getContext(), options.target));
  std::unique_ptr<Target> target = getTarget(module);
  if (!target)
    return failure();
  DefaultTimingManager timing;
  applyDefaultTimingManagerCLOptions(timing);
  TimingScope root = timing.getRootScope();
  for (int index = 0; index <= static_cast<int>(options.stopAfter); ++index) {
    Stage stage = static_cast<Stage>(index);
    PassManager passes(module.getContext());
    TimingScope scope = root.nest(stringifyStage(stage));
    passes.enableTiming(scope);
    if ((configure && failed(configure(passes))) || failed(addStage(passes, stage, options, *target)) ||
        failed(passes.run(module)))
      return failure();
    if (!options.dumpTo.empty() && failed(dump(module, stage, options.dumpTo)))
      return failure();
  }
  return success();
}

FailureOr<std::vector<std::byte>> compileToArtifact(StringRef description, MLIRContext &context,
                                                    CompileOptions options) {
  options.stopAfter = Stage::artifact;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(description, &context);
  if (!module || failed(runStages(*module, options)))
    return failure();
  return moduleToArtifact(*module, description);
}

LogicalResult compileFile(StringRef input, StringRef output, const CompileOptions &options,
                          const DialectRegistry &registry) {
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(&context)); };

  std::string error;
  std::unique_ptr<llvm::MemoryBuffer> text = openInputFile(input, &error);
  if (!text)
    return emitError() << error;
  std::string description = text->getBuffer().str();
  sources.AddNewSourceBuffer(std::move(text), llvm::SMLoc());

  if (!options.remarks.empty()) {
    // Of all kinds.
    const std::string &all = options.remarks;
    remark::RemarkCategories categories{all, all, all, all, all};
    if (failed(remark::enableOptimizationRemarks(context, /*streamer=*/nullptr,
                                                 std::make_unique<remark::RemarkEmittingPolicyAll>(), categories,
                                                 /*printAsEmitRemarks=*/true)))
      return failure();
  }

  bool writesArtifact = options.stopAfter == Stage::artifact;
  if (writesArtifact && output == "-" && llvm::sys::Process::StandardOutIsDisplayed())
    return emitError() << "an artifact is binary: name a file with -o";

  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module || failed(runStages(*module, options, applyPassManagerCLOptions)))
    return failure();

  FailureOr<std::vector<std::byte>> artifact = std::vector<std::byte>();
  if (writesArtifact && failed(artifact = moduleToArtifact(*module, description)))
    return failure();
  if (writesArtifact && output != "-")
    return writeArtifact(output, *artifact, emitError);
  auto write = [&](auto &stream) {
    if (writesArtifact)
      stream.write(reinterpret_cast<const char *>(artifact->data()), artifact->size());
    else
      module->print(stream);
  };
  return succeeded(writeOutputFile(output, write, error)) ? success() : LogicalResult(emitError() << error);
}

} // namespace mlir::moe
