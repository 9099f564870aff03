//===- Compile.cpp - One kernel through LLVM --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/ObjectCode.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/CodeGen/CommandFlags.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

namespace mlir::moe::cpu {

static constexpr llvm::StringLiteral kTriple = "x86_64-unknown-linux-gnu";

static std::unique_ptr<llvm::TargetMachine> createTargetMachine(const Capabilities &capabilities) {
  static const bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); // For the inline assembly of the support module.
    return true;
  }();
  (void)initialized;
  llvm::Triple triple(kTriple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // Only what moe-cpu-lower-kernel wrote as one operation.
  // Baseline x86-64 and exactly the listed features: what a loader checks is what the code uses.
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, "x86-64", capabilities.getFeatureString(), options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  // Kernels come vectorised, with the vectors and the order of operations that were chosen for them.
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopInterleaving = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(&machine, tuning);
  // No loop becomes a library call.
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(sccs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, sccs, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

static bool emit(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType kind,
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

/// Calls `write` with a stream to the file `path`.
static LogicalResult dump(ModuleOp module, const Twine &path, function_ref<void(llvm::raw_fd_ostream &)> write) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path.str(), error);
  if (error)
    return module.emitError() << "cannot write " << path << ": " << error.message();
  write(stream);
  return success();
}

FailureOr<ObjectCode> compile(ModuleOp module, const Capabilities &capabilities, StringRef dumpPrefix) {
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(capabilities);
  if (!machine)
    return module.emitError() << "this LLVM cannot generate code for x86-64";

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel");
  if (!code)
    return module.emitError() << "cannot be translated to LLVM IR";
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  std::string width = std::to_string(capabilities.vectorWidth * 32);
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("tune-cpu", capabilities.arch);
    function.addFnAttr("prefer-vector-width", width);
  }

  auto dumpIR = [&](const Twine &suffix) {
    return dump(module, dumpPrefix + suffix, [&](auto &stream) { code->print(stream, nullptr); });
  };
  if (!dumpPrefix.empty() && failed(dumpIR(".ll")))
    return failure();
  optimize(*code, *machine);
  if (!dumpPrefix.empty()) {
    if (failed(dumpIR(".opt.ll")))
      return failure();
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(*code);
    if (failed(dump(module, dumpPrefix + ".s",
                    [&](auto &stream) { emit(*copy, *machine, llvm::CodeGenFileType::AssemblyFile, stream); })))
      return failure();
  }

  ObjectCode object;
  llvm::raw_svector_ostream stream(object);
  if (!emit(*code, *machine, llvm::CodeGenFileType::ObjectFile, stream))
    return module.emitError() << "this LLVM cannot write object code for x86-64";
  return object;
}

} // namespace mlir::moe::cpu
