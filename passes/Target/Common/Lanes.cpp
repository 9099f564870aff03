//===- Lanes.cpp - Values of all lanes of a vectorised loop -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/Lanes.h"

#include "passes/Target/Common/CloneRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <numeric>

namespace mlir::moe::target {

/// A number that divides every multiple one is ever interested in: what divides zero.
static constexpr int64_t kDividesAll = int64_t(1) << 40;

static int64_t divisorOf(const LaneValue &value) {
  if (std::optional<int64_t> constant = getConstantIntValue(value.value); constant && value.isUniform())
    return *constant == 0 ? kDividesAll : std::abs(*constant);
  return value.divisor;
}

Value LaneBuilder::getMask() {
  SmallVector<bool> lanes(width, false);
  std::fill_n(lanes.begin(), active, true);
  return arith::ConstantOp::create(builder, DenseElementsAttr::get(vectorOf(builder.getI1Type()), lanes));
}

LaneValue LaneBuilder::linear(Value value, int64_t step, int64_t divisor) const {
  return {value, width == 1 ? 0 : step, divisor};
}

LaneValue LaneBuilder::add(LaneValue a, LaneValue b) {
  if (a.isVector() || b.isVector())
    return {builder.createOrFold<arith::AddIOp>(materialize(a), materialize(b))};
  return {builder.createOrFold<arith::AddIOp>(a.value, b.value), a.step + b.step, std::gcd(divisorOf(a), divisorOf(b))};
}

LaneValue LaneBuilder::scale(LaneValue a, int64_t factor) {
  if (factor == 1)
    return a;
  Value scalar = arith::ConstantOp::create(builder, builder.getIntegerAttr(getElementTypeOrSelf(a.value), factor));
  if (a.isVector())
    return {arith::MulIOp::create(builder, a.value, vector::BroadcastOp::create(builder, a.value.getType(), scalar))};
  return {builder.createOrFold<arith::MulIOp>(a.value, scalar), a.step * factor, divisorOf(a) * std::abs(factor)};
}

Value LaneBuilder::applyScalar(Operation *op, ArrayRef<LaneValue> operands) {
  return cloneElementwise(builder, op, llvm::map_to_vector(operands, [](const LaneValue &v) { return v.value; }));
}

std::optional<LaneValue> LaneBuilder::applyLinear(Operation *op, ArrayRef<LaneValue> operands) {
  if (llvm::any_of(operands, [](const LaneValue &operand) { return operand.isVector(); }))
    return std::nullopt;
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(op)) {
    const LaneValue &source = operands.front();
    return LaneValue{applyScalar(op, operands), source.step, source.divisor};
  }
  if (llvm::all_of(operands, [](const LaneValue &operand) { return operand.isUniform(); }))
    return LaneValue{applyScalar(op, operands)};

  if (operands.size() != 2)
    return std::nullopt;
  const LaneValue &a = operands[0], &b = operands[1];
  if (isa<arith::AddIOp>(op))
    return add(a, b);
  if (isa<arith::SubIOp>(op))
    return LaneValue{applyScalar(op, operands), a.step - b.step, std::gcd(divisorOf(a), divisorOf(b))};
  if (isa<arith::MulIOp>(op)) {
    for (auto [value, factor] : {std::pair(a, b), std::pair(b, a)})
      if (std::optional<int64_t> constant = getConstantIntValue(factor.value); constant && factor.isUniform())
        return scale(value, *constant);
    return std::nullopt;
  }

  // The lanes of an aligned vector lie on one side of every multiple of its width.
  std::optional<int64_t> bound = getConstantIntValue(b.value);
  if (a.step != 1 || !b.isUniform() || !bound || *bound <= 0 || divisorOf(a) % width != 0 || *bound % width != 0)
    return std::nullopt;
  if (isa<arith::RemUIOp, arith::RemSIOp>(op))
    return LaneValue{applyScalar(op, operands), 1, std::gcd(divisorOf(a), *bound)};
  if (isa<arith::DivUIOp, arith::DivSIOp>(op))
    return LaneValue{applyScalar(op, operands)};
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    switch (compare.getPredicate()) {
    case arith::CmpIPredicate::slt:
    case arith::CmpIPredicate::sge:
    case arith::CmpIPredicate::ult:
    case arith::CmpIPredicate::uge:
      return LaneValue{applyScalar(op, operands)};
    default:
      break;
    }
  return std::nullopt;
}

