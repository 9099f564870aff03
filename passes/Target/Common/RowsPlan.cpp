//===- RowsPlan.cpp - How the loops of a rows kernel run --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/RowsPlan.h"

#include "dialects/MoEKernel/IR/Rows.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/STLExtras.h"

namespace mlir::moe::target {

Value getRoot(Value tensor) {
  while (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(tensor.getDefiningOp()))
    tensor = tensor.getDefiningOp()->getOperand(0);
  return tensor;
}

Operation *PlannedOp::getCombiner(unsigned index) const {
  SmallVector<Operation *> combiners;
  if (!matchReduction(op.getRegionOutputArgs(), index, combiners) || combiners.size() != 1)
    return nullptr;
  return arith::getNeutralElement(combiners.front()) ? combiners.front() : nullptr;
}

int64_t RowsPlan::getRowSize(Value root) const {
  int64_t size = cast<ShapedType>(root.getType()).getNumElements();
  return kind == Kind::rows ? size / extent : size;
}

namespace {

/// Whether `value`, in the body of `planned`, depends on the loop `dim`.
bool dependsOn(Value value, unsigned dim, const PlannedOp &planned) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() != planned.op.getBody())
      return false;
    return planned.accesses[argument.getArgNumber()].strides[dim] != 0;
  }
  Operation *op = value.getDefiningOp();
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return index.getDim() == dim;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return !isa<TensorType>(operand.getType()) && dependsOn(operand, dim, planned);
  });
}

/// Whether `value` counts up with the loop `dim`: its index, plus what does not depend on it, perhaps wrapped around.
bool countsUpWith(Value value, unsigned dim, const PlannedOp &planned) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return index.getDim() == dim;
  if (isa<arith::IndexCastOp, arith::RemUIOp, arith::RemSIOp>(op))
    return countsUpWith(op->getOperand(0), dim, planned);
  if (isa<arith::AddIOp>(op))
    for (auto [a, b] : {std::pair(0, 1), std::pair(1, 0)})
      if (countsUpWith(op->getOperand(a), dim, planned) && !dependsOn(op->getOperand(b), dim, planned))
        return true;
  return false;
}

class Planner {
public:
  Planner(moe_kernel::KernelOp kernel, int64_t vectorWidth, int64_t enoughRows)
      : kernel(kernel), vectorWidth(vectorWidth), enoughRows(enoughRows) {}

  FailureOr<RowsPlan> run();

private:
  LogicalResult collect();
  LogicalResult addGeneric(linalg::GenericOp op);
  LogicalResult checkInPlace();
  void chooseLoops();
  void measure();

  bool planColumns();
  bool planByRows(int64_t rows);
  SmallVector<int64_t> getRowCandidates() const;
  std::optional<PlannedLoop> getRowLoop(const PlannedOp &planned, int64_t rows) const;
  bool findChunk();
  bool staysInRow(const PlannedOp &planned, int64_t rows) const;
  bool mayBeColumns(const PlannedOp &planned) const;

  SmallVector<PlannedLoop> getLoops(const PlannedOp &planned) const;
  bool canMerge(const PlannedOp &planned, unsigned dim, unsigned next) const;
  int64_t getVectorCost(const PlannedOp &planned, const PlannedLoop &loop) const;
  bool chooseVector(PlannedOp &planned);
  void formNests();
  bool canJoin(const PlannedNest &nest, const PlannedOp &planned) const;
  void findScratch();

  bool isReduction(const PlannedOp &planned, unsigned dim) const {
    return planned.op.getIteratorTypesArray()[dim] == utils::IteratorType::reduction;
  }
  bool isIndexed(const PlannedOp &planned, unsigned dim) const {
    return llvm::any_of(planned.op.getBody()->getOps<linalg::IndexOp>(),
                        [&](linalg::IndexOp index) { return index.getDim() == dim; });
  }
  /// Whether ops of the kernel write to the memory of `root`.
  bool isWritten(Value root) const { return root.getDefiningOp<linalg::GenericOp>() || tiedRoots.contains(root); }
  int64_t getSize(Value root) const { return cast<ShapedType>(root.getType()).getNumElements(); }

