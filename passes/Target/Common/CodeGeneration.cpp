//===- CodeGeneration.cpp - LLVM modules to assembly and objects --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/CodeGeneration.h"

#include "mlir/IR/Diagnostics.h"
#include "passes/Target/Common/OutputFile.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::moe::target {

LogicalResult optimize(llvm::Module &module, llvm::TargetMachine &machine, StringRef pipeline) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopInterleaving = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(&machine, tuning);
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(sccs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::ModulePassManager manager;
  if (llvm::Error error = passes.parsePassPipeline(manager, pipeline)) {
    llvm::consumeError(std::move(error));
    return failure();
  }
  manager.run(module, modules);
  return success();
}

bool emit(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType kind,
          llvm::raw_pwrite_stream &stream) {
  llvm::legacy::PassManager passes;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  passes.add(new llvm::TargetLibraryInfoWrapperPass(library));
  if (machine.addPassesToEmitFile(passes, stream, nullptr, kind))
    return false;
  passes.run(module);
  return true;
}

LogicalResult dump(Operation *module, const Twine &path, function_ref<void(llvm::raw_fd_ostream &)> write) {
  std::string error;
  return succeeded(writeOutputFile(path.str(), write, error)) ? success() : LogicalResult(module->emitError(error));
}

} // namespace mlir::moe::target
