//===- RowsBody.cpp - The ops of a rows kernel, iteration by iteration -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/RowsBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <numeric>

namespace mlir::moe::target {

Value RowsBody::index(int64_t value) {
  Value &constant = indices[value];
  if (!constant) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(entry);
    constant = arith::ConstantIndexOp::create(builder, value);
  }
  return constant;
}

RowsBody::Values RowsBody::emitFor(Value lower, Value upper, int64_t step, ValueRange carried,
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

Value RowsBody::flatten(Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  auto flat = MemRefType::get({type.getNumElements()}, type.getElementType(), MemRefLayoutAttrInterface(),
                              type.getMemorySpace());
  return memref::ReinterpretCastOp::create(builder, flat, memory, /*offset=*/0, flat.getShape(), ArrayRef<int64_t>{1});
}

/// A table as a private global beside the function.
Value RowsBody::getConstant(DenseElementsAttr value, int64_t alignment) {
  auto function = builder.getInsertionBlock()->getParent()->getParentOfType<FunctionOpInterface>();
  Block *scope = function->getBlock();
  auto type = MemRefType::get(value.getType().getShape(), value.getElementType());
  std::string name = (function.getName() + ".table" + Twine(llvm::range_size(scope->getOps<memref::GlobalOp>()))).str();
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(scope);
    memref::GlobalOp::create(builder, name, builder.getStringAttr("private"), type, value, /*constant=*/true,
                             builder.getI64IntegerAttr(alignment));
  }
  return memref::GetGlobalOp::create(builder, type, name);
}

void RowsBody::bindBuffers(ArrayRef<Value> arguments, ArrayRef<Value> results, int64_t tableAlignment) {
  for (auto [argument, buffer] : llvm::zip_equal(kernel.getArguments(), arguments))
    memory[argument] = flatten(buffer);
  ValueRange returned = kernel.getBody().front().getTerminator()->getOperands();
  for (auto [value, buffer] : llvm::zip_equal(returned, results))
    memory[getRoot(value)] = flatten(buffer);
  for (auto constant : kernel.getBody().getOps<arith::ConstantOp>())
    if (auto value = dyn_cast<DenseElementsAttr>(constant.getValue()); value && !value.isSplat())
      memory[constant] = flatten(getConstant(value, tableAlignment));
}

//===----------------------------------------------------------------------===//
// Iterations
//===----------------------------------------------------------------------===//

int64_t RowsBody::getWidth(const PlannedNest &nest, int64_t width) const {
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
  return std::min<int64_t>(hasWideElements ? width / 2 : width, llvm::PowerOf2Ceil(nest.getVectorExtent()));
}

/// Every op of the nest for one vector of the vectorised loop.
void RowsBody::emitChunk(const PlannedNest &nest, const Position &position, LaneBuilder &lanes) {
  registers.clear();
  for (const PlannedOp *planned : nest.ops) {
    Values inits = emitInits(*planned, position, lanes);
    emitStores(*planned, position, lanes, emitReductions(*planned, position, lanes, inits, 0));
  }
}

RowsBody::Values RowsBody::emitReductions(const PlannedOp &planned, Position position, LaneBuilder &lanes,
                                          Values partial, unsigned depth) {
  if (depth == planned.reductions.size())
    return emitBody(planned, position, lanes, partial);
  return emitFor(index(0), index(planned.reductions[depth].extent), 1, partial, [&](Value iv, ValueRange carried) {
    Position inner = position;
    inner.reductions.push_back(iv);
    return emitReductions(planned, inner, lanes, Values(carried), depth + 1);
  });
}

LaneValue RowsBody::emitIndex(const PlannedOp &planned, unsigned dim, const Position &position, LaneBuilder &lanes) {
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
LaneValue RowsBody::getOffset(const PlannedOp &planned, const OperandAccess &access, Value root,
                              const Position &position, LaneBuilder &lanes) {
  Value offset = index(0);
  int64_t divisor = 0; // What divides every term; 0 while there is none.
  auto addTerm = [&](Value iv, int64_t stride, int64_t ivDivisor = 1) {
    if (stride == 0)
      return;
    offset = add(offset, multiply(iv, stride));
    divisor = std::gcd(divisor, stride * ivDivisor);
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
  addTerm(position.vector, stride, lanes.getWidth());
  return lanes.linear(offset, stride, divisor == 0 ? lanes.getWidth() : divisor);
}

LaneValue RowsBody::emitLoad(const PlannedOp &planned, const OperandAccess &access, const Position &position,
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

RowsBody::Values RowsBody::emitInits(const PlannedOp &planned, const Position &position, LaneBuilder &lanes) {
  Values inits;
  for (unsigned i = 0; i < planned.op.getNumDpsInits(); ++i) {
    bool isRead = !planned.op.getRegionOutputArgs()[i].use_empty();
    inits.push_back(isRead ? lanes.materialize(emitInit(planned, i, position, lanes)) : Value());
  }
  return inits;
}

LaneValue RowsBody::emitInit(const PlannedOp &planned, unsigned output, const Position &position, LaneBuilder &lanes) {
  LaneValue init = emitStart(planned, output, position, lanes);
  if (!planned.accumulates)
    return init;
  Value result = planned.op->getResult(output);
  LaneValue offset = getOffset(planned, planned.getOutputs()[output], result, position, lanes);
  LaneValue before = lanes.load(memory.lookup(result), offset);
  Value rowOfChunk = builder.createOrFold<arith::RemUIOp>(row, index(plan.chunk));
  Value isFirst = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, rowOfChunk, index(0));
  return {arith::SelectOp::create(builder, isFirst, lanes.materialize(init), lanes.materialize(before)).getResult()};
}

LaneValue RowsBody::emitExtract(tensor::ExtractOp extract, ArrayRef<LaneValue> indices, LaneBuilder &lanes) {
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
RowsBody::Values RowsBody::emitBody(const PlannedOp &planned, const Position &position, LaneBuilder &lanes,
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

void RowsBody::emitStores(const PlannedOp &planned, const Position &position, LaneBuilder &lanes, ValueRange values) {
  for (auto [result, access, value] : llvm::zip_equal(planned.op.getResults(), planned.getOutputs(), values)) {
    registers[result] = {value};
    if (plan.kind == RowsPlan::Kind::rows && plan.getRowSize(result) == 1 && !planned.accumulates)
      rowScalars[result] = value;
    if (memory.contains(result))
      emitStore(lanes, memory.lookup(result), getOffset(planned, access, result, position, lanes), {value});
  }
}

} // namespace mlir::moe::target
