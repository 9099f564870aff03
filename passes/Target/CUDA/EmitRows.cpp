//===- EmitRows.cpp - Kernels of linalg.generic ops -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What RowsShape.h says of threads, rows and columns, as code. The ops of a plan by rows run one nest after the other:
/// the threads of a row share the iterations of a nest in turn, or, if it reduces its innermost loop, they share that
/// loop and combine their sums. A nest of a single iteration is run by all threads alike: what it computes is a scalar
/// that all of them need.
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/RowThreads.h"
#include "passes/Target/Common/RowsBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda {

using namespace target;

namespace {

class RowsEmitter : RowsBody {
public:
  RowsEmitter(EmitterContext &context, RowsPlan &plan, const RowsShape &shape)
      : RowsBody(context.builder, context.kernel, plan), context(context), shape(shape),
        threads(context, shape, /*mayDiverge=*/plan.extent % shape.rows != 0) {}

  LaunchShape emit();

private:
  int64_t emitColumns();
  int64_t emitRows();
  Value getShared(Value root);

  // Nests of a row.
  void emitNest(const PlannedNest &nest);
  void emitSharedNest(const PlannedNest &nest, int64_t width);
  void emitReduction(const PlannedNest &nest, int64_t width);
  void emitReductionAt(const PlannedNest &nest, int64_t width, Position position);
  void emitStore(LaneBuilder &lanes, Value memory, LaneValue offset, LaneValue value) override;

  // Memory that threads exchange.
  void synchronizeBefore(const PlannedNest &nest);
  Value getBuffer(Value root) const { return tiedArguments.lookup_or(root, root); }

  LaneBuilder makeLanes(int64_t width) {
    return {builder, width, width, {/*alignment=*/Capabilities::kVectorBytes, /*hasGathers=*/false}};
  }
  /// Elements of a vector of `nest`: they divide its innermost loop, so that there are no masks.
  int64_t getWidth(const PlannedNest &nest) const {
    int64_t width = std::max<int64_t>(1, RowsBody::getWidth(nest, shape.width));
    return std::min(width, nest.getVectorExtent() & -nest.getVectorExtent());
  }
  void emitIf(Value condition, function_ref<void()> body);
  /// Runs `body` for every `size()`-th number below `count`, from this thread's own on.
  Values forThreads(int64_t count, ValueRange carried, function_ref<Values(Value number, ValueRange carried)> body);

