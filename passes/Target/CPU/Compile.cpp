//===- Compile.cpp - One kernel through LLVM --------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/ObjectCode.h"
#include "passes/Target/Common/CodeGeneration.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/SourceMgr.h"
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
  options.FunctionSections = true;                      // So that the linker can leave out what is not called.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // Only what moe-cpu-lower-kernel wrote as one operation.
  // Baseline x86-64 and exactly the listed features: what a loader checks is what the code uses.
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, "x86-64", capabilities.getFeatureString(), options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

/// Sets what every function needs to know of the target.
static void prepare(llvm::Module &module, llvm::TargetMachine &machine, const Capabilities &capabilities) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  std::string width = std::to_string(capabilities.vectorWidth * 32);
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("tune-cpu", capabilities.arch);
    function.addFnAttr("prefer-vector-width", width);
  }
}

/// Kernels come vectorised, with the vectors and the order of operations that were chosen for them, in one function.
/// What is left is to clean up addresses and move them out of loops. LLVM's O3 pipeline takes three times as long, half
/// of it for unrolling, and gains nothing (tiny's kernels on Zen 4: within 2 % of each other).
static constexpr StringLiteral kPipeline =
    "function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,loop-mssa(loop-rotate,licm),"
    "loop(indvars,loop-unroll-full),gvn,instcombine<no-verify-fixpoint>,simplifycfg)";

namespace {
/// Leaves out loop strength reduction, which takes four fifths of the time that code generation takes for matmuls and
/// makes them no faster: their addresses are one index and constants.
struct NoLoopStrengthReduction : llvm::OptPassGate {
  bool shouldRunPass(StringRef pass, StringRef) const override { return pass != "Loop Strength Reduction"; }
  bool isEnabled() const override { return true; }
};
} // namespace

FailureOr<ObjectCode> compile(ModuleOp module, const Capabilities &capabilities, StringRef dumpPrefix) {
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(capabilities);
  if (!machine)
    return module.emitError() << "this LLVM cannot generate code for x86-64";

  NoLoopStrengthReduction gate;
  llvm::LLVMContext context;
  context.setOptPassGate(gate);
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel");
  if (!code)
    return module.emitError() << "cannot be translated to LLVM IR";
  prepare(*code, *machine, capabilities);

  auto dumpIR = [&](const Twine &suffix) {
    return dump(module, dumpPrefix + suffix, [&](auto &stream) { code->print(stream, nullptr); });
  };
  if (!dumpPrefix.empty() && failed(dumpIR(".ll")))
    return failure();
  if (failed(target::optimize(*code, *machine, kPipeline)))
    return module.emitError() << "this LLVM lacks a pass of " << kPipeline;
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

/// The functions that LLVM expects everywhere, with the processor's string instructions.
static constexpr char kSupportCode[] = R"llvm(
define hidden ptr @memcpy(ptr %to, ptr %from, i64 %size) {
  call { ptr, ptr, i64 } asm sideeffect "rep movsb", "={di},={si},={cx},0,1,2,~{memory}"(ptr %to, ptr %from, i64 %size)
  ret ptr %to
}
define hidden ptr @memset(ptr %to, i32 %value, i64 %size) {
  %byte = trunc i32 %value to i8
  call { ptr, i64 } asm sideeffect "rep stosb", "={di},={cx},0,1,{al},~{memory}"(ptr %to, i64 %size, i8 %byte)
  ret ptr %to
}
define hidden ptr @memmove(ptr %to, ptr %from, i64 %size) {
  %to.int = ptrtoint ptr %to to i64
  %from.int = ptrtoint ptr %from to i64
  %distance = sub i64 %to.int, %from.int
  %overlaps = icmp ult i64 %distance, %size
  br i1 %overlaps, label %backward, label %forward
forward:
  %copied = call ptr @memcpy(ptr %to, ptr %from, i64 %size)
  ret ptr %to
backward:
  %last = sub i64 %size, 1
  %to.last = getelementptr i8, ptr %to, i64 %last
  %from.last = getelementptr i8, ptr %from, i64 %last
  call { ptr, ptr, i64 } asm sideeffect "std; rep movsb; cld", "={di},={si},={cx},0,1,2,~{memory}"(
      ptr %to.last, ptr %from.last, i64 %size)
  ret ptr %to
}
)llvm";

FailureOr<ObjectCode> compileSupport(const Capabilities &capabilities, function_ref<InFlightDiagnostic()> emitError) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> code = llvm::parseAssemblyString(kSupportCode, diagnostic, context);
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(capabilities);
  if (!code || !machine)
    return emitError() << "this LLVM cannot compile the support code of kernels: " << diagnostic.getMessage();
  prepare(*code, *machine, capabilities);
  ObjectCode object;
  llvm::raw_svector_ostream stream(object);
  if (!emit(*code, *machine, llvm::CodeGenFileType::ObjectFile, stream))
    return emitError() << "this LLVM cannot write object code for x86-64";
  return object;
}

} // namespace mlir::moe::cpu
