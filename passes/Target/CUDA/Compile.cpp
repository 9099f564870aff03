//===- Compile.cpp - One kernel through LLVM to PTX -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ptx.h"
#include "passes/Target/Common/CodeGeneration.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"

namespace mlir::moe::cuda {

static constexpr llvm::StringLiteral kTriple = "nvptx64-nvidia-cuda";
static constexpr llvm::StringLiteral kPipeline = "default<O3>";

static std::unique_ptr<llvm::TargetMachine> createTargetMachine(const Capabilities &capabilities) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple(kTriple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // Only what moe-cuda-lower-kernel wrote as one operation.
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, capabilities.arch, ("+" + capabilities.ptxFeature).str(), options,
                                  llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

FailureOr<std::string> compileToPtx(gpu::GPUModuleOp module, const Capabilities &capabilities, StringRef dumpPrefix) {
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(capabilities);
  if (!machine)
    return module.emitError() << "this LLVM cannot generate code for NVIDIA GPUs";

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel");
  if (!code)
    return module.emitError() << "cannot be translated to LLVM IR";
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *code)
    if (!function.isDeclaration())
      function.addFnAttr(llvm::Attribute::NoUnwind);

  auto dumpIR = [&](const Twine &suffix) -> LogicalResult {
    if (dumpPrefix.empty())
      return success();
    return target::dump(module, dumpPrefix + suffix, [&](auto &stream) { code->print(stream, nullptr); });
  };
  if (failed(dumpIR(".ll")))
    return failure();
  if (failed(target::optimize(*code, *machine, kPipeline)))
    return module.emitError() << "this LLVM lacks a pass of " << kPipeline;
  if (failed(dumpIR(".opt.ll")))
    return failure();

  llvm::SmallString<0> ptx;
  llvm::raw_svector_ostream stream(ptx);
  if (!target::emit(*code, *machine, llvm::CodeGenFileType::AssemblyFile, stream))
    return module.emitError() << "this LLVM cannot write PTX";
  if (!dumpPrefix.empty() && failed(target::dump(module, dumpPrefix + ".ptx", [&](auto &file) { file << ptx; })))
    return failure();
  return std::string(ptx);
}

std::string mergePtx(ArrayRef<std::string> modules) {
  constexpr StringLiteral kLastOfHeader = ".address_size 64\n";
  std::string merged;
  for (StringRef module : modules) {
    size_t header = module.find(kLastOfHeader);
    assert(header != StringRef::npos && "LLVM writes a header");
    merged += merged.empty() ? module : module.drop_front(header + kLastOfHeader.size());
  }
  return merged;
}

} // namespace mlir::moe::cuda
