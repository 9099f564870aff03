//===- EmitRows.cpp - Kernels of linalg.generic ops -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/Emitter.h"
#include "passes/Target/Common/RowsBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "moe/CpuKernel.h"

namespace mlir::moe::cpu {

using namespace target;

namespace {

/// Emits the loops of a plan.
class RowsEmitter : RowsBody {
public:
  RowsEmitter(EmitterContext &context, RowsPlan &plan)
      : RowsBody(context.builder, context.kernel, plan), context(context) {}

  LaunchShape emit();

private:
  Value getScratch(Value root, int64_t &offset);

  // Loops, from the outside in.
  void emitRowBlocks();
  void emitColumnBlocks();
  void emitNest(const PlannedNest &nest);
  void emitVectorLoop(const PlannedNest &nest, const Position &position);
  void emitVectorReduction(const PlannedNest &nest, Position position);

  int64_t getWidth(const PlannedNest &nest) const { return RowsBody::getWidth(nest, context.config.getVectorWidth()); }

  EmitterContext &context;
  int64_t scratchBytes = 0;
};

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value RowsEmitter::getScratch(Value root, int64_t &offset) {
  auto type = MemRefType::get({plan.getRowSize(root)}, getElementTypeOrSelf(root.getType()));
  Value view = memref::ViewOp::create(builder, type, context.scratch, index(offset), ValueRange());
  int64_t bytes = type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  offset = llvm::alignTo(offset + bytes, ::moe::kCpuBufferAlignment);
  return view;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

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
        emitStores(*planned, here, lanes, emitBody(*planned, here, lanes, emitInits(*planned, here, lanes)));
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

LaunchShape RowsEmitter::emit() {
  bindBuffers(context.arguments, context.results, ::moe::kCpuBufferAlignment);
  for (Value root : plan.scratch) {
    memory[root] = getScratch(root, scratchBytes);
    rowMemory.insert(root);
  }
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
  if (block % plan->chunk != 0)
    return context.kernel.emitOpError() << "has blocks of " << block << " rows, but adds up chunks of " << plan->chunk;
  return RowsEmitter(context, *plan).emit();
}

} // namespace mlir::moe::cpu
