//===- moe-opt.cpp - The compiler driver ------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// MLIR's own driver with our dialects and passes, and one command for the whole way:
///
///   moe-opt tiny.mlir --moe-compile=target=cpu -o tiny.moe
///
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Pipeline/Compile.h"
#include "lib/Compiler/Pipeline/Registration.h"

#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Target/Common/OutputFile.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;

static llvm::cl::OptionCategory category("moe-opt options");
static llvm::cl::opt<std::string>
    compile("moe-compile", llvm::cl::ValueOptional, llvm::cl::value_desc("option=value ..."), llvm::cl::cat(category),
            llvm::cl::desc("Compile a description to an artifact: target=cpu[:ARCH] ranks=N keep-gradients=BOOL"));
static llvm::cl::opt<std::string> compileTo("moe-compile-to", llvm::cl::value_desc("stage"), llvm::cl::cat(category),
                                            llvm::cl::desc("Stop after a stage and print the IR"));
static llvm::cl::opt<std::string>
    dumpTo("moe-dump-to", llvm::cl::value_desc("folder"), llvm::cl::cat(category),
           llvm::cl::desc("Write the IR after every stage and the code of every kernel there"));

/// Compiles if one of our options asks for it.
static LogicalResult compileCommand(StringRef input, StringRef output, DialectRegistry &registry) {
  MLIRContext context;
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(&context)); };
  ScopedDiagnosticHandler printer(&context, [](Diagnostic &diagnostic) {
    llvm::WithColor::error(llvm::errs(), "moe-opt") << diagnostic << "\n";
  });
  moe::CompileOptions options;
  options.dumpTo = dumpTo;
  options.remarks = MlirOptMainConfig::createFromCLOptions().getRemarksAllFilter();
  if (failed(moe::parseCompileOptions(compile, options, emitError)))
    return failure();
  if (compileTo.getNumOccurrences()) {
    std::optional<moe::Stage> stage = moe::symbolizeStage(compileTo);
    if (!stage)
      return emitError() << "there is no stage '" << compileTo << "'; there are: " << moe::listStages();
    options.stopAfter = *stage;
  }
  return moe::compileFile(input, output, options, registry);
}

/// MLIR's driver, without the empty line that it adds at the end: a description comes back as it is.
static LogicalResult optCommand(StringRef input, StringRef output, DialectRegistry &registry) {
  std::string error;
  auto fail = [&] {
    llvm::WithColor::error(llvm::errs(), "moe-opt") << error << "\n";
    return failure();
  };
  std::unique_ptr<llvm::MemoryBuffer> text = openInputFile(input, &error);
  if (!text)
    return fail();
  std::string result;
  llvm::raw_string_ostream stream(result);
  if (failed(MlirOptMain(stream, std::move(text), registry, MlirOptMainConfig::createFromCLOptions())))
    return failure();
  StringRef printed = result;
  if (printed.ends_with("\n\n"))
    printed = printed.drop_back();
  return succeeded(moe::writeOutputFile(output, [&](auto &file) { file << printed; }, error)) ? success() : fail();
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  moe::registerAllDialects(registry);
  moe::registerAllPasses();
  auto [input, output] = registerAndParseCLIOptions(argc, argv,
                                                    "the moe-mlir compiler\n\n"
                                                    "  moe-opt tiny.mlir --moe-compile=target=cpu -o tiny.moe\n"
                                                    "  moe-opt tiny.mlir --moe-compile-to=fuse\n"
                                                    "  moe-opt tiny.mlir --moe-expand-layers\n",
                                                    registry);
  if (compile.getNumOccurrences() || compileTo.getNumOccurrences())
    return asMainReturnCode(compileCommand(input, output, registry));
  return asMainReturnCode(optCommand(input, output, registry));
}
