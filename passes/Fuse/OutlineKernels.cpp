//===- OutlineKernels.cpp - Outline groups of ops into kernels --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Fuse/KernelGroups.h"
#include "passes/Fuse/KernelLabels.h"
#include "passes/Fuse/KernelNames.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/RowsBuilder.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::moe {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "passes/Fuse/Passes.h.inc"

using moe_kernel::KernelOp;
using moe_kernel::LaunchOp;

//===----------------------------------------------------------------------===//
// Preparation of a block
//===----------------------------------------------------------------------===//

static void eraseDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

/// A tensor constant lives inside of the kernels that read it. Where anything else reads it (a call, a return, a
/// structured op), a kernel has to write it.
static void materializeConstants(Block &block) {
  for (auto constant : llvm::make_early_inc_range(block.getOps<arith::ConstantOp>())) {
    auto type = dyn_cast<RankedTensorType>(constant.getType());
    auto needsMemory = [](OpOperand &use) {
      return !isKernelSupport(use.getOwner()) && !isa<linalg::GenericOp>(use.getOwner()->getParentOp()) &&
             !isa<linalg::GenericOp>(use.getOwner());
    };
    if (!type || llvm::none_of(constant->getUses(), needsMemory))
      continue;
    OpBuilder builder(constant);
    builder.setInsertionPointAfter(constant);
    RowsBuilder b(constant.getLoc(), builder, "constant");
    SmallVector<int64_t> extents(type.getShape());
    if (extents.empty())
      extents.push_back(1);
    SmallVector<unsigned> loops = llvm::to_vector(llvm::seq<unsigned>(0, extents.size()));
    Value rows = b.compute(extents, {{b.reshape(constant, extents), loops}}, {type.getElementType(), loops},
                           [](ValueRange element) { return element[0]; });
    Value constantInMemory = b.toModelShape(rows, type.getShape());
    constant->replaceUsesWithIf(ValueRange(constantInMemory), needsMemory);
  }
}

/// The reshape that gives a member's result the shape that the model knows it by, if it has another one.
static Operation *findModelShape(Value member) {
  for (Operation *user : member.getUsers())
    if (isReshape(user) && user->hasAttr(kModelShapeAttrName))
      return user;
  return nullptr;
}

/// Lets every other group that reads results of `group` read them in the model's shape: that is what its kernel
/// returns.
static void readInModelShape(const KernelGroup &group) {
  for (Operation *op : group)
    for (Value member : op->getResults()) {
      Operation *reshape = findModelShape(member);
      if (!reshape)
        continue;
      Value seen = reshape->getResult(0);
      OpBuilder builder(reshape->getContext());
      builder.setInsertionPointAfter(reshape);
      for (OpOperand &use : llvm::make_early_inc_range(member.getUses())) {
        Operation *user = use.getOwner();
        if (user == reshape || llvm::is_contained(group, op->getBlock()->findAncestorOpInBlock(*user)))
          continue;
        if (isReshape(user) && user->getResult(0).getType() == seen.getType()) {
          user->getResult(0).replaceAllUsesWith(seen);
          continue;
        }
        Operation *back;
        if (auto expand = dyn_cast<tensor::ExpandShapeOp>(reshape))
          back = tensor::CollapseShapeOp::create(builder, reshape->getLoc(), member.getType(), seen,
                                                 expand.getReassociationIndices());
        else
          back = tensor::ExpandShapeOp::create(builder, reshape->getLoc(), member.getType(), seen,
                                               cast<tensor::CollapseShapeOp>(reshape).getReassociationIndices());
        use.set(back->getResult(0));
      }
    }
}

//===----------------------------------------------------------------------===//
// One kernel
//===----------------------------------------------------------------------===//

namespace {
/// Moves one group of ops into a kernel.
class Outliner {
public:
  Outliner(const KernelGroup &group, SymbolTable &symbols)
      : group(group), members(group.begin(), group.end()), symbols(symbols), builder(group.back()) {}

  void run();

private:
  /// A result of the kernel: `inner`, in the kernel, replaces `outer`, in the function.
  struct Result {
    Value inner, outer;
  };

  bool isStructured() const { return group.front()->hasTrait<moe_kernel::StructuredKernelOp>(); }
  void createKernel();
  Value bringIn(Value value);
  void cloneMembers();
  void sinkScalarConstants();
  void collectResults();
  void addResult(Value outer);
  bool isOutside(OpOperand &use) const;
  void tieArguments();
  void tie(Value input, Value result);
  void finish();

