//===- EmitRows.cpp - Kernels of linalg.generic ops -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/CPU/Lanes.h"
#include "passes/Target/CPU/RowsPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "moe/CpuKernel.h"

namespace mlir::moe::cpu {

namespace {

/// Emits the loops of a plan. Values that live in one place of the nest are kept in scoped maps, from the outside in:
/// memory of tensors, scalars of the row, registers of the iteration.
class RowsEmitter {
public:
  RowsEmitter(EmitterContext &context, RowsPlan &plan) : context(context), builder(context.builder), plan(plan) {}

  LaunchShape emit();

private:
  /// Where an iteration of a nest is.
  struct Position {
    SmallVector<Value> outer;      ///< One per outer loop.
    SmallVector<Value> reductions; ///< One per reduction inside the vectorised loop.
    Value vector;                  ///< The first lane of the vectorised loop.
  };
  /// Values of an output while it is reduced, or the lanes of one that is not.
  using Values = SmallVector<Value>;

  // Memory.
  void bindMemory();
  Value flatten(Value memory);
  Value getScratch(Value root, int64_t &offset);
  Value getConstant(DenseElementsAttr value);

  // Loops, from the outside in.
  void emitRowBlocks();
  void emitColumnBlocks();
  void emitNest(const PlannedNest &nest);
  void emitVectorLoop(const PlannedNest &nest, const Position &position);
  void emitVectorReduction(const PlannedNest &nest, Position position);
  void emitChunk(const PlannedNest &nest, const Position &position, LaneBuilder &lanes);
  Values emitReductions(const PlannedOp &planned, Position position, LaneBuilder &lanes, Values partial,
                        unsigned depth);

  // One iteration of one op.
  Values emitBody(const PlannedOp &planned, const Position &position, LaneBuilder &lanes, ValueRange outputs);
  void emitStores(const PlannedOp &planned, const Position &position, LaneBuilder &lanes, ValueRange values);
  LaneValue emitInit(const PlannedOp &planned, unsigned output, const Position &position, LaneBuilder &lanes);
  LaneValue emitLoad(const PlannedOp &planned, const OperandAccess &access, const Position &position,
                     LaneBuilder &lanes);
  LaneValue emitExtract(tensor::ExtractOp extract, ArrayRef<LaneValue> indices, LaneBuilder &lanes);
  LaneValue emitIndex(const PlannedOp &planned, unsigned dim, const Position &position, LaneBuilder &lanes);
  LaneValue getOffset(const PlannedOp &planned, const OperandAccess &access, Value root, const Position &position,
                      LaneBuilder &lanes);

  /// Lanes for the types that `nest` computes with.
  int64_t getWidth(const PlannedNest &nest) const;
  Value index(int64_t value);
  Value add(Value a, Value b) { return builder.createOrFold<arith::AddIOp>(a, b); }
  Value multiply(Value a, int64_t b) { return builder.createOrFold<arith::MulIOp>(a, index(b)); }
  Value combine(Operation *combiner, Value a, Value b) { return cloneElementwise(builder, combiner, {a, b}); }
  /// `for` from `lower` to `upper`; `body` gets the induction variable and the carried values and returns the next
  /// ones.
  Values emitFor(Value lower, Value upper, int64_t step, ValueRange carried,
                 function_ref<Values(Value iv, ValueRange carried)> body);

