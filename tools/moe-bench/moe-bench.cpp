//===- moe-bench.cpp - Compiles layers for moe-run bench ----------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Bench/Folder.h"
#include "lib/Compiler/Pipeline/CommandLine.h"
#include "lib/Compiler/Pipeline/Registration.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;
using namespace mlir::moe::bench;
namespace cl = llvm::cl;

static constexpr llvm::StringLiteral kTool = "moe-bench";
static cl::OptionCategory category("moe-bench options");
static cl::list<std::string> shapes("shape", cl::value_desc("name"), cl::cat(category),
                                    cl::desc("A published model's layer, or name:hidden,intermediate,experts,top_k; "
                                             "may be repeated. All that are known if not given"));
static cl::list<int64_t> tokens("tokens", cl::value_desc("number"), cl::CommaSeparated, cl::cat(category),
                                cl::desc("Numbers of tokens, 1,8,64,512,1024,2048,8192,32768 if not given"));
static cl::list<int64_t> backward("backward", cl::value_desc("number"), cl::CommaSeparated, cl::cat(category),
                                  cl::desc("Those that gradients are computed for as well, 8192,32768 if not given"));
static cl::list<std::string> dtypes("dtype", cl::value_desc("type"), cl::CommaSeparated, cl::cat(category),
                                    cl::desc("Storage types: bf16 (if not given), f32"));
static cl::opt<std::string> target("target", cl::Required, cl::value_desc("NAME[:ARCH]"), cl::cat(category),
                                   cl::desc("Compile for this target"));
static cl::opt<int64_t> ceilingSize("ceiling-size", cl::init(0), cl::value_desc("number"), cl::cat(category),
                                    cl::desc("Size of the matrices whose product is the ceiling, 8192 if not given, or "
                                             "1024 for cpu"));
static cl::list<std::string> plugins("load-pass-plugin", cl::value_desc("file"), cl::cat(category),
                                     cl::desc("Load targets from this plug-in; may be repeated"));
static cl::opt<std::string> output("o", cl::Required, cl::value_desc("folder"), cl::cat(category),
                                   cl::desc("Where the artifacts go"));

static int fail(const llvm::Twine &message) { return moe::reportError(kTool, message); }

/// What was asked for, or else `otherwise`; an error if one is not positive.
static FailureOr<SmallVector<int64_t>> positive(ArrayRef<int64_t> given, ArrayRef<int64_t> otherwise) {
  SmallVector<int64_t> numbers(given.empty() ? otherwise : given);
  if (llvm::any_of(numbers, [](int64_t number) { return number <= 0; }))
    return failure();
  return numbers;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "compiles mixture-of-experts layers for moe-run bench\n\n"
      "  moe-bench --shape=qwen3-30b-a3b --shape=olmoe --tokens=1,1024,8192 --target=cuda:sm_90a -o layers\n"
      "  moe-bench --shape=mine:1024,512,64,8 --tokens=1,64 --dtype=f32 --target=cpu -o layers\n"
      "  moe-run bench layers\n");
  moe::registerAllPasses();
  if (failed(moe::loadPassPlugins(kTool, plugins)))
    return 1;

  bool isHost = llvm::StringRef(target).split(':').first == "cpu";
  FolderOptions options{{}, dtypes, {}, {}, target, output, isHost ? 1024 : 8192};
  if (ceilingSize.getNumOccurrences())
    options.ceilingSize = ceilingSize;
  for (const std::string &text : shapes) {
    std::string error;
    FailureOr<LayerShape> shape = parseShape(text, error);
    if (failed(shape))
      return fail(error);
    options.shapes.push_back(*shape);
  }
  if (options.shapes.empty())
    options.shapes.assign(getKnownShapes().begin(), getKnownShapes().end());
  if (options.dtypes.empty())
    options.dtypes = {"bf16"};
  for (const std::string &dtype : options.dtypes)
    if (dtype != "bf16" && dtype != "f32")
      return fail("there is no storage type '" + dtype + "'; there are: bf16, f32");
  FailureOr<SmallVector<int64_t>> numbers = positive(tokens, {1, 8, 64, 512, 1024, 2048, 8192, 32768});
  FailureOr<SmallVector<int64_t>> ofBackward = positive(backward, {8192, 32768});
  if (failed(numbers) || failed(ofBackward) || options.ceilingSize <= 0)
    return fail("numbers of tokens and sizes are at least 1");
  options.tokens = *numbers;
  options.tokensOfBackward = *ofBackward;

  DialectRegistry registry;
  moe::registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  moe::printDiagnostics(kTool, context);
  return failed(writeFolder(options, context));
}