  moe_kernel::KernelOp kernel;
  int64_t vectorWidth, enoughRows;
  RowsPlan plan;
  DenseMap<Value, Value> tiedRoots; ///< Arguments computed in place, and the result that takes their memory.
};

/// The distance of elements along each dimension of `type`.
SmallVector<int64_t> getStrides(RankedTensorType type) {
  SmallVector<int64_t> strides(type.getRank(), 1);
  for (int64_t i = type.getRank() - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * type.getDimSize(i + 1);
  return strides;
}

/// Whether `operand`, if its elements are read, has any that are known.
LogicalResult checkReadable(linalg::GenericOp op, OpOperand &operand) {
  Operation *root = getRoot(operand.get()).getDefiningOp();
  bool isRead = !op.getMatchingBlockArgument(&operand).use_empty();
  if (isRead && isa_and_nonnull<tensor::EmptyOp>(root))
    return op.emitOpError() << "reads operand " << operand.getOperandNumber() << ", which is a tensor.empty";
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(root); fill && !fill.value().getDefiningOp<arith::ConstantOp>())
    return fill.emitOpError() << "fills with something other than a constant";
  return success();
}

LogicalResult Planner::addGeneric(linalg::GenericOp op) {
  auto planned = std::make_unique<PlannedOp>();
  planned->op = op;
  planned->extents = op.getStaticLoopRanges();
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type || !map.isProjectedPermutation())
      return op.emitOpError() << "operand " << operand.getOperandNumber()
                              << " is not a tensor indexed by distinct loops, which is the only form supported";
    if (failed(checkReadable(op, operand)))
      return failure();
    OperandAccess access{getRoot(operand.get()), SmallVector<int64_t>(op.getNumLoops(), 0)};
    for (auto [result, stride] : llvm::zip_equal(map.getResults(), getStrides(type)))
      access.strides[cast<AffineDimExpr>(result).getPosition()] = stride;
    planned->accesses.push_back(std::move(access));
  }
  for (Operation &inner : op.getBody()->without_terminator()) {
    bool isSupported =
        inner.getNumRegions() == 0 && inner.getNumResults() == 1 &&
        isa<arith::ArithDialect, math::MathDialect, linalg::LinalgDialect, tensor::TensorDialect>(inner.getDialect());
    if (!isSupported)
      return inner.emitOpError() << "is not supported in a rows kernel; there are arith, math, linalg.index and "
                                    "tensor.extract";
    if (auto extract = dyn_cast<tensor::ExtractOp>(inner))
      if (isa_and_nonnull<tensor::EmptyOp, linalg::FillOp>(getRoot(extract.getTensor()).getDefiningOp()))
        return extract.emitOpError() << "reads a tensor that nothing has computed";
  }
  plan.ops.push_back(std::move(planned));
  return success();
}

LogicalResult Planner::collect() {
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      if (failed(addGeneric(generic)))
        return failure();
    } else if (!isa<linalg::FillOp, tensor::EmptyOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, arith::ConstantOp>(
                   op)) {
      return op.emitOpError() << "is not supported in a rows kernel; there are linalg.generic, linalg.fill, "
                                 "tensor.empty, tensor.expand_shape, tensor.collapse_shape and arith.constant";
    }
  }
  ValueRange returned = kernel.getBody().front().getTerminator()->getOperands();
  DenseSet<Value> seen;
  for (auto [index, value] : llvm::enumerate(returned)) {
    Value root = getRoot(value);
    if (!root.getDefiningOp<linalg::GenericOp>() || !seen.insert(root).second)
      return kernel.emitOpError() << "result " << index << " is not the result of a linalg.generic of its own";
  }
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    if (std::optional<unsigned> result = kernel.getTiedResult(i))
      tiedRoots[kernel.getArgument(i)] = getRoot(returned[*result]);
  return checkInPlace();
}