LaneValue LaneBuilder::apply(Operation *op, ArrayRef<LaneValue> operands) {
  if (std::optional<LaneValue> result = applyLinear(op, operands))
    return *result;
  // Uniform operands may stay scalars; cloneElementwise broadcasts them.
  auto widened =
      llvm::map_to_vector(operands, [&](const LaneValue &v) { return v.isUniform() ? v.value : materialize(v); });
  return {cloneElementwise(builder, op, widened)};
}

Value LaneBuilder::materialize(LaneValue value) {
  if (value.isVector() || width == 1)
    return value.value;
  Type element = value.value.getType();
  Value vector = vector::BroadcastOp::create(builder, vectorOf(element), value.value);
  if (value.isUniform())
    return vector;
  SmallVector<Attribute> steps;
  for (int64_t lane = 0; lane < width; ++lane)
    steps.push_back(builder.getIntegerAttr(element, lane * value.step));
  Value offsets = arith::ConstantOp::create(builder, DenseElementsAttr::get(vectorOf(element), steps));
  return arith::AddIOp::create(builder, vector, offsets);
}

llvm::MaybeAlign LaneBuilder::getAlignment(Type element, const LaneValue &offset) const {
  if (traits.alignment == 0)
    return {};
  int64_t bytes = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  int64_t known = std::gcd(std::gcd(divisorOf({offset.value, 0, offset.divisor}), width) * bytes, traits.alignment);
  return llvm::Align(known);
}

Value LaneBuilder::getLane(const LaneValue &offset, int64_t lane) {
  if (offset.isVector())
    return vector::ExtractOp::create(builder, offset.value, ArrayRef<int64_t>{lane});
  Value distance = arith::ConstantIndexOp::create(builder, lane * offset.step);
  return builder.createOrFold<arith::AddIOp>(offset.value, distance);
}

LaneValue LaneBuilder::load(Value memory, LaneValue offset) {
  if (offset.isUniform())
    return {memref::LoadOp::create(builder, memory, offset.value)};
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  VectorType type = vectorOf(element);
  auto zero = [&] { return arith::ConstantOp::create(builder, builder.getZeroAttr(type)); };
  if (offset.isLinear() && offset.step == 1) {
    if (!isMasked())
      return {vector::LoadOp::create(builder, type, memory, offset.value, /*nontemporal=*/false,
                                     getAlignment(element, offset))};
    return {vector::MaskedLoadOp::create(builder, type, memory, offset.value, getMask(), zero())};
  }
  if (!traits.hasGathers) {
    assert(!isMasked() && "there are no masks without gathers");
    SmallVector<Value> elements;
    for (int64_t lane = 0; lane < width; ++lane)
      elements.push_back(memref::LoadOp::create(builder, memory, getLane(offset, lane)));
    return {vector::FromElementsOp::create(builder, type, elements)};
  }
  Value start = arith::ConstantIndexOp::create(builder, 0);
  return {vector::GatherOp::create(builder, type, memory, ValueRange(start), materialize(offset), getMask(), zero())};
}

void LaneBuilder::store(Value memory, LaneValue offset, LaneValue value) {
  if (width == 1) {
    memref::StoreOp::create(builder, value.value, memory, offset.value);
    return;
  }
  assert(!offset.isUniform() && "lanes would overwrite each other");
  Value vector = materialize(value);
  if (offset.isLinear() && offset.step == 1) {
    if (isMasked())
      vector::MaskedStoreOp::create(builder, memory, offset.value, getMask(), vector);
    else
      vector::StoreOp::create(builder, vector, memory, offset.value, /*nontemporal=*/false,
                              getAlignment(getElementTypeOrSelf(vector), offset));
    return;
  }
  if (!traits.hasGathers) {
    for (int64_t lane = 0; lane < width; ++lane)
      memref::StoreOp::create(builder, vector::ExtractOp::create(builder, vector, ArrayRef<int64_t>{lane}), memory,
                              getLane(offset, lane));
    return;
  }
  Value start = arith::ConstantIndexOp::create(builder, 0);
  vector::ScatterOp::create(builder, /*resultType=*/Type(), memory, ValueRange(start), materialize(offset), getMask(),
                            vector);
}

} // namespace mlir::moe::target