  EmitterContext &context;
  const RowsShape &shape;
  RowThreads threads;
  Value storeCondition;                    ///< Only threads for which it holds store; null: all do.
  DenseMap<Value, Value> tiedArguments;    ///< Results that take an argument's memory.
  DenseSet<Value> readSince, writtenSince; ///< Buffers that were touched since threads were synchronised.
};

void RowsEmitter::emitIf(Value condition, function_ref<void()> body) {
  auto branch = scf::IfOp::create(builder, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  body();
}

RowsEmitter::Values RowsEmitter::forThreads(int64_t count, ValueRange carried,
                                            function_ref<Values(Value, ValueRange)> body) {
  int64_t step = threads.size();
  if (count == step)
    return body(threads.getThread(), carried);
  if (count % step != 0)
    return emitFor(threads.getThread(), index(count), step, carried, body);
  // The same number of turns for all threads.
  return emitFor(index(0), index(count), step, carried,
                 [&](Value first, ValueRange carried) { return body(add(first, threads.getThread()), carried); });
}

//===----------------------------------------------------------------------===//
// Memory that threads exchange
//===----------------------------------------------------------------------===//

/// The part of `root` that belongs to this thread's row, in shared memory.
Value RowsEmitter::getShared(Value root) {
  int64_t size = plan.getRowSize(root), stride = RowsShape::getSharedRowStride(plan, root);
  Type element = getElementTypeOrSelf(root);
  auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
  Value all = context.allocateShared(MemRefType::get(shape.rows * stride, element, MemRefLayoutAttrInterface(), space));
  auto layout = StridedLayoutAttr::get(builder.getContext(), ShapedType::kDynamic, {1});
  Value offset = multiply(threads.getSlot(), stride);
  return memref::ReinterpretCastOp::create(builder, MemRefType::get(size, element, layout, space), all,
                                           OpFoldResult(offset), ArrayRef<OpFoldResult>{builder.getIndexAttr(size)},
                                           ArrayRef<OpFoldResult>{builder.getIndexAttr(1)});
}

/// Threads wait for each other if the nest touches what another thread may have written, or overwrites what another may
/// still read.
void RowsEmitter::synchronizeBefore(const PlannedNest &nest) {
  DenseSet<Value> read, written;
  auto addRead = [&](Value root) {
    if (memory.contains(root))
      read.insert(getBuffer(root));
  };
  for (const PlannedOp *planned : nest.ops) {
    for (const OperandAccess &access : planned->accesses)
      addRead(access.root);
    for (auto extract : planned->op.getBody()->getOps<tensor::ExtractOp>())
      addRead(getRoot(extract.getTensor()));
    for (Value result : planned->op->getResults())
      if (memory.contains(result))
        written.insert(getBuffer(result));
  }
  auto meet = [](const DenseSet<Value> &a, const DenseSet<Value> &b) {
    return llvm::any_of(a, [&](Value value) { return b.contains(value); });
  };
  if (meet(writtenSince, read) || meet(writtenSince, written) || meet(readSince, written)) {
    threads.synchronize();
    readSince.clear();
    writtenSince.clear();
  }
  readSince.insert_range(read);
  writtenSince.insert_range(written);
}

void RowsEmitter::emitStore(LaneBuilder &lanes, Value memory, LaneValue offset, LaneValue value) {
  if (!storeCondition)
    return lanes.store(memory, offset, value);
  // All threads have read what the first one overwrites.
  if (!tiedArguments.empty())
    threads.synchronize();
  emitIf(storeCondition, [&] { lanes.store(memory, offset, value); });
}

//===----------------------------------------------------------------------===//
// Nests
//===----------------------------------------------------------------------===//

void RowsEmitter::emitNest(const PlannedNest &nest) {
  synchronizeBefore(nest);
  int64_t width = getWidth(nest);
  if (nest.reducesVector())
    emitReduction(nest, width);
  else
    emitSharedNest(nest, width);
}

/// Iterations are numbered in the order of the loops, so that neighbouring threads touch neighbouring elements.
void RowsEmitter::emitSharedNest(const PlannedNest &nest, int64_t width) {
  LaneBuilder lanes = makeLanes(width);
  int64_t vectors = nest.getVectorExtent() / width, count = vectors;
  for (const PlannedLoop &loop : nest.getOuter())
    count *= loop.extent;
  if (count == 1) {
    storeCondition = threads.size() > 1 ? threads.isFirst() : Value();
    emitChunk(nest, {SmallVector<Value>(nest.getOuter().size(), index(0)), {}, index(0)}, lanes);
    storeCondition = Value();
    return;
  }
  forThreads(count, {}, [&](Value number, ValueRange) -> Values {
    auto split = [&](int64_t extent) {
      Value rest = builder.createOrFold<arith::RemUIOp>(number, index(extent));
      number = builder.createOrFold<arith::DivUIOp>(number, index(extent));
      return rest;
    };
    Position position;
    bool hasOuter = !nest.getOuter().empty();
    position.vector = multiply(hasOuter ? split(vectors) : number, width);
    position.outer.resize(nest.getOuter().size());
    for (auto [loop, iv] : llvm::reverse(llvm::zip_equal(nest.getOuter(), position.outer)))
      iv = &loop == &nest.getOuter().front() ? number : split(loop.extent);
    emitChunk(nest, position, lanes);
    return {};
  });
}

void RowsEmitter::emitReduction(const PlannedNest &nest, int64_t width) {
  OpBuilder::InsertionGuard guard(builder);
  Position position;
  for (const PlannedLoop &loop : nest.getOuter()) {
    auto outer = scf::ForOp::create(builder, index(0), index(loop.extent), index(1));
    builder.setInsertionPointToStart(outer.getBody());
    position.outer.push_back(outer.getInductionVar());
  }
  emitReductionAt(nest, width, position);
}

void RowsEmitter::emitReductionAt(const PlannedNest &nest, int64_t width, Position position) {
  struct Reduced {
    const PlannedOp *planned;
    unsigned output;
    Operation *combiner;
  };
  SmallVector<Reduced> reduced;
  LaneBuilder lanes = makeLanes(width);
  Values partial;
  for (const PlannedOp *planned : nest.ops)
    if (planned->reducesVector)
      for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i) {
        Operation *combiner = planned->getCombiner(i);
        reduced.push_back({planned, i, combiner});
        partial.push_back(lanes.materialize({arith::ConstantOp::create(builder, *arith::getNeutralElement(combiner))}));
      }

  // Runs all ops for one vector.
  auto emitAt = [&](const Position &here, ValueRange before) {
    Values after;
    registers.clear();
    for (const PlannedOp *planned : nest.ops) {
      if (!planned->reducesVector) {
        emitStores(*planned, here, lanes, emitBody(*planned, here, lanes, emitInits(*planned, here, lanes)));
        continue;
      }
      llvm::append_range(after,
                         emitBody(*planned, here, lanes, before.slice(after.size(), planned->op.getNumDpsInits())));
    }
    return after;
  };
  int64_t vectors = nest.getVectorExtent() / width;
  std::function<Values(Position, Values, unsigned)> emitAround = [&](Position here, Values partial, unsigned depth) {
    ArrayRef<PlannedLoop> loops = nest.ops.front()->reductions;
    if (depth == loops.size())
      return forThreads(vectors, partial, [&](Value number, ValueRange carried) {
        Position inner = here;
        inner.vector = multiply(number, width);
        return emitAt(inner, carried);
      });
    return emitFor(index(0), index(loops[depth].extent), 1, partial, [&](Value iv, ValueRange carried) {
      Position inner = here;
      inner.reductions.push_back(iv);
      return emitAround(inner, Values(carried), depth + 1);
    });
  };
  partial = emitAround(position, partial, 0);

  LaneBuilder scalar = makeLanes(1);
  registers.clear();
  DenseMap<const PlannedOp *, Values> results;
  position.vector = index(0);
  position.reductions.assign(nest.ops.front()->reductions.size(), index(0));
  for (auto [output, total] : llvm::zip_equal(reduced, partial)) {
    auto combineWith = [&](Value a, Value b) { return combine(output.combiner, a, b); };
    if (isa<VectorType>(total.getType()))
      total = reduceLanes(builder, total, combineWith);
    total = threads.reduce(total, combineWith);
    Value init = emitInit(*output.planned, output.output, position, scalar).value;
    results[output.planned].push_back(combineWith(init, total));
  }
  storeCondition = threads.size() > 1 ? threads.isFirst() : Value();
  for (const PlannedOp *planned : nest.ops)
    if (planned->reducesVector)
      emitStores(*planned, position, scalar, results[planned]);
  storeCondition = Value();
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Returns the number of blocks.
int64_t RowsEmitter::emitRows() {
  Value block = gpu::BlockIdOp::create(builder, gpu::Dimension::x);
  row = add(multiply(block, shape.rows), threads.getSlot());
  for (Value root : plan.scratch) {
    memory[root] = getShared(root);
    rowMemory.insert(root);
  }
  auto emitRow = [&] {
    for (const PlannedNest &nest : plan.nests)
      emitNest(nest);
  };
  if (plan.extent % shape.rows == 0)
    emitRow();
  else
    emitIf(arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, row, index(plan.extent)), emitRow);
  return llvm::divideCeil(plan.extent, shape.rows);
}

int64_t RowsEmitter::emitColumns() {
  const PlannedNest &nest = plan.nests.front();
  int64_t width = getWidth(nest), columns = shape.threads * width;
  Value block = gpu::BlockIdOp::create(builder, gpu::Dimension::x);
  Value column = multiply(add(multiply(block, shape.threads), threads.getThread()), width);
  auto emitColumn = [&] {
    LaneBuilder lanes = makeLanes(width);
    emitChunk(nest, {{}, {}, column}, lanes);
  };
  if (plan.extent % columns == 0)
    emitColumn();
  else
    emitIf(arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, column, index(plan.extent)), emitColumn);
  return llvm::divideCeil(plan.extent, columns);
}

LaunchShape RowsEmitter::emit() {
  bindBuffers(context.arguments, context.results, /*tableAlignment=*/Capabilities::kVectorBytes);
  ValueRange returned = kernel.getBody().front().getTerminator()->getOperands();
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    if (std::optional<unsigned> result = kernel.getTiedResult(i))
      tiedArguments[getRoot(returned[*result])] = kernel.getArgument(i);
  LaunchShape launch;
  launch.grid[0] = plan.kind == RowsPlan::Kind::rows ? emitRows() : emitColumns();
  launch.block[0] = shape.threads;
  launch.flops = plan.flops;
  return launch;
}

} // namespace

FailureOr<LaunchShape> emitRows(EmitterContext &context) {
  FailureOr<RowsPlan> plan = planRows(context.kernel);
  if (failed(plan))
    return failure();
  FailureOr<RowsShape> shape = RowsShape::get(context.kernel, *plan);
  if (failed(shape))
    return failure();
  return RowsEmitter(context, *plan, *shape).emit();
}

} // namespace mlir::moe::cuda