  const KernelGroup &group;
  llvm::SmallPtrSet<Operation *, 8> members;
  SymbolTable &symbols;
  OpBuilder builder;
  KernelOp kernel;
  IRMapping mapping;
  SmallVector<Value> arguments;
  SmallVector<Result> results;
  SmallVector<int64_t> tiedResult; ///< For each argument, or -1.
};
} // namespace

void Outliner::run() {
  createKernel();
  cloneMembers();
  sinkScalarConstants();
  collectResults();
  tieArguments();
  finish();
}

void Outliner::createKernel() {
  OpBuilder::InsertionGuard guard(builder);
  builder.clearInsertionPoint();
  kernel = KernelOp::create(builder, group.back()->getLoc(), "kernel", builder.getFunctionType({}, {}),
                            /*arg_attrs=*/ArrayAttr(), /*res_attrs=*/ArrayAttr(), /*config=*/Attribute());
  kernel.getBody().emplaceBlock();
}

/// The value in the kernel for `value` of the function: a copy of what computes nothing, else an argument.
Value Outliner::bringIn(Value value) {
  if (Value inner = mapping.lookupOrNull(value))
    return inner;
  Block *body = &kernel.getBody().front();
  Operation *producer = value.getDefiningOp();
  // A reshape to the model's shape is what another kernel returns, unless a member of this one is behind it.
  bool isOwn = producer && members.contains(lookThroughReshapes(value).getDefiningOp());
  if (!isStructured() && producer && isKernelSupport(producer) && (isOwn || !producer->hasAttr(kModelShapeAttrName))) {
    for (Value operand : producer->getOperands())
      bringIn(operand);
    if (isReshape(producer))
      for (Operation *user : mapping.lookup(producer->getOperand(0)).getUsers())
        if (isReshape(user) && user->getResult(0).getType() == value.getType()) {
          mapping.map(value, user->getResult(0));
          return user->getResult(0);
        }
    Operation *clone = OpBuilder::atBlockEnd(body).clone(*producer, mapping);
    clone->removeDiscardableAttr(kModelShapeAttrName);
    return clone->getResult(0);
  }
  if (isStructured() && !isa<RankedTensorType>(value.getType())) { // A scalar constant of an epilogue.
    OpBuilder::atBlockEnd(body).clone(*producer, mapping);
    return mapping.lookup(value);
  }
  Value argument = body->addArgument(value.getType(), value.getLoc());
  mapping.map(value, argument);
  arguments.push_back(value);
  return argument;
}

void Outliner::cloneMembers() {
  OpBuilder body = OpBuilder::atBlockEnd(&kernel.getBody().front());
  for (Operation *op : group) {
    forEachOutsideValue(op, [&](Value value) {
      if (!members.contains(value.getDefiningOp()))
        bringIn(value);
    });
    Operation *clone = body.clone(*op, mapping);
    clone->removeDiscardableAttr(kLabelsAttrName);
    clone->removeDiscardableAttr(kInPlaceAttrName);
    clone->removeDiscardableAttr(kBatchAttrName);
    clone->removeDiscardableAttr(kKernelAttrName);
  }
}

/// Bodies and epilogues hold their own scalar constants (other passes hoist them).
void Outliner::sinkScalarConstants() {
  for (auto constant : llvm::make_early_inc_range(kernel.getBody().front().getOps<arith::ConstantOp>())) {
    if (isa<RankedTensorType>(constant.getType()))
      continue;
    DenseMap<Block *, Value> copies;
    for (OpOperand &use : llvm::make_early_inc_range(constant->getUses())) {
      Block *user = use.getOwner()->getBlock();
      if (user == constant->getBlock())
        continue;
      Value &copy = copies[user];
      if (!copy)
        copy = OpBuilder::atBlockBegin(user).clone(*constant)->getResult(0);
      use.set(copy);
    }
    if (constant->use_empty())
      constant.erase();
  }
}

