//===- FuseHorizontally.cpp - Independent launches as one -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Configure/Passes.h"

#include "passes/Target/Target.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
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
  HorizontalFusion(ModuleOp module, const Target &target) : module(module), target(target), symbols(module) {}

  void fuse(Block &block);

private:
  SmallVector<Group> findGroups(Block &block);
  KernelOp lookup(LaunchOp launch) { return symbols.lookup<KernelOp>(launch.getKernel()); }
  bool canJoin(ArrayRef<LaunchOp> group, LaunchOp launch);
  SmallVector<unsigned> getWorkedOnInPlace(LaunchOp launch);
  void replace(Group &group);
  KernelOp getKernel(Group &group, ValueRange arguments, ArrayRef<SmallVector<unsigned>> operands);
  void explain(KernelOp kernel, Group &group);

  ModuleOp module;
  const Target &target;
  SymbolTable symbols;
  llvm::StringMap<KernelOp> kernels; ///< Made here, by what they launch on which arguments.
};

} // namespace

/// The operands that the launch works on in place.
SmallVector<unsigned> HorizontalFusion::getWorkedOnInPlace(LaunchOp launch) {
  KernelOp kernel = lookup(launch);
  return llvm::filter_to_vector(llvm::seq<unsigned>(0, launch.getInputs().size()),
                                [&](unsigned operand) { return kernel.getTiedResult(operand).has_value(); });
}

/// Nothing that one launch of the group works on in place is an operand of another: one would have to wait for the other.
bool HorizontalFusion::canJoin(ArrayRef<LaunchOp> group, LaunchOp launch) {
  auto overwritesInput = [&](LaunchOp writer, LaunchOp reader) {
    return llvm::any_of(getWorkedOnInPlace(writer), [&](unsigned operand) {
      return llvm::is_contained(reader.getInputs(), writer.getInputs()[operand]);
    });
  };
  if (llvm::any_of(group,
                   [&](LaunchOp other) { return overwritesInput(other, launch) || overwritesInput(launch, other); }))
    return false;
  for (unsigned operand : getWorkedOnInPlace(launch))
    if (llvm::count(launch.getInputs(), launch.getInputs()[operand]) > 1)
      return false;
  SmallVector<KernelOp> together = llvm::map_to_vector(group, [&](LaunchOp other) { return lookup(other); });
  together.push_back(lookup(launch));
  return target.fusesHorizontally(together);
}

/// Launches of one depth do not depend on each other: the depth of a launch is one more than the largest of those whose
/// results it needs. Launches of all groups, ordered by depth, are in an order that respects what depends on what.
SmallVector<Group> HorizontalFusion::findGroups(Block &block) {
  DenseMap<Operation *, unsigned> depths;
  llvm::MapVector<unsigned, SmallVector<LaunchOp>> launches;
  for (Operation &op : block) {
    unsigned depth = 0;
    for (Value operand : op.getOperands())
      depth = std::max(depth, depths.lookup(operand.getDefiningOp()));
    bool takesTime = isa<LaunchOp, func::CallOp>(op);
    depths[&op] = depth + takesTime;
    auto launch = dyn_cast<LaunchOp>(op);
    if (launch && lookup(launch) && !lookup(launch).holdsLaunches())
      launches[depth].push_back(launch);
  }
  SmallVector<Group> groups;
  for (auto &[depth, candidates] : launches) {
    SmallVector<Group> open;
    for (LaunchOp launch : candidates) {
      auto group = llvm::find_if(open, [&](Group &group) { return canJoin(group, launch); });
      if (group != open.end())
        group->push_back(launch);
      else
        open.push_back({launch});
    }
    llvm::copy_if(open, std::back_inserter(groups), [](Group &group) { return group.size() > 1; });
  }
  return groups;
}

