//===- moe-conformance.cpp - Compiles the conformance suite -------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/Bundle.h"
#include "lib/Compiler/Pipeline/CommandLine.h"
#include "lib/Compiler/Pipeline/Registration.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;

static constexpr llvm::StringLiteral kTool = "moe-conformance";
static llvm::cl::OptionCategory category("moe-conformance options");
static llvm::cl::list<std::string> files(llvm::cl::Positional, llvm::cl::OneOrMore, llvm::cl::cat(category),
                                         llvm::cl::desc("<files with cases>"));
static llvm::cl::list<std::string> targets("target", llvm::cl::value_desc("NAME[:ARCH]"), llvm::cl::cat(category),
                                           llvm::cl::desc("Compile for this target; may be repeated"));
static llvm::cl::list<std::string> storageTypes("storage", llvm::cl::value_desc("type"), llvm::cl::CommaSeparated,
                                                llvm::cl::cat(category),
                                                llvm::cl::desc("Storage types, f32 and bf16 if not given"));
static llvm::cl::list<std::string> plugins("load-pass-plugin", llvm::cl::value_desc("file"), llvm::cl::cat(category),
                                           llvm::cl::desc("Load targets from this plug-in; may be repeated"));
static llvm::cl::opt<std::string> output("o", llvm::cl::Required, llvm::cl::value_desc("folder"),
                                         llvm::cl::cat(category), llvm::cl::desc("The bundle"));

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::HideUnrelatedOptions(category);
  llvm::cl::ParseCommandLineOptions(
      argc, argv,
      "compiles the cases that every target runs\n\n"
      "  moe-conformance test/conformance/cases/*.mlir --target=cpu --target=cuda:sm_80 -o bundle\n"
      "  moe-run conformance bundle\n");
  moe::registerAllPasses();
  if (failed(moe::loadPassPlugins(kTool, plugins)))
    return 1;
  DialectRegistry registry;
  moe::registerAllDialects(registry);
  MLIRContext context(registry);
  moe::printDiagnostics(kTool, context);
  moe::conformance::BundleOptions options{files, storageTypes, targets, output};
  if (options.storageTypes.empty())
    options.storageTypes = {"f32", "bf16"};
  return failed(moe::conformance::writeBundle(options, context));
}
