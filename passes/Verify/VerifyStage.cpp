//===- VerifyStage.cpp - Check that only what may remain after a stage remains -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Verify/Passes.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Verify/Stage.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYSTAGEPASS
#include "passes/Verify/Passes.h.inc"

namespace {

/// Until when an op may remain, and what should have removed it then.
struct Rule {
  /// A full name, or a prefix that ends in '.'; the first that fits counts.
  StringLiteral ops;
  Stage last;
  StringLiteral reason;
};

constexpr Rule rules[] = {
    {"builtin.module", Stage::artifact, ""},

    {"moe.model", Stage::input, "moe-expand-layers turns layer ops into tensor ops"},
    {"moe.layers", Stage::input, "moe-expand-layers turns layer ops into tensor ops"},
    {"moe.self_attention", Stage::input, "moe-expand-layers turns layer ops into tensor ops"},
    {"moe.mlp", Stage::input, "moe-expand-layers turns layer ops into tensor ops"},
    {"moe.sparse_mlp", Stage::input, "moe-expand-layers turns layer ops into tensor ops"},
    {"moe.serving", Stage::input,
     "moe-expand-layers builds the entry points that it asks for, if there is a moe.model"},
    {"moe.training", Stage::layers, "moe-apply-optimizer builds the step that it asks for"},

    {"moe.variable", Stage::artifact, ""},
    {"moe.read", Stage::configure, "moe-schedule gives every variable a buffer"},
    {"moe.write", Stage::configure, "moe-schedule gives every variable a buffer"},
    {"moe.", Stage::shard, "moe-outline-kernels has no kernel for it"},

    {"func.", Stage::configure, "moe-schedule flattens functions into programs"},
    {"arith.constant", Stage::shard, "moe-outline-kernels moves constants into kernels"},

    {"moe_kernel.kernel", Stage::schedule, "the target's code generator has no emitter for it"},
    {"moe_kernel.launch", Stage::configure, "moe-schedule turns launches into instructions of a program"},
    {"moe_kernel.slice", Stage::configure, "moe-schedule makes it an offset into a buffer"},
    {"moe_kernel.concat", Stage::configure, "moe-schedule has its operands computed in place"},
    {"moe_exec.", Stage::artifact, ""},
};

const Rule *findRule(StringRef name) {
  const Rule *rule = llvm::find_if(
      rules, [&](const Rule &rule) { return rule.ops.ends_with(".") ? name.starts_with(rule.ops) : name == rule.ops; });
  return rule == std::end(rules) ? nullptr : rule;
}

/// Why `op` may not be there after `stage`, or nothing if it may.
StringRef findReason(Operation *op, Stage stage) {
  const Rule *rule = findRule(op->getName().getStringRef());
  if (!rule)
    return "no stage knows what to do with it";
  if (stage > rule->last)
    return rule->reason;
  auto kernel = dyn_cast<moe_kernel::KernelOp>(op);
  if (kernel && stage >= Stage::configure && !kernel.getConfigAttr() && !kernel.holdsLaunches())
    return "moe-configure has not configured it";
  return "";
}

struct VerifyStagePass : impl::VerifyStagePassBase<VerifyStagePass> {
  using VerifyStagePassBase::VerifyStagePassBase;
  void runOnOperation() override;

private:
  struct Leftover {
    unsigned count = 0;
    Operation *first = nullptr;
  };
  void collectLeftovers(Stage stage);
  void collectRepeatedWrites();
  void add(Operation *op, StringRef reason) {
    Leftover &leftover = leftovers[{op->getName(), reason}];
    if (leftover.count++ == 0)
      leftover.first = op;
  }

  llvm::MapVector<std::pair<OperationName, StringRef>, Leftover> leftovers;
};
} // namespace

void VerifyStagePass::collectLeftovers(Stage stage) {
  getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (StringRef reason = findReason(op, stage); !reason.empty())
      add(op, reason);
    // What a kernel may hold, its verifier and the code generator know.
    return isa<moe_kernel::KernelOp>(op) ? WalkResult::skip() : WalkResult::advance();
  });
}

/// A variable has one value after an entry point. Not in the verifier of moe.write, which sees one op at a time.
void VerifyStagePass::collectRepeatedWrites() {
  getOperation()->walk([&](func::FuncOp function) {
    llvm::DenseSet<Attribute> written;
    function->walk([&](WriteOp write) {
      if (!written.insert(write.getVariableAttr()).second)
        add(write, "its variable is written before in the same function");
    });
  });
}

void VerifyStagePass::runOnOperation() {
  std::optional<Stage> end = symbolizeStage(stage);
  if (!end) {
    emitError(getOperation().getLoc()) << "moe-verify-stage: there is no stage '" << stage
                                       << "'; there are: " << listStages();
    return signalPassFailure();
  }
  markAllAnalysesPreserved();
  leftovers.clear();
  collectLeftovers(*end);
  collectRepeatedWrites();
  if (leftovers.empty())
    return;

  // Not ModuleOp::emitError, which would print the whole module after the message.
  auto diagnostic = emitError(getOperation().getLoc())
                    << "after the stage '" << stage << "', " << leftovers.size()
                    << (leftovers.size() == 1 ? " kind of op is" : " kinds of ops are") << " left over";
  for (const auto &[key, leftover] : leftovers) {
    Diagnostic &note = diagnostic.attachNote(leftover.first->getLoc()) << key.first;
    if (leftover.count > 1)
      note << " and " << leftover.count - 1 << " more";
    note << ": " << key.second;
  }
  signalPassFailure();
}

} // namespace mlir::moe