  EmitterContext &context;
  ImplicitLocOpBuilder &builder;
  RowsPlan &plan;
  int64_t scratchBytes = 0;
  Value row;                            ///< The row being computed.
  DenseMap<int64_t, Value> indices;     ///< Constants.
  DenseMap<Value, Value> memory;        ///< One-dimensional memrefs of tensors.
  DenseSet<Value> rowMemory;            ///< Tensors of whose memory there is one row only.
  DenseMap<Value, Value> rowScalars;    ///< Results with one value a row.
  DenseMap<Value, LaneValue> registers; ///< Results of the iteration that is being emitted.
};

/// One constant for all uses, at the start of the function.
Value RowsEmitter::index(int64_t value) {
  Value &constant = indices[value];
  if (!constant) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(cast<BlockArgument>(context.begin).getOwner());
    constant = arith::ConstantIndexOp::create(builder, value);
  }
  return constant;
}

RowsEmitter::Values RowsEmitter::emitFor(Value lower, Value upper, int64_t step, ValueRange carried,
                                         function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(builder, lower, upper, index(step), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  // Without carried values the loop has its terminator already.
  if (!carried.empty())
    scf::YieldOp::create(builder, next);
  return Values(loop.getResults());
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value RowsEmitter::flatten(Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  auto flat = MemRefType::get({type.getNumElements()}, type.getElementType());
  return memref::ReinterpretCastOp::create(builder, flat, memory, /*offset=*/0, flat.getShape(), ArrayRef<int64_t>{1});
}

Value RowsEmitter::getScratch(Value root, int64_t &offset) {
  auto type = MemRefType::get({plan.getRowSize(root)}, getElementTypeOrSelf(root.getType()));
  Value view = memref::ViewOp::create(builder, type, context.scratch, index(offset), ValueRange());
  int64_t bytes = type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  offset = llvm::alignTo(offset + bytes, ::moe::kCpuBufferAlignment);
  return view;
}

/// A table as a private global of the kernel's module.
Value RowsEmitter::getConstant(DenseElementsAttr value) {
  auto module = builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  auto type = MemRefType::get(value.getType().getShape(), value.getElementType());
  std::string name = ("table" + Twine(llvm::range_size(module.getOps<memref::GlobalOp>()))).str();
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    memref::GlobalOp::create(builder, name, builder.getStringAttr("private"), type, value, /*constant=*/true,
                             builder.getI64IntegerAttr(::moe::kCpuBufferAlignment));
  }
  return memref::GetGlobalOp::create(builder, type, name);
}

void RowsEmitter::bindMemory() {
  for (auto [argument, buffer] : llvm::zip_equal(context.kernel.getArguments(), context.arguments))
    memory[argument] = flatten(buffer);
  ValueRange returned = context.kernel.getBody().front().getTerminator()->getOperands();
  for (auto [value, buffer] : llvm::zip_equal(returned, context.results))
    memory[getRoot(value)] = flatten(buffer);
  for (Value root : plan.scratch) {
    memory[root] = getScratch(root, scratchBytes);
    rowMemory.insert(root);
  }
  for (auto constant : context.kernel.getBody().getOps<arith::ConstantOp>())
    if (auto value = dyn_cast<DenseElementsAttr>(constant.getValue()))
      memory[constant] = flatten(getConstant(value));
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

int64_t RowsEmitter::getWidth(const PlannedNest &nest) const {
  bool hasWideElements = false;
  auto check = [&](Type type) {
    Type element = getElementTypeOrSelf(type);
    hasWideElements |= element.isIntOrFloat() && element.getIntOrFloatBitWidth() == 64;
  };
  for (const PlannedOp *planned : nest.ops) {
    for (Value operand : planned->op->getOperands())
      check(operand.getType());
    for (Operation &op : *planned->op.getBody())
      for (Value result : op.getResults())
        check(result.getType());
  }
  int64_t width = context.config.getVectorWidth() / (hasWideElements ? 2 : 1);
  return std::min<int64_t>(width, llvm::PowerOf2Ceil(nest.getVectorExtent()));
}

void RowsEmitter::emitRowBlocks() {
  int64_t block = context.config.getBlockM();
  emitFor(context.begin, context.end, 1, {}, [&](Value item, ValueRange) -> Values {
    Value first = multiply(item, block);
    Value last = add(first, index(block));
    if (plan.extent % block != 0)
      last = arith::MinSIOp::create(builder, last, index(plan.extent));
    emitFor(first, last, 1, {}, [&](Value iv, ValueRange) -> Values {
      row = iv;
      rowScalars.clear();
      for (const PlannedNest &nest : plan.nests)
        emitNest(nest);
      return {};
    });
    return {};
  });
}

void RowsEmitter::emitColumnBlocks() {
  const PlannedNest &nest = plan.nests.front();
  int64_t block = context.config.getBlockM(), width = getWidth(nest);
  int64_t whole = plan.extent / width * width, rest = plan.extent - whole;
  emitFor(context.begin, context.end, 1, {}, [&](Value item, ValueRange) -> Values {
    Value first = multiply(item, block);
    Value last = arith::MinSIOp::create(builder, add(first, index(block)), index(whole));
    emitFor(first, last, width, {}, [&](Value column, ValueRange) -> Values {
      LaneBuilder lanes(builder, width, width);
      emitChunk(nest, {{}, {}, column}, lanes);
      return {};
    });
    if (rest == 0)
      return {};
    Value isLast = arith::CmpIOp::create(builder, arith::CmpIPredicate::sgt, add(first, index(block)), index(whole));
    auto branch = scf::IfOp::create(builder, isLast, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    LaneBuilder lanes(builder, llvm::PowerOf2Ceil(rest), rest);
    emitChunk(nest, {{}, {}, index(whole)}, lanes);
    return {};
  });
}

void RowsEmitter::emitNest(const PlannedNest &nest) {
  OpBuilder::InsertionGuard guard(builder);
  Position position;
  for (const PlannedLoop &loop : nest.getOuter()) {
    auto outer = scf::ForOp::create(builder, index(0), index(loop.extent), index(1));
    builder.setInsertionPointToStart(outer.getBody());
    position.outer.push_back(outer.getInductionVar());
  }
  if (nest.reducesVector())
    emitVectorReduction(nest, position);
  else
    emitVectorLoop(nest, position);
}

void RowsEmitter::emitVectorLoop(const PlannedNest &nest, const Position &position) {
  int64_t extent = nest.getVectorExtent(), width = getWidth(nest);
  int64_t whole = extent / width * width, rest = extent - whole;
  auto emitAt = [&](Value start, int64_t lanesUsed, int64_t active) {
    LaneBuilder lanes(builder, lanesUsed, active);
    Position here = position;
    here.vector = start;
    emitChunk(nest, here, lanes);
  };
  if (whole == width)
    emitAt(index(0), width, width);
  else if (whole > 0)
    emitFor(index(0), index(whole), width, {}, [&](Value start, ValueRange) -> Values {
      emitAt(start, width, width);
      return {};
    });
  if (rest > 0)
    emitAt(index(whole), llvm::PowerOf2Ceil(rest), rest);
}

/// Every op of the nest for one vector of the vectorised loop.
void RowsEmitter::emitChunk(const PlannedNest &nest, const Position &position, LaneBuilder &lanes) {
  registers.clear();
  for (const PlannedOp *planned : nest.ops) {
    Values outputs;
    for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i) {
      bool isRead = !planned->op.getRegionOutputArgs()[i].use_empty();
      outputs.push_back(isRead ? lanes.materialize(emitInit(*planned, i, position, lanes)) : Value());
    }
    outputs = emitReductions(*planned, position, lanes, outputs, 0);
    emitStores(*planned, position, lanes, outputs);
  }
}

RowsEmitter::Values RowsEmitter::emitReductions(const PlannedOp &planned, Position position, LaneBuilder &lanes,
                                                Values partial, unsigned depth) {
  if (depth == planned.reductions.size())
    return emitBody(planned, position, lanes, partial);
  return emitFor(index(0), index(planned.reductions[depth].extent), 1, partial, [&](Value iv, ValueRange carried) {
    Position inner = position;
    inner.reductions.push_back(iv);
    return emitReductions(planned, inner, lanes, Values(carried), depth + 1);
  });
}

/// The vectorised loop is a reduction for some ops of the nest: each keeps `copies` vectors of partial results, so that
/// additions do not wait for each other, and combines them at the end in a fixed order.
void RowsEmitter::emitVectorReduction(const PlannedNest &nest, Position position) {
  int64_t extent = nest.getVectorExtent(), width = getWidth(nest);
  int64_t vectors = extent / width, rest = extent - vectors * width;
  int64_t copies = std::clamp<int64_t>(llvm::bit_floor<uint64_t>(vectors), 1, 4);

  // The outputs that are reduced: one partial result per output and copy, copies of an output side by side.
  struct Reduced {
    const PlannedOp *planned;
    unsigned output;
    Operation *combiner;
  };
  SmallVector<Reduced> reduced;
  LaneBuilder lanes(builder, width, width);
  Values partial;
  for (const PlannedOp *planned : nest.ops)
    if (planned->reducesVector)
      for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i) {
        Operation *combiner = planned->getCombiner(i);
        reduced.push_back({planned, i, combiner});
        Value neutral = arith::ConstantOp::create(builder, *arith::getNeutralElement(combiner));
        partial.append(copies, lanes.materialize({neutral}));
      }

  // Runs all ops at `start` with copy `copy` of the partial results.
  auto emitAt = [&](Position here, Value start, int64_t active, int64_t copy, Values &partial) {
    LaneBuilder lanes(builder, width, active);
    here.vector = start;
    registers.clear();
    unsigned next = copy;
    for (const PlannedOp *planned : nest.ops) {
      unsigned numOutputs = planned->op.getNumDpsInits();
      if (!planned->reducesVector) {
        Values outputs;
        for (unsigned i = 0; i < numOutputs; ++i) {
          bool isRead = !planned->op.getRegionOutputArgs()[i].use_empty();
          outputs.push_back(isRead ? lanes.materialize(emitInit(*planned, i, here, lanes)) : Value());
        }
        emitStores(*planned, here, lanes, emitBody(*planned, here, lanes, outputs));
        continue;
      }
      Values before;
      for (unsigned i = 0; i < numOutputs; ++i)
        before.push_back(partial[next + i * copies]);
      Values after = emitBody(*planned, here, lanes, before);
      for (unsigned i = 0; i < numOutputs; ++i, next += copies)
        partial[next] = lanes.isMasked()
                            ? arith::SelectOp::create(builder, lanes.getMask(), after[i], before[i]).getResult()
                            : after[i];
    }
  };
  auto emitExtent = [&](const Position &here, Values partial) -> Values {
    int64_t step = copies * width, whole = extent / step * step;
    auto emitStep = [&](Value start, Values &partial) {
      for (int64_t copy = 0; copy < copies; ++copy)
        emitAt(here, add(start, index(copy * width)), width, copy, partial);
    };
    if (whole == step)
      emitStep(index(0), partial);
    else if (whole > 0)
      partial = emitFor(index(0), index(whole), step, partial, [&](Value start, ValueRange carried) {
        Values next(carried);
        emitStep(start, next);
        return next;
      });
    int64_t copy = 0;
    for (int64_t start = whole; start + width <= extent; start += width)
      emitAt(here, index(start), width, copy++, partial);
    if (rest > 0)
      emitAt(here, index(extent - rest), rest, copy % copies, partial);
    return partial;
  };
  std::function<Values(Position, Values, unsigned)> emitAround = [&](Position here, Values partial, unsigned depth) {
    ArrayRef<PlannedLoop> loops = nest.ops.front()->reductions;
    if (depth == loops.size())
      return emitExtent(here, partial);
    return emitFor(index(0), index(loops[depth].extent), 1, partial, [&](Value iv, ValueRange carried) {
      Position inner = here;
      inner.reductions.push_back(iv);
      return emitAround(inner, Values(carried), depth + 1);
    });
  };
  partial = emitAround(position, partial, 0);

  LaneBuilder scalar(builder, 1, 1);
  registers.clear();
  DenseMap<const PlannedOp *, Values> results;
  position.vector = index(0);
  position.reductions.assign(nest.ops.front()->reductions.size(), index(0));
  for (auto [number, output] : llvm::enumerate(reduced)) {
    auto combineWith = [&](Value a, Value b) { return combine(output.combiner, a, b); };
    Values values(ArrayRef(partial).slice(number * copies, copies));
    for (; values.size() > 1; values.resize(values.size() / 2))
      for (size_t i = 0; i < values.size() / 2; ++i)
        values[i] = combineWith(values[i], values[i + values.size() / 2]);
    Value total = values.front();
    if (isa<VectorType>(total.getType()))
      total = reduceLanes(builder, total, combineWith);
    Value init = emitInit(*output.planned, output.output, position, scalar).value;
    results[output.planned].push_back(combineWith(init, total));
  }
  for (const PlannedOp *planned : nest.ops)
    if (planned->reducesVector)
      emitStores(*planned, position, scalar, results[planned]);
}

//===----------------------------------------------------------------------===//
// One iteration of one op
//===----------------------------------------------------------------------===//

LaneValue RowsEmitter::emitIndex(const PlannedOp &planned, unsigned dim, const Position &position, LaneBuilder &lanes) {
  if (planned.vector.dims == ArrayRef(dim))
    return lanes.linear(position.vector, 1, lanes.getWidth());
  for (auto [loop, iv] : llvm::zip_equal(planned.outer, position.outer))
    if (loop.dims == ArrayRef(dim))
      return {iv};
  for (auto [loop, iv] : llvm::zip(planned.reductions, position.reductions))
    if (loop.dims == ArrayRef(dim))
      return {iv};
  // One of the dimensions that make the row.
  if (llvm::is_contained(planned.row.dims, dim)) {
    Value value = row;
    for (unsigned rowDim : llvm::reverse(planned.row.dims)) {
      Value extent = index(planned.extents[rowDim]);
      if (rowDim == dim)
        return {rowDim == planned.row.dims.front() ? value : builder.createOrFold<arith::RemUIOp>(value, extent)};
      value = builder.createOrFold<arith::DivUIOp>(value, extent);
    }
  }
  assert(planned.extents[dim] == 1 && "every dimension is in a loop, or there is nothing to loop over");
  return {index(0)};
}

/// The place in the flat memory of `root` that `access` touches.
LaneValue RowsEmitter::getOffset(const PlannedOp &planned, const OperandAccess &access, Value root,
                                 const Position &position, LaneBuilder &lanes) {
  Value offset = index(0);
  auto addTerm = [&](Value iv, int64_t stride) {
    if (stride != 0)
      offset = add(offset, multiply(iv, stride));
  };
  if (!rowMemory.contains(root) && !planned.row.dims.empty()) {
    bool isContiguous = true;
    ArrayRef<unsigned> dims = planned.row.dims;
    for (auto [dim, next] : llvm::zip(dims, dims.drop_front()))
      isContiguous &= access.strides[dim] == access.strides[next] * planned.extents[next];
    if (isContiguous)
      addTerm(row, access.getStride(planned.row));
    else
      for (unsigned dim : dims)
        addTerm(emitIndex(planned, dim, position, lanes).value, access.strides[dim]);
  }
  for (auto [loop, iv] : llvm::zip_equal(planned.outer, position.outer))
    addTerm(iv, access.getStride(loop));
  for (auto [loop, iv] : llvm::zip(planned.reductions, position.reductions))
    addTerm(iv, access.getStride(loop));
  int64_t stride = access.getStride(planned.vector);
  if (stride != 0)
    addTerm(position.vector, stride);
  return lanes.linear(offset, stride, 1);
}

LaneValue RowsEmitter::emitLoad(const PlannedOp &planned, const OperandAccess &access, const Position &position,
                                LaneBuilder &lanes) {
  Value root = access.root;
  if (auto found = registers.find(root); found != registers.end())
    return found->second;
  if (auto found = rowScalars.find(root); found != rowScalars.end())
    return {found->second};
  if (auto fill = root.getDefiningOp<linalg::FillOp>())
    return {builder.clone(*fill.value().getDefiningOp())->getResult(0)};
  if (auto constant = root.getDefiningOp<arith::ConstantOp>())
    if (auto value = dyn_cast<DenseElementsAttr>(constant.getValue()); value && value.isSplat())
      return {arith::ConstantOp::create(builder, value.getSplatValue<TypedAttr>())};
  return lanes.load(memory.lookup(root), getOffset(planned, access, root, position, lanes));
}

LaneValue RowsEmitter::emitInit(const PlannedOp &planned, unsigned output, const Position &position,
                                LaneBuilder &lanes) {
  return emitLoad(planned, planned.getOutputs()[output], position, lanes);
}

LaneValue RowsEmitter::emitExtract(tensor::ExtractOp extract, ArrayRef<LaneValue> indices, LaneBuilder &lanes) {
  Value root = getRoot(extract.getTensor());
  auto type = cast<RankedTensorType>(extract.getTensor().getType());
  // Of a tensor of which there is one row, the leading indices that name the row are left out (see staysInRow).
  int64_t size = type.getNumElements(), held = cast<MemRefType>(memory.lookup(root).getType()).getNumElements();
  LaneValue offset{index(0)};
  for (auto [extent, position] : llvm::zip_equal(type.getShape(), indices)) {
    bool namesRow = size > held;
    size /= extent;
    if (!namesRow)
      offset = lanes.add(offset, lanes.scale(position, size));
  }
  return lanes.load(memory.lookup(root), offset);
}

/// One iteration in all lanes; `outputs` are the values of the output arguments (null if they are not used).
RowsEmitter::Values RowsEmitter::emitBody(const PlannedOp &planned, const Position &position, LaneBuilder &lanes,
                                          ValueRange outputs) {
  DenseMap<Value, LaneValue> values;
  Block *body = planned.op.getBody();
  for (auto [argument, access] : llvm::zip(body->getArguments(), planned.getInputs()))
    if (!argument.use_empty())
      values[argument] = emitLoad(planned, access, position, lanes);
  for (auto [argument, value] : llvm::zip_equal(planned.op.getRegionOutputArgs(), outputs))
    if (value)
      values[argument] = {value};

  auto lookUp = [&](Value value) -> LaneValue {
    auto found = values.find(value);
    if (found != values.end())
      return found->second;
    // A constant, of the body or of the kernel.
    return values[value] = {builder.clone(*value.getDefiningOp())->getResult(0)};
  };
  for (Operation &op : body->without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      continue;
    LaneValue computed;
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      computed = emitIndex(planned, index.getDim(), position, lanes);
    } else if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
      computed = emitExtract(extract, llvm::map_to_vector(extract.getIndices(), lookUp), lanes);
    } else {
      computed = lanes.apply(&op, llvm::map_to_vector(op.getOperands(), lookUp));
    }
    values[op.getResult(0)] = computed;
  }
  return llvm::map_to_vector(body->getTerminator()->getOperands(),
                             [&](Value value) { return lanes.materialize(lookUp(value)); });
}

