//===- Pipeline.cpp - The stages and their order ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Pipeline/Pipeline.h"

#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::moe {

namespace {
struct StageInfo {
  Stage stage;
  /// {0}: true or false, keepGradients; {1}: ranks.
  StringLiteral passes;
};
} // namespace

static constexpr StageInfo kStages[] = {
    {Stage::input, "canonicalize"},
    {Stage::layers, "moe-expand-layers"},
    {Stage::objective,
     "moe-attach-loss,moe-differentiate,func.func(moe-merge-loss),moe-apply-optimizer{{keep-gradients={0}},"
     "canonicalize,cse,symbol-dce"},
    {Stage::shard, "moe-shard{{ranks={1}}"},
    {Stage::fuse, "moe-fuse"},
    {Stage::configure, "moe-configure,moe-fuse-prologues,moe-fuse-horizontally"},
    {Stage::schedule, "moe-schedule"},
    {Stage::codegen, ""}, // The target's passes.
    {Stage::artifact, ""},
};

LogicalResult parseCompileOptions(StringRef text, CompileOptions &options,
                                  function_ref<InFlightDiagnostic()> emitError) {
  SmallVector<StringRef> words;
  text.split(words, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef word : words) {
    auto [key, value] = word.split('=');
    if (key == "target" && !value.empty())
      options.target = value;
    else if (key == "ranks" && !value.getAsInteger(10, options.ranks) && options.ranks > 0)
      continue;
    else if (key == "keep-gradients" && (value == "true" || value == "false"))
      options.keepGradients = value == "true";
    else
      return emitError() << "compile option '" << word
                         << "' is not understood; there are: target=NAME[:ARCH], ranks=N, keep-gradients=true|false";
  }
  return success();
}

LogicalResult addStage(OpPassManager &passes, Stage stage, const CompileOptions &options, const Target &target) {
  if (stage == Stage::artifact)
    return success();
  if (stage == Stage::codegen)
    target.addCodegenPasses(passes, options.dumpTo);
  std::string text = llvm::formatv(kStages[static_cast<int>(stage)].passes.data(),
                                   options.keepGradients ? "true" : "false", options.ranks);
  if (failed(parsePassPipeline(text, passes)))
    return failure();
  return parsePassPipeline(("moe-verify-stage{stage=" + stringifyStage(stage) + "}").str(), passes);
}

} // namespace mlir::moe
