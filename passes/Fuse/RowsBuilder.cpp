//===- RowsBuilder.cpp - Builds rows kernels' linalg.generic ops --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/RowsBuilder.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "passes/Fuse/KernelLabels.h"

namespace mlir::moe {

static AffineMap mapOf(MLIRContext *context, unsigned numLoops, ArrayRef<unsigned> loops) {
  auto dims = llvm::map_to_vector(loops, [&](unsigned loop) { return getAffineDimExpr(loop, context); });
  return AffineMap::get(numLoops, 0, dims, context);
}

linalg::GenericOp RowsBuilder::generic(ArrayRef<int64_t> extents, ArrayRef<Input> inputs, ArrayRef<Output> outputs,
                                       Body body) {
  SmallVector<Value> tensors, inits;
  SmallVector<AffineMap> maps;
  SmallVector<utils::IteratorType> iterators(extents.size(), utils::IteratorType::parallel);
  for (const Input &input : inputs) {
    tensors.push_back(input.tensor);
    maps.push_back(mapOf(context, extents.size(), input.loops));
  }
  for (const Output &output : outputs) {
    auto shape = llvm::map_to_vector(output.loops, [&](unsigned loop) { return extents[loop]; });
    Value init = tensor::EmptyOp::create(*this, shape, output.elementType);
    bool reduces = output.loops.size() < extents.size();
    if (reduces)
      init = linalg::FillOp::create(*this, constant(output.elementType, output.init), init).getResult(0);
    for (unsigned loop = 0; loop < extents.size(); ++loop)
      if (!llvm::is_contained(output.loops, loop))
        iterators[loop] = utils::IteratorType::reduction;
    inits.push_back(init);
    maps.push_back(mapOf(context, extents.size(), output.loops));
  }

  auto op = linalg::GenericOp::create(*this, ValueRange(inits).getTypes(), tensors, inits, maps, iterators);
  op->setAttr(kLabelsAttrName, getStrArrayAttr(label));
  SmallVector<Type> elementTypes;
  for (Value operand : op->getOperands())
    elementTypes.push_back(getElementTypeOrSelf(operand));
  OpBuilder::InsertionGuard guard(*this);
  Block *block = createBlock(&op.getRegion(), {}, elementTypes, SmallVector<Location>(elementTypes.size(), getLoc()));
  SmallVector<Value> elements(block->getArguments());
  for (Value &element : MutableArrayRef(elements).take_front(inputs.size()))
    element = extend(element);
  SmallVector<Value> yields;
  for (auto [value, output] : llvm::zip_equal(body(elements), outputs))
    yields.push_back(round(value, output.elementType));
  linalg::YieldOp::create(*this, yields);
  return op;
}

Value RowsBuilder::compute(ArrayRef<int64_t> extents, ArrayRef<Input> inputs, const Output &output,
                           function_ref<Value(ValueRange)> body) {
  if (Type sumType = computeType(output.elementType);
      sumType != output.elementType && output.loops.size() < extents.size()) {
    Value sum = compute(extents, inputs, {sumType, output.loops, output.init}, body);
    auto shape = llvm::to_vector(shapeOf(sum));
    auto loops = llvm::to_vector(llvm::seq<unsigned>(0, shape.size()));
    return compute(shape, {{sum, loops}}, {output.elementType, loops}, [](ValueRange v) { return v[0]; });
  }
  return generic(extents, inputs, output, [&](ValueRange arguments) { return SmallVector<Value>{body(arguments)}; })
      .getResult(0);
}

Value RowsBuilder::sumVector(Value vector) {
  int64_t size = numElements(vector);
  Value sum =
      compute({1, size}, {{reshape(vector, {1, size}), {0, 1}}}, {computeType(getElementTypeOrSelf(vector)), {0}},
              [&](ValueRange v) { return add(v[1], v[0]); });
  return toModelShape(sum, {});
}

Value RowsBuilder::reshape(Value tensor, ArrayRef<int64_t> shape) {
  auto target = cast<RankedTensorType>(tensor.getType()).clone(shape);
  if (target == tensor.getType())
    return tensor;
  if (auto constant = tensor.getDefiningOp<arith::ConstantOp>())
    return arith::ConstantOp::create(*this, cast<DenseElementsAttr>(constant.getValue()).reshape(target));
  // Reshaping back gives the tensor before it; expanding twice is expanding once.
  if (Operation *previous = tensor.getDefiningOp();
      isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(previous)) {
    Value before = previous->getOperand(0);
    if (before.getType() == target)
      return before;
    if (isa<tensor::ExpandShapeOp>(previous) && shape.size() > shapeOf(tensor).size())
      return reshape(before, shape);
  }

  auto source = cast<RankedTensorType>(tensor.getType());
  SmallVector<ReassociationIndices> groups;
  if (source.getRank() != 0 && target.getRank() != 0) {
    auto found = getReassociationIndicesForReshape(source, target);
    assert(found && "the shapes are not refinements of each other");
    groups = *found;
  }
  if (source.getRank() < target.getRank())
    return tensor::ExpandShapeOp::create(*this, target, tensor, groups);
  return tensor::CollapseShapeOp::create(*this, target, tensor, groups);
}

Value RowsBuilder::toModelShape(Value rows, ArrayRef<int64_t> shape) {
  Value result = reshape(rows, shape);
  if (result != rows)
    result.getDefiningOp()->setAttr(kModelShapeAttrName, getUnitAttr());
  return result;
}

Value RowsBuilder::extract(Value tensor, ValueRange indices) {
  return extend(tensor::ExtractOp::create(*this, tensor, indices));
}

} // namespace mlir::moe