/// An argument computed in place may be read by the op that writes it, at the element it writes, and by ops before
/// that.
LogicalResult Planner::checkInPlace() {
  for (auto [argument, result] : tiedRoots) {
    bool isWritten = false;
    for (auto &planned : plan.ops) {
      bool writes = result.getDefiningOp() == planned->op;
      const OperandAccess *output = writes ? &planned->getOutputs()[cast<OpResult>(result).getResultNumber()] : nullptr;
      auto fails = [&](StringRef why) {
        return planned->op.emitOpError() << "reads argument " << cast<BlockArgument>(argument).getArgNumber()
                                         << " of the kernel " << why
                                         << ", but the kernel computes a result in its memory";
      };
      for (const OperandAccess &access : planned->accesses) {
        if (access.root != argument)
          continue;
        if (isWritten)
          return fails("after its last element was written");
        if (writes && access.strides != output->strides)
          return fails("at other places than it writes");
      }
      if (isWritten || writes)
        for (auto extract : planned->op.getBody()->getOps<tensor::ExtractOp>())
          if (getRoot(extract.getTensor()) == argument)
            return fails("by tensor.extract");
      isWritten |= writes;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

bool Planner::canMerge(const PlannedOp &planned, unsigned dim, unsigned next) const {
  return !isIndexed(planned, dim) && !isIndexed(planned, next) &&
         isReduction(planned, dim) == isReduction(planned, next) &&
         llvm::all_of(planned.accesses, [&](const OperandAccess &access) {
           return access.strides[dim] == access.strides[next] * planned.extents[next];
         });
}

/// The loops within a row, with neighbours merged that are one in memory.
SmallVector<PlannedLoop> Planner::getLoops(const PlannedOp &planned) const {
  SmallVector<PlannedLoop> loops;
  for (auto [dim, extent] : llvm::enumerate(planned.extents)) {
    if (extent == 1 || llvm::is_contained(planned.row.dims, dim))
      continue;
    if (!loops.empty() && canMerge(planned, loops.back().dims.back(), dim)) {
      loops.back().dims.push_back(dim);
      loops.back().extent *= extent;
    } else {
      loops.push_back({{static_cast<unsigned>(dim)}, extent});
    }
  }
  return loops;
}

/// What vectorising `loop` costs: gathers, scatters and empty lanes. Negative if it is impossible.
int64_t Planner::getVectorCost(const PlannedOp &planned, const PlannedLoop &loop) const {
  constexpr int64_t kGather = 4;
  unsigned dim = loop.dims.back();
  if (isReduction(planned, dim))
    for (unsigned i = 0; i < planned.op.getNumDpsInits(); ++i)
      if (!planned.getCombiner(i))
        return -1;
  int64_t cost = 0;
  for (const OperandAccess &access : planned.accesses)
    if (access.getStride(loop) > 1)
      cost += kGather;
  for (auto extract : planned.op.getBody()->getOps<tensor::ExtractOp>()) {
    auto indices = extract.getIndices();
    bool leading = !indices.empty() &&
                   llvm::any_of(indices.drop_back(), [&](Value index) { return dependsOn(index, dim, planned); });
    bool last = !indices.empty() && dependsOn(indices.back(), dim, planned);
    if (leading || (last && !countsUpWith(indices.back(), dim, planned)))
      cost += kGather;
  }
  int64_t lanes = std::min<int64_t>(vectorWidth, llvm::PowerOf2Ceil(loop.extent));
  return cost + 2 * llvm::Log2_64(vectorWidth / lanes);
}

/// Divides the loops within a row into outer, vectorised and reduced ones. Returns false if none can be vectorised.
bool Planner::chooseVector(PlannedOp &planned) {
  SmallVector<PlannedLoop> loops = getLoops(planned);
  planned.outer.clear();
  planned.reductions.clear();
  planned.vector = PlannedLoop();
  planned.reducesVector = false;
  const PlannedLoop *best = nullptr;
  int64_t bestCost = 0;
  for (const PlannedLoop &loop : loops) {
    int64_t cost = 2 * getVectorCost(planned, loop) + (isReduction(planned, loop.dims.back()) ? 1 : 0);
    if (cost >= 0 && (!best || cost <= bestCost)) {
      best = &loop;
      bestCost = cost;
    }
  }
  for (const PlannedLoop &loop : loops) {
    if (&loop == best) {
      planned.vector = loop;
      planned.reducesVector = isReduction(planned, loop.dims.back());
    } else if (isReduction(planned, loop.dims.back())) {
      planned.reductions.push_back(loop);
    } else {
      planned.outer.push_back(loop);
    }
  }
  return best || loops.empty();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Leading dimensions of `planned` that make `rows` rows: parallel ones, behind which those of an op that accumulates
/// are reductions.
std::optional<PlannedLoop> Planner::getRowLoop(const PlannedOp &planned, int64_t rows) const {
  PlannedLoop loop;
  bool mayReduce = planned.op->hasAttr(moe_kernel::kAccumulatesAttrName), reduces = false;
  for (auto [dim, extent] : llvm::enumerate(planned.extents)) {
    if (loop.extent == rows)
      break;
    if (extent == 1)
      continue;
    if (isReduction(planned, dim) ? !mayReduce : reduces)
      return std::nullopt;
    reduces |= isReduction(planned, dim);
    loop.dims.push_back(dim);
    loop.extent *= extent;
  }
  return loop.extent == rows ? std::optional(loop) : std::nullopt;
}

/// Whether `planned`, with its row loop set, touches what the kernel writes only in its own row.
bool Planner::staysInRow(const PlannedOp &planned, int64_t rows) const {
  ArrayRef<unsigned> dims = planned.row.dims;
  for (const OperandAccess &access : planned.accesses) {
    bool isOutput = &access >= planned.getOutputs().begin();
    if (!isOutput && !isWritten(access.root))
      continue;
    bool isSum = isOutput && planned.accumulates;
    int64_t stride = getSize(access.root) / (isSum ? rows / plan.chunk : rows);
    for (unsigned dim : llvm::reverse(dims)) {
      if (isSum && isReduction(planned, dim))
        continue;
      if (access.strides[dim] != stride)
        return false;
      stride *= planned.extents[dim];
    }
  }
  for (auto extract : planned.op.getBody()->getOps<tensor::ExtractOp>()) {
    if (!isWritten(getRoot(extract.getTensor())))
      continue;
    auto shape = cast<RankedTensorType>(extract.getTensor().getType()).getShape();
    unsigned position = 0;
    for (unsigned dim : dims) {
      while (position < shape.size() && shape[position] == 1) // Its index says nothing, and no loop makes rows of it.
        ++position;
      if (position == shape.size() || shape[position] != planned.extents[dim])
        return false;
      auto index = extract.getIndices()[position++].getDefiningOp<linalg::IndexOp>();
      if (!index || index.getDim() != dim)
        return false;
    }
  }
  return true;
}

SmallVector<int64_t> Planner::getRowCandidates() const {
  SmallVector<int64_t> candidates;
  const PlannedOp &first = *plan.ops.front();
  int64_t rows = 1;
  for (auto [dim, extent] : llvm::enumerate(first.extents)) {
    if (extent == 1)
      continue;
    if (isReduction(first, dim))
      break;
    candidates.push_back(rows *= extent);
  }
  return candidates;
}

/// Finds which ops accumulate, and the rows that all of them add up. Nothing may read the sums.
bool Planner::findChunk() {
  plan.chunk = 1;
  for (auto &planned : plan.ops) {
    int64_t chunk = 1;
    for (unsigned dim : planned->row.dims)
      if (isReduction(*planned, dim))
        chunk *= planned->extents[dim];
    planned->accumulates = chunk > 1;
    if (!planned->accumulates)
      continue;
    if (plan.chunk > 1 && chunk != plan.chunk)
      return false;
    plan.chunk = chunk;
    for (auto [index, result] : llvm::enumerate(planned->op.getResults())) {
      bool isRead = llvm::any_of(plan.ops, [&, sum = Value(result)](auto &reader) {
        return llvm::any_of(reader->accesses, [&](auto &access) { return access.root == sum; }) ||
               llvm::any_of(reader->op.getBody()->template getOps<tensor::ExtractOp>(),
                            [&](tensor::ExtractOp extract) { return getRoot(extract.getTensor()) == sum; });
      });
      if (isRead || !planned->getCombiner(index))
        return false;
    }
  }
  return true;
}

bool Planner::planByRows(int64_t rows) {
  plan.kind = RowsPlan::Kind::rows;
  plan.extent = rows;
  for (auto &planned : plan.ops) {
    std::optional<PlannedLoop> row = getRowLoop(*planned, rows);
    if (!row)
      return false;
    planned->row = *row;
  }
  if (!findChunk() || !llvm::all_of(plan.ops, [&](auto &planned) { return staysInRow(*planned, rows); }))
    return false;
  for (auto &planned : plan.ops) {
    chooseVector(*planned);
    if (planned->accumulates && planned->reducesVector)
      return false;
  }
  formNests();
  return true;
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

/// Whether `planned` has one parallel loop, which runs over contiguous elements.
bool Planner::mayBeColumns(const PlannedOp &planned) const {
  return planned.outer.empty() && !planned.vector.dims.empty() && !planned.reducesVector &&
         llvm::all_of(planned.accesses,
                      [&](const OperandAccess &access) { return access.getStride(planned.vector) <= 1; }) &&
         llvm::none_of(planned.op.getBody()->getOps<tensor::ExtractOp>(),
                       [&](tensor::ExtractOp extract) { return isWritten(getRoot(extract.getTensor())); });
}

bool Planner::planColumns() {
  for (auto &planned : plan.ops) {
    planned->row = PlannedLoop();
    planned->accumulates = false;
    if (!chooseVector(*planned) || !mayBeColumns(*planned) || planned->vector.extent != plan.ops.front()->vector.extent)
      return false;
  }
  plan.kind = RowsPlan::Kind::columns;
  plan.extent = plan.ops.front()->vector.extent;
  formNests();
  return plan.nests.size() == 1;
}

//===----------------------------------------------------------------------===//
// Nests
//===----------------------------------------------------------------------===//

/// Whether `planned` can run in the loops of `nest`: it has the same, and needs of the nest's results only what the
/// same iteration has computed.
bool Planner::canJoin(const PlannedNest &nest, const PlannedOp &planned) const {
  const PlannedOp &first = *nest.ops.front();
  auto extentsOf = [](ArrayRef<PlannedLoop> loops) {
    return llvm::map_to_vector(loops, [](const PlannedLoop &loop) { return loop.extent; });
  };
  if (planned.vector.extent != first.vector.extent || extentsOf(planned.outer) != extentsOf(first.outer))
    return false;
  bool reducesVector = nest.reducesVector() || planned.reducesVector;
  bool reducesInside = !planned.reductions.empty() ||
                       llvm::any_of(nest.ops, [](const PlannedOp *op) { return !op->reductions.empty(); });
  if (reducesVector && (reducesInside || planned.vector.extent == 1))
    return false;

  auto isSamePlace = [&](const PlannedOp &other, const OperandAccess &otherAccess, const OperandAccess &access) {
    for (auto [mine, its] : llvm::zip_equal(planned.outer, other.outer))
      if (access.getStride(mine) != otherAccess.getStride(its))
        return false;
    return access.getStride(planned.vector) == otherAccess.getStride(other.vector) &&
           llvm::all_of(planned.reductions, [&](const PlannedLoop &loop) { return access.getStride(loop) == 0; });
  };
  auto extracts = [](const PlannedOp &op, Value root) {
    return llvm::any_of(op.op.getBody()->getOps<tensor::ExtractOp>(),
                        [&](tensor::ExtractOp extract) { return getRoot(extract.getTensor()) == root; });
  };
  for (const PlannedOp *other : nest.ops) {
    for (auto [result, output] : llvm::zip_equal(other->op.getResults(), other->getOutputs())) {
      if (extracts(planned, result))
        return false;
      for (const OperandAccess &access : planned.accesses)
        if (access.root == result && (other->reducesVector || !isSamePlace(*other, output, access)))
          return false;
    }
    // What this op overwrites the others must not need at another place.
    for (auto [argument, result] : tiedRoots) {
      if (result.getDefiningOp() != planned.op)
        continue;
      const OperandAccess &output = planned.getOutputs()[cast<OpResult>(result).getResultNumber()];
      if (extracts(*other, argument))
        return false;
      for (const OperandAccess &access : other->accesses)
        if (access.root == argument && (!other->reductions.empty() || !isSamePlace(*other, access, output)))
          return false;
    }
  }
  return true;
}

void Planner::formNests() {
  plan.nests.clear();
  for (auto &planned : plan.ops) {
    if (plan.nests.empty() || !canJoin(plan.nests.back(), *planned))
      plan.nests.emplace_back();
    plan.nests.back().ops.push_back(planned.get());
  }
}

/// Results that are neither returned, nor used only in the nest that computes them, nor one value a row.
void Planner::findScratch() {
  DenseSet<Value> returned;
  for (Value value : kernel.getBody().front().getTerminator()->getOperands())
    returned.insert(getRoot(value));
  for (PlannedNest &nest : plan.nests)
    for (PlannedOp *planned : nest.ops)
      for (Value result : planned->op.getResults()) {
        bool isScalarOfRow = plan.kind == RowsPlan::Kind::rows && plan.getRowSize(result) == 1;
        auto isElsewhere = [&](PlannedOp *user) {
          bool extracts = llvm::any_of(user->op.getBody()->getOps<tensor::ExtractOp>(), [&](tensor::ExtractOp extract) {
            return getRoot(extract.getTensor()) == result;
          });
          bool reads = llvm::any_of(user->accesses, [&](auto &access) { return access.root == result; });
          return extracts || (reads && !isScalarOfRow && !llvm::is_contained(nest.ops, user));
        };
        if (!returned.contains(result) && llvm::any_of(plan.ops, [&](auto &user) { return isElsewhere(user.get()); }))
          plan.scratch.push_back(result);
      }
}

/// What the kernel costs. The weights of divisions and transcendental functions are their reciprocal throughputs on
/// Zen 4 relative to an addition, rounded (agner.org/optimize/instruction_tables.pdf); only their size matters.
void Planner::measure() {
  int64_t work = 0;
  for (auto &planned : plan.ops) {
    int64_t points = 1, cost = planned->op->getNumOperands(), flops = 0;
    for (int64_t extent : planned->extents)
      points *= extent;
    for (Operation &op : planned->op.getBody()->without_terminator()) {
      bool isFloat = isa<FloatType>(op.getResult(0).getType()) && !isa<arith::ConstantOp, arith::SelectOp>(op);
      if (isa<math::SinOp, math::CosOp, math::ExpOp, math::LogOp>(op))
        cost += 20;
      else if (isa<arith::DivFOp, math::SqrtOp, math::RsqrtOp>(op))
        cost += 8;
      else if (!op.hasTrait<OpTrait::ConstantLike>())
        cost += 1;
      if (isFloat && isa<arith::ArithDialect, math::MathDialect>(op.getDialect()) && !isa<CastOpInterface>(op))
        flops += 1;
    }
    work += points * cost;
    plan.flops += points * flops;
  }
  plan.work = llvm::divideCeil(work, plan.extent);
}

/// Flat tensors and reductions over rows first; then as few leading dimensions as give enough rows to share out, but
/// not so many that a row is less than a vector; else everything in one item.
void Planner::chooseLoops() {
  if (planColumns())
    return;
  int64_t largest = 0, chosen = 1;
  for (auto &planned : plan.ops)
    largest = std::max(largest, llvm::product_of(planned->extents));
  for (int64_t rows : getRowCandidates()) {
    if (!planByRows(rows) || (chosen > 1 && largest / rows < vectorWidth))
      continue;
    chosen = rows;
    if (rows >= enoughRows)
      break;
  }
  planByRows(chosen);
}

FailureOr<RowsPlan> Planner::run() {
  if (failed(collect()))
    return failure();
  if (plan.ops.empty())
    return kernel.emitOpError() << "computes nothing";
  chooseLoops();
  findScratch();
  measure();
  return std::move(plan);
}

} // namespace

FailureOr<RowsPlan> planRows(moe_kernel::KernelOp kernel, int64_t vectorWidth, int64_t enoughRows) {
  return Planner(kernel, vectorWidth, enoughRows).run();
}

} // namespace mlir::moe::target