void RowsEmitter::emitStores(const PlannedOp &planned, const Position &position, LaneBuilder &lanes,
                             ValueRange values) {
  for (auto [result, access, value] : llvm::zip_equal(planned.op.getResults(), planned.getOutputs(), values)) {
    registers[result] = {value};
    if (plan.kind == RowsPlan::Kind::rows && plan.getRowSize(result) == 1)
      rowScalars[result] = value;
    if (memory.contains(result))
      lanes.store(memory.lookup(result), getOffset(planned, access, result, position, lanes), {value});
  }
}

LaunchShape RowsEmitter::emit() {
  bindMemory();
  if (plan.kind == RowsPlan::Kind::rows)
    emitRowBlocks();
  else
    emitColumnBlocks();
  return {/*items=*/llvm::divideCeilSigned(plan.extent, context.config.getBlockM()), scratchBytes, plan.flops};
}

} // namespace

FailureOr<LaunchShape> emitRows(EmitterContext &context) {
  FailureOr<RowsPlan> plan = planRows(context.kernel, context.config.getVectorWidth());
  if (failed(plan))
    return failure();
  int64_t block = context.config.getBlockM(), width = context.config.getVectorWidth();
  if (block < 1 || (plan->kind == RowsPlan::Kind::columns && block % width != 0 && block < plan->extent))
    return context.kernel.emitOpError() << "has blocks of " << block
                                        << " columns, but they have to be multiples of its " << width << " lanes";
  return RowsEmitter(context, *plan).emit();
}

} // namespace mlir::moe::cpu
