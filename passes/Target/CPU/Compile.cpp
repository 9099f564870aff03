//===- Compile.cpp - One kernel through LLVM --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/ObjectCode.h"
#include "passes/Target/Common/CodeGeneration.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

namespace mlir::moe::cpu {

using target::dump;
using target::emit;

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
  target::optimize(*code, *machine);
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