void HorizontalFusion::explain(KernelOp kernel, Group &group) {
  auto options = remark::RemarkOpts::name("horizontal-fusion").category("configure").function(kernel.getSymName());
  if (auto remark = remark::passed(kernel.getLoc(), options))
    remark << "launches " + std::to_string(group.size()) + " independent kernels at once";
}

/// The kernel that launches those of `group`; `operands` says which of its arguments are theirs.
KernelOp HorizontalFusion::getKernel(Group &group, ValueRange arguments,
                                     ArrayRef<SmallVector<unsigned>> operands) {
  std::string name, key;
  llvm::raw_string_ostream out(key);
  for (auto [launch, numbers] : llvm::zip_equal(group, operands)) {
    name += (name.empty() ? "" : "_and_") + launch.getKernel().str();
    out << launch.getKernel() << "(";
    llvm::interleaveComma(numbers, out);
    out << ")";
  }
  KernelOp &kernel = kernels[key];
  if (kernel)
    return kernel;
  Location location = group.front().getLoc();
  OpBuilder builder(module.getContext());
  kernel = KernelOp::create(builder, location, name, builder.getFunctionType(arguments.getTypes(), {}),
                            /*arg_attrs=*/ArrayAttr(), /*res_attrs=*/ArrayAttr(), /*config=*/Attribute());
  Block &body = kernel.getBody().emplaceBlock();
  body.addArguments(arguments.getTypes(), SmallVector<Location>(arguments.size(), location));
  builder.setInsertionPointToStart(&body);
  SmallVector<Value> results;
  SmallVector<std::pair<unsigned, unsigned>> tied; // Argument and result.
  for (auto [launch, numbers] : llvm::zip_equal(group, operands)) {
    KernelOp part = lookup(launch);
    for (auto [operand, argument] : llvm::enumerate(numbers))
      if (std::optional<unsigned> result = part.getTiedResult(operand))
        tied.emplace_back(argument, results.size() + *result);
    auto inputs = llvm::map_to_vector(numbers, [&](unsigned number) -> Value { return body.getArgument(number); });
    auto inner = LaunchOp::create(builder, launch.getLoc(), launch.getResultTypes(), launch.getKernelAttr(), inputs,
                                  /*label=*/StringAttr());
    llvm::append_range(results, inner.getResults());
  }
  moe_kernel::ReturnOp::create(builder, location, results);
  kernel.setFunctionType(builder.getFunctionType(arguments.getTypes(), ValueRange(results).getTypes()));
  for (auto [argument, result] : tied)
    kernel.setArgAttr(argument, moe_kernel::kTiedAttrName, builder.getI64IntegerAttr(result));
  symbols.insert(kernel);
  explain(kernel, group);
  return kernel;
}

void HorizontalFusion::replace(Group &group) {
  llvm::SetVector<Value> arguments;
  SmallVector<SmallVector<unsigned>> operands;
  for (LaunchOp launch : group) {
    SmallVector<unsigned> &numbers = operands.emplace_back();
    for (Value input : launch.getInputs()) {
      arguments.insert(input);
      numbers.push_back(llvm::find(arguments, input) - arguments.begin());
    }
  }
  KernelOp kernel = getKernel(group, arguments.getArrayRef(), operands);
  // Labels name a place in the model: the first one's, if they differ.
  OpBuilder builder(group.back());
  auto fused = LaunchOp::create(builder, group.front().getLoc(), kernel.getResultTypes(),
                                FlatSymbolRefAttr::get(kernel.getSymNameAttr()), arguments.getArrayRef(),
                                group.front().getLabelAttr());
  ResultRange results = fused.getResults();
  for (LaunchOp launch : group) {
    launch.replaceAllUsesWith(results.take_front(launch.getNumResults()));
    results = results.drop_front(launch.getNumResults());
    launch.erase();
  }
}

void HorizontalFusion::fuse(Block &block) {
  SmallVector<Group> groups = findGroups(block);
  for (Group &group : groups)
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
