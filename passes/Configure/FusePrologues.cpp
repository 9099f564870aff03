//===- FusePrologues.cpp - Rows computed where they are read ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Configure/JoinLaunches.h"
#include "passes/Configure/Passes.h"

#include "passes/Target/Target.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEPROLOGUESPASS
#include "passes/Configure/Passes.h.inc"

using moe_kernel::KernelOp;
using moe_kernel::LaunchOp;

namespace {
class PrologueFusion {
public:
  PrologueFusion(ModuleOp module, const Target &target) : target(target), joiner(module) {}

  void fuse(Block &block);

private:
  void fuse(LaunchOp producer);
  Attribute getConfig(LaunchOp producer, LaunchOp reader);
  LaunchOp getProducer(LaunchOp producer, Attribute config);
  void replace(LaunchOp producer, LaunchOp reader, bool returnsRows);

  const Target &target;
  LaunchJoiner joiner;
  llvm::DenseSet<StringAttr> explained;
  llvm::SmallPtrSet<Operation *, 16> erased;
};
} // namespace

/// The configuration with which the target runs `producer` as a prologue of `reader`; null if it does not.
Attribute PrologueFusion::getConfig(LaunchOp producer, LaunchOp reader) {
  KernelOp rows = joiner.lookup(producer), kernel = joiner.lookup(reader);
  if (!kernel || kernel.holdsLaunches() || reader->getBlock() != producer->getBlock() ||
      llvm::count(reader.getInputs(), producer.getResult(0)) != 1)
    return {};
  // What the reader works on in place, other blocks may read in their prologue.
  for (Value value : joiner.getWorkedOnInPlace(reader))
    if (value == producer.getResult(0) || llvm::is_contained(producer.getInputs(), value))
      return {};
  unsigned operand = llvm::find(reader.getInputs(), producer.getResult(0)) - reader.getInputs().begin();
  return target.configurePrologue(rows, kernel, operand);
}

/// The same launch with the kernel configured so.
LaunchOp PrologueFusion::getProducer(LaunchOp producer, Attribute config) {
  KernelOp kernel = joiner.lookup(producer);
  if (kernel.getConfigAttr() == config)
    return producer;
  std::string name = (kernel.getSymName() + "_prologue").str();
  auto configured = joiner.getSymbols().lookup<KernelOp>(name);
  if (!configured || configured.getConfigAttr() != config) {
    configured = kernel.clone();
    configured.setConfigAttr(config);
    configured.setSymName(name);
    joiner.getSymbols().insert(configured);
  }
  producer.setKernelAttr(FlatSymbolRefAttr::get(configured.getSymNameAttr()));
  return producer;
}

void PrologueFusion::replace(LaunchOp producer, LaunchOp reader, bool returnsRows) {
  DenseMap<Value, Value> replacements;
  Value rows = producer.getResult(0);
  LaunchOp joined = joiner.join(
      {producer, reader}, [&](Value value) { return value != rows || returnsRows; }, replacements);
  for (Value result : reader->getResults())
    result.replaceAllUsesWith(replacements.at(result));
  auto options = remark::RemarkOpts::name("prologue").category("configure").function(reader.getKernel());
  if (explained.insert(joined.getKernelAttr().getAttr()).second)
    if (auto remark = remark::passed(joined.getLoc(), options))
      remark << ("computes " + producer.getKernel() + " itself").str();
  erased.insert(reader);
  reader.erase();
  if (returnsRows)
    rows.replaceAllUsesWith(replacements.at(rows));
}

/// Gives the rows to all that read them; where one cannot compute them itself, it must come later than one that can,
/// whose launch then has them as a result.
void PrologueFusion::fuse(LaunchOp producer) {
  KernelOp kernel = joiner.lookup(producer);
  if (!kernel || kernel.holdsLaunches() || producer.getNumResults() != 1 ||
      !joiner.getWorkedOnInPlace(producer).empty())
    return;
  SmallVector<LaunchOp> readers;
  SmallVector<Operation *> others;
  Attribute config;
  for (Operation *user : llvm::SetVector<Operation *>(producer->user_begin(), producer->user_end())) {
    auto reader = dyn_cast<LaunchOp>(user);
    Attribute wanted = reader ? getConfig(producer, reader) : Attribute();
    if (wanted && (!config || config == wanted)) {
      config = wanted;
      readers.push_back(reader);
    } else {
      others.push_back(user);
    }
  }
  if (readers.empty())
    return;
  llvm::sort(readers, [](LaunchOp a, LaunchOp b) { return a->isBeforeInBlock(b); });
  if (!others.empty()) {
    DenseMap<Operation *, unsigned> depths = findLaunchDepths(*producer->getBlock());
    unsigned depth = depths.lookup(readers.front());
    for (Operation *other : others)
      if (!other->hasTrait<OpTrait::IsTerminator>() && depths.lookup(other) <= depth)
        return;
  }
  producer = getProducer(producer, config);
  for (LaunchOp reader : llvm::drop_begin(readers))
    replace(producer, reader, /*returnsRows=*/false);
  replace(producer, readers.front(), /*returnsRows=*/!others.empty());
  erased.insert(producer);
  Block *block = producer->getBlock();
  producer.erase();
  sortTopologically(block);
}

void PrologueFusion::fuse(Block &block) {
  erased.clear();
  for (LaunchOp launch : llvm::to_vector(block.getOps<LaunchOp>()))
    if (!erased.contains(launch))
      fuse(launch);
}

namespace {
struct FuseProloguesPass : impl::FuseProloguesPassBase<FuseProloguesPass> {
  void runOnOperation() override {
    std::unique_ptr<Target> target = getTarget(getOperation());
    if (!target)
      return signalPassFailure();
    PrologueFusion fusion(getOperation(), *target);
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Block &block : function.getBody())
        fusion.fuse(block);
  }
};
} // namespace
} // namespace mlir::moe
