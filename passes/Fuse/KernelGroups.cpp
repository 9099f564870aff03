//===- KernelGroups.cpp - Which ops of a function share a kernel --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/KernelGroups.h"

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "dialects/MoEKernel/IR/Rows.h"
#include "passes/Fuse/RowsBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::moe {

bool isReshape(Operation *op) { return isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op); }

bool isKernelSupport(Operation *op) {
  return isReshape(op) || isa_and_nonnull<tensor::EmptyOp, linalg::FillOp, arith::ConstantOp>(op);
}

Value lookThroughReshapes(Value value) {
  while (isReshape(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

void forEachOutsideValue(Operation *op, function_ref<void(Value)> callback) {
  op->walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (!op->isProperAncestor(operand.getParentBlock()->getParentOp()) &&
          operand.getParentBlock()->getParentOp() != op)
        callback(operand);
  });
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static int64_t getNumRows(linalg::GenericOp op) { return op.getStaticLoopRanges().front(); }

static bool hasRows(linalg::GenericOp op) {
  return op.getNumLoops() > 0 && op.getIteratorTypesArray().front() == utils::IteratorType::parallel;
}

/// Whether the first dimension of a tensor, and no other, is indexed by the first loop.
static bool isIndexedByRow(AffineMap map) {
  if (map.getNumResults() == 0 || map.getResult(0) != getAffineDimExpr(0, map.getContext()))
    return false;
  return llvm::none_of(map.getResults().drop_front(), [](AffineExpr result) { return result.isFunctionOfDim(0); });
}

/// Whether `op` adds up `rows` rows, chunk by chunk.
static bool accumulates(linalg::GenericOp op, int64_t rows) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  return op->hasAttr(moe_kernel::kAccumulatesAttrName) && extents[0] != rows && extents[0] * extents[1] == rows;
}

/// Whether the first two dimensions of a tensor, and no others, are indexed by the first two loops.
static bool isIndexedByChunkAndRow(AffineMap map) {
  MLIRContext *context = map.getContext();
  return map.getNumResults() >= 2 && map.getResult(0) == getAffineDimExpr(0, context) &&
         map.getResult(1) == getAffineDimExpr(1, context) &&
         llvm::none_of(map.getResults().drop_front(2),
                       [](AffineExpr result) { return result.isFunctionOfDim(0) || result.isFunctionOfDim(1); });
}

/// Whether `op` reads `value`, of `rows` rows, only in the row that it computes.
static bool readsOwnRowOnly(linalg::GenericOp op, Value value, int64_t rows) {
  bool inChunks = accumulates(op, rows);
  ArrayRef<int64_t> shape = shapeOf(value);
  int64_t leading = inChunks ? 2 : 1;
  if (static_cast<int64_t>(shape.size()) < leading || llvm::product_of(shape.take_front(leading)) != rows)
    return false;
  for (OpOperand &operand : op->getOpOperands()) {
    if (operand.get() != value)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!(inChunks ? isIndexedByChunkAndRow(map) : isIndexedByRow(map)))
      return false;
  }
  WalkResult gathers = op.getRegion().walk([&](Operation *nested) {
    if (!llvm::is_contained(nested->getOperands(), value))
      return WalkResult::advance();
    auto extract = dyn_cast<tensor::ExtractOp>(nested);
    if (!extract || extract.getIndices().empty() || inChunks)
      return WalkResult::interrupt();
    if (shape.front() == 1) // There is no other row.
      return WalkResult::advance();
    auto row = extract.getIndices().front().getDefiningOp<linalg::IndexOp>();
    return row && row.getDim() == 0 ? WalkResult::advance() : WalkResult::interrupt();
  });
  return !gathers.wasInterrupted();
}