void Outliner::addResult(Value outer) {
  Value inner = mapping.lookupOrNull(outer);
  if (!inner) { // A reshape of a member's result.
    Operation *reshape = OpBuilder::atBlockEnd(&kernel.getBody().front()).clone(*outer.getDefiningOp(), mapping);
    reshape->removeDiscardableAttr(kModelShapeAttrName);
    inner = reshape->getResult(0);
  }
  results.push_back({inner, outer});
}

/// Whether anything but members of the group reads what `use` is, or views of it.
bool Outliner::isOutside(OpOperand &use) const {
  if (isReshape(use.getOwner()))
    return llvm::any_of(use.getOwner()->getUses(), [&](OpOperand &view) { return isOutside(view); });
  return !members.contains(group.front()->getBlock()->findAncestorOpInBlock(*use.getOwner()));
}

void Outliner::collectResults() {
  for (Operation *op : group)
    for (Value result : op->getResults()) {
      // A structured op stores all of its results whether they are read or not.
      if (!isStructured() && llvm::none_of(result.getUses(), [&](OpOperand &use) { return isOutside(use); }))
        continue;
      Operation *reshape = findModelShape(result);
      addResult(reshape ? reshape->getResult(0) : result);
    }
}

/// Ties the argument behind `input` to the result behind `result`, both values of the function.
void Outliner::tie(Value input, Value result) {
  while (isReshape(input.getDefiningOp()))
    input = input.getDefiningOp()->getOperand(0);
  auto argument = llvm::find(arguments, input);
  auto tied = llvm::find_if(results, [&](const Result &candidate) {
    Operation *reshape = candidate.outer.getDefiningOp();
    return candidate.outer == result || (isReshape(reshape) && reshape->getOperand(0) == result);
  });
  if (argument != arguments.end() && tied != results.end() && tied->outer.getType() == input.getType())
    tiedResult[argument - arguments.begin()] = tied - results.begin();
}

void Outliner::tieArguments() {
  tiedResult.assign(arguments.size(), -1);
  for (Operation *op : group) {
    if (auto append = dyn_cast<moe_kernel::CacheAppendOp>(op))
      tie(append.getCache(), append.getResult());
    if (auto inPlace = op->getAttrOfType<DenseI64ArrayAttr>(kInPlaceAttrName))
      for (auto [result, input] : llvm::zip_equal(op->getResults(), inPlace.asArrayRef()))
        if (input >= 0)
          tie(op->getOperand(input), result);
  }
}

/// Erases the views of what `op` computed: what read them is gone, or reads what the launch returns.
static void eraseReshapes(Operation *op) {
  for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
    assert(isReshape(user) && "only replaced reshapes can be left");
    eraseReshapes(user);
    user->erase();
  }
}

void Outliner::finish() {
  Location location = kernel.getLoc();
  auto inner = llvm::map_to_vector(results, [](const Result &result) { return result.inner; });
  auto outer = llvm::map_to_vector(results, [](const Result &result) { return result.outer; });
  OpBuilder body = OpBuilder::atBlockEnd(&kernel.getBody().front());
  moe_kernel::ReturnOp::create(body, location, inner);
  kernel.setFunctionType(builder.getFunctionType(ValueRange(arguments).getTypes(), ValueRange(inner).getTypes()));
  for (auto [index, result] : llvm::enumerate(tiedResult))
    if (result >= 0)
      kernel.setArgAttr(index, moe_kernel::kTiedAttrName, builder.getI64IntegerAttr(result));
  kernel.setSymName(getKernelName(group, kernel.getResultTypes()));
  symbols.insert(kernel);

  builder.setInsertionPoint(group.back());
  auto launch = LaunchOp::create(builder, location, ValueRange(inner).getTypes(), kernel.getSymName(), arguments,
                                 /*label=*/StringAttr());
  for (auto [replaced, replacement] : llvm::zip_equal(outer, launch.getResults()))
    replaced.replaceAllUsesWith(replacement);
  for (Operation *op : llvm::reverse(group)) {
    eraseReshapes(op);
    op->erase();
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct OutlineKernelsPass : impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      for (Block &block : function.getBody()) {
        eraseDeadOps(block);
        materializeConstants(block);
        SmallVector<KernelGroup> groups = groupKernels(block);
        llvm::for_each(groups, readInModelShape);
        for (const KernelGroup &group : groups)
          Outliner(group, symbols).run();
        sortTopologically(&block);
        eraseDeadOps(block);
      }
  }
};
} // namespace
} // namespace mlir::moe
