//===- FuseHorizontally.cpp - Independent launches as one -------*- C++ -*-===//
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
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEHORIZONTALLYPASS
#include "passes/Configure/Passes.h.inc"

using moe_kernel::KernelOp;
using moe_kernel::LaunchOp;

namespace {

/// Launches that become one.
using Group = SmallVector<LaunchOp, 4>;

class HorizontalFusion {
public:
  HorizontalFusion(ModuleOp module, const Target &target) : target(target), joiner(module) {}

  void fuse(Block &block);

private:
  SmallVector<Group> findGroups(Block &block);
  bool canJoin(ArrayRef<LaunchOp> group, LaunchOp launch);
  void replace(ArrayRef<LaunchOp> group);

  const Target &target;
  LaunchJoiner joiner;
  llvm::DenseSet<StringAttr> explained;
};

} // namespace

/// Nothing that one launch of the group works on in place is an operand of another: one would have to wait for the
/// other.
bool HorizontalFusion::canJoin(ArrayRef<LaunchOp> group, LaunchOp launch) {
  auto overwritesInput = [&](LaunchOp writer, LaunchOp reader) {
    return llvm::any_of(joiner.getWorkedOnInPlace(writer),
                        [&](Value value) { return llvm::is_contained(reader.getInputs(), value); });
  };
  if (llvm::any_of(group,
                   [&](LaunchOp other) { return overwritesInput(other, launch) || overwritesInput(launch, other); }))
    return false;
  for (Value value : joiner.getWorkedOnInPlace(launch))
    if (llvm::count(launch.getInputs(), value) > 1)
      return false;
  SmallVector<KernelOp> together = llvm::map_to_vector(group, [&](LaunchOp other) { return joiner.lookup(other); });
  together.push_back(joiner.lookup(launch));
  return target.fusesHorizontally(together);
}

/// Launches of one depth do not depend on each other. Launches of all groups, ordered by depth, are in an order that
/// respects what depends on what.
SmallVector<Group> HorizontalFusion::findGroups(Block &block) {
  DenseMap<Operation *, unsigned> depths = findLaunchDepths(block);
  llvm::MapVector<unsigned, SmallVector<LaunchOp>> launches;
  for (auto launch : block.getOps<LaunchOp>())
    if (joiner.lookup(launch))
      launches[depths.at(launch)].push_back(launch);
  SmallVector<Group> groups;
  for (auto &[depth, candidates] : launches) {
    SmallVector<Group> open;
    for (LaunchOp launch : candidates) {
      auto group = llvm::find_if(open, [&](const Group &group) { return canJoin(group, launch); });
      if (group != open.end())
        group->push_back(launch);
      else
        open.push_back({launch});
    }
    llvm::copy_if(open, std::back_inserter(groups), [](const Group &group) { return group.size() > 1; });
  }
  return groups;
}

void HorizontalFusion::replace(ArrayRef<LaunchOp> group) {
  DenseMap<Value, Value> replacements;
  LaunchOp joined = joiner.join(
      group, [](Value) { return true; }, replacements);
  for (LaunchOp launch : group) {
    for (Value result : launch->getResults())
      result.replaceAllUsesWith(replacements.at(result));
    launch.erase();
  }
  auto options = remark::RemarkOpts::name("horizontal-fusion").category("configure").function(joined.getKernel());
  if (explained.insert(joined.getKernelAttr().getAttr()).second)
    if (auto remark = remark::passed(joined.getLoc(), options))
      remark << "launches " + std::to_string(group.size()) + " independent kernels at once";
}

void HorizontalFusion::fuse(Block &block) {
  SmallVector<Group> groups = findGroups(block);
  for (const Group &group : groups)
    replace(group);
  if (!groups.empty())
    sortTopologically(&block);
}

namespace {
struct FuseHorizontallyPass : impl::FuseHorizontallyPassBase<FuseHorizontallyPass> {
  void runOnOperation() override {
    std::unique_ptr<Target> target = getTarget(getOperation());
    if (!target)
      return signalPassFailure();
    HorizontalFusion fusion(getOperation(), *target);
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Block &block : function.getBody())
        fusion.fuse(block);
  }
};
} // namespace
} // namespace mlir::moe