/// Whether the ops of `group` depend on each other within rows only.
static bool isRowLocal(ArrayRef<Operation *> group) {
  int64_t rows = 0;
  for (Operation *member : group)
    rows = std::max(rows, getNumRows(cast<linalg::GenericOp>(member)));
  for (Operation *member : group) {
    auto op = cast<linalg::GenericOp>(member);
    bool local = getNumRows(op) == rows || accumulates(op, rows);
    forEachOutsideValue(op, [&](Value value) {
      Value source = lookThroughReshapes(value);
      auto producer = source.getDefiningOp<linalg::GenericOp>();
      if (!producer || !llvm::is_contained(group, producer))
        return;
      unsigned result = cast<OpResult>(source).getResultNumber();
      local &= !accumulates(producer, rows) &&
               isIndexedByRow(producer.getIndexingMapMatchingResult(producer->getOpResult(result))) &&
               readsOwnRowOnly(op, value, rows);
    });
    if (!local)
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Grouping
//===----------------------------------------------------------------------===//

/// Whether the results of `op`, reshaped or not, are only written to variables or returned.
[[maybe_unused]] static bool readByWritesOnly(Operation *op) {
  return llvm::all_of(op->getUsers(), [](Operation *user) {
    return isReshape(user) ? readByWritesOnly(user) : user->getNumResults() == 0;
  });
}

namespace {
class Grouping {
public:
  explicit Grouping(Block &block) : block(block) {}

  void addStructured(Operation *op) { startGroup(op); }
  void addGeneric(linalg::GenericOp op);
  void addToBatch(linalg::GenericOp op, int64_t size);
  /// The groups in the order of their last ops.
  SmallVector<KernelGroup> take();

private:
  unsigned startGroup(Operation *op) {
    groupOf[op] = groups.size();
    groups.push_back({op});
    return groups.size() - 1;
  }
  bool canMerge(unsigned a, unsigned b) const;
  bool isConvex(ArrayRef<Operation *> ops) const;
  void merge(unsigned from, unsigned into);

  Block &block;
  SmallVector<KernelGroup> groups; ///< Merged ones stay as empty groups.
  DenseMap<Operation *, unsigned> groupOf;
  DenseMap<Attribute, Operation *> together; ///< The last op that has this attribute.
  DenseMap<Attribute, unsigned> batches; ///< The group that the next op on operands of these types joins.
};
} // namespace

void Grouping::addGeneric(linalg::GenericOp op) {
  unsigned group = startGroup(op);
  if (!hasRows(op))
    return;
  llvm::SmallSetVector<unsigned, 4> candidates;
  forEachOutsideValue(op, [&](Value value) {
    auto producer = lookThroughReshapes(value).getDefiningOp<linalg::GenericOp>();
    if (producer && producer->getBlock() == &block && hasRows(producer))
      candidates.insert(groupOf.lookup(producer));
  });
  if (Attribute kernel = op->getAttr(kKernelAttrName))
    if (Operation *previous = std::exchange(together[kernel], op))
      candidates.insert(groupOf.lookup(previous));
  for (unsigned candidate : candidates)
    if (canMerge(candidate, group))
      merge(candidate, group);
}

void Grouping::addToBatch(linalg::GenericOp op, int64_t size) {
  assert(readByWritesOnly(op) && "only an op that no other kernel needs can wait for others of its kind");
  // The types that the kernel's arguments will have.
  auto types = llvm::map_to_vector(op->getOperands(), [](Value operand) {
    Operation *producer = operand.getDefiningOp();
    return isReshape(producer) ? producer->getOperand(0).getType() : operand.getType();
  });
  auto [batch, isNew] = batches.try_emplace(OpBuilder(op.getContext()).getTypeArrayAttr(types), 0);
  if (!isNew && groups[batch->second].size() < static_cast<size_t>(size)) {
    groupOf[op] = batch->second;
    groups[batch->second].push_back(op);
    return;
  }
  batch->second = startGroup(op);
}

bool Grouping::canMerge(unsigned a, unsigned b) const {
  KernelGroup together = groups[a];
  llvm::append_range(together, groups[b]);
  return isRowLocal(together) && isConvex(together);
}

/// Follows what depends on `ops` through the ops before the last of them, an op of another group standing for all of
/// its group, and sees whether it comes back.
bool Grouping::isConvex(ArrayRef<Operation *> ops) const {
  llvm::SmallPtrSet<Operation *, 16> inside(ops.begin(), ops.end()), dependent;
  auto isBefore = [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); };
  Operation *first = *llvm::min_element(ops, isBefore), *last = *llvm::max_element(ops, isBefore);

  for (bool changed = true; changed;) {
    changed = false;
    for (Operation *op = first; op != last->getNextNode(); op = op->getNextNode()) {
      if (isReshape(op)) // It is in every group that reads it.
        continue;
      bool dependsOnInside = false, dependsOnDependent = false;
      forEachOutsideValue(op, [&](Value value) {
        Operation *producer = lookThroughReshapes(value).getDefiningOp();
        dependsOnInside |= inside.contains(producer);
        dependsOnDependent |= dependent.contains(producer);
      });
      if (inside.contains(op)) {
        if (dependsOnDependent)
          return false;
        continue;
      }
      if (!(dependsOnInside || dependsOnDependent) || !dependent.insert(op).second)
        continue;
      changed = true;
      auto group = groupOf.find(op);
      if (group == groupOf.end())
        continue;
      for (Operation *member : groups[group->second]) {
        dependent.insert(member);
        if (member->isBeforeInBlock(first))
          first = member;
      }
    }
  }
  return true;
}

void Grouping::merge(unsigned from, unsigned into) {
  for (Operation *op : groups[from])
    groupOf[op] = into;
  llvm::append_range(groups[into], groups[from]);
  groups[from].clear();
}

SmallVector<KernelGroup> Grouping::take() {
  llvm::erase_if(groups, [](const KernelGroup &group) { return group.empty(); });
  auto isBefore = [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); };
  for (KernelGroup &group : groups)
    llvm::sort(group, isBefore);
  llvm::sort(groups, [&](const KernelGroup &a, const KernelGroup &b) { return isBefore(a.back(), b.back()); });
  return std::move(groups);
}

SmallVector<KernelGroup> groupKernels(Block &block) {
  Grouping grouping(block);
  for (Operation &op : block) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    auto batch = op.getAttrOfType<IntegerAttr>(kBatchAttrName);
    if (generic && batch)
      grouping.addToBatch(generic, batch.getInt());
    else if (generic)
      grouping.addGeneric(generic);
    else if (op.hasTrait<moe_kernel::StructuredKernelOp>())
      grouping.addStructured(&op);
  }
  return grouping.take();
}

} // namespace mlir::moe
