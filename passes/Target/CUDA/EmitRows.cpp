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
#include "passes/Target/CUDA/HoistLoads.h"
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
        threads(context, shape, /*mayDiverge=*/(plan.chunk > 1 ? plan.chunk : plan.extent) % shape.rows != 0),
        heldVectors(shape.getHeldVectors(plan)) {}

  LaunchShape emit();

private:
  int64_t emitColumns();
  int64_t emitRows();
  void emitInParts(const PlannedNest &nest, const Position &position, Value columnThread, Value part);
  Value getShared(Value root);

  // Chunks of rows that are added up.
  void emitRowsOfChunk(Value chunk);
  void emitHeldChunk(Value chunk);
  void emitHeldNest(const PlannedNest &nest, Values &sums);
  void emitSums(Value chunk, ValueRange sums);
  Value getHeldVector(int64_t vector, int64_t count, Value &isThere);

  // Nests of a row.
  void emitNest(const PlannedNest &nest);
  void emitSharedNest(const PlannedNest &nest, int64_t width);
  Position getPosition(const PlannedNest &nest, Value number, int64_t width);
  void emitReduction(const PlannedNest &nest, int64_t width);
  void emitReductionAt(const PlannedNest &nest, int64_t width, Position position);
  /// An output that is reduced over its innermost loop.
  struct Reduced {
    const PlannedOp *planned;
    unsigned output;
    Operation *combiner;
  };
  /// Of a nest, and for each what a thread starts from.
  SmallVector<Reduced> findReduced(const PlannedNest &nest, LaneBuilder &lanes, Values &partial);
  void storeReduced(const PlannedNest &nest, ArrayRef<Reduced> reduced, ValueRange partial, Position position);
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
  int64_t heldVectors; ///< Of every row of a chunk, if a thread keeps them in registers.
  SmallVector<DenseMap<Value, LaneValue>> heldResults; ///< Of the row, for each of them.
  DenseMap<const PlannedOp *, unsigned> firstSum;      ///< Of an op that accumulates, among the sums of a thread.
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
    emitChunk(nest, getPosition(nest, number, width), lanes);
    return {};
  });
}

/// Where the vector `number` of all loops of `nest` is.
RowsEmitter::Position RowsEmitter::getPosition(const PlannedNest &nest, Value number, int64_t width) {
  auto split = [&](int64_t extent) {
    Value rest = builder.createOrFold<arith::RemUIOp>(number, index(extent));
    number = builder.createOrFold<arith::DivUIOp>(number, index(extent));
    return rest;
  };
  Position position;
  bool hasOuter = !nest.getOuter().empty();
  position.vector = multiply(hasOuter ? split(nest.getVectorExtent() / width) : number, width);
  position.outer.resize(nest.getOuter().size());
  for (auto [loop, iv] : llvm::reverse(llvm::zip_equal(nest.getOuter(), position.outer)))
    iv = &loop == &nest.getOuter().front() ? number : split(loop.extent);
  return position;
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

SmallVector<RowsEmitter::Reduced> RowsEmitter::findReduced(const PlannedNest &nest, LaneBuilder &lanes,
                                                           Values &partial) {
  SmallVector<Reduced> reduced;
  for (const PlannedOp *planned : nest.ops)
    if (planned->reducesVector)
      for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i) {
        Operation *combiner = planned->getCombiner(i);
        reduced.push_back({planned, i, combiner});
        partial.push_back(lanes.materialize({arith::ConstantOp::create(builder, *arith::getNeutralElement(combiner))}));
      }
  return reduced;
}

void RowsEmitter::emitReductionAt(const PlannedNest &nest, int64_t width, Position position) {
  LaneBuilder lanes = makeLanes(width);
  Values partial;
  SmallVector<Reduced> reduced = findReduced(nest, lanes, partial);

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
  storeReduced(nest, reduced, emitAround(position, partial, 0), position);
}

void RowsEmitter::storeReduced(const PlannedNest &nest, ArrayRef<Reduced> reduced, ValueRange partial,
                               Position position) {
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
// Chunks of rows that are added up
//===----------------------------------------------------------------------===//

/// Row by row; what has been added up lies in the results' memory. A thread has the same columns of every row.
void RowsEmitter::emitRowsOfChunk(Value chunk) {
  Value first = multiply(chunk, plan.chunk);
  emitFor(index(0), index(plan.chunk), 1, {}, [&](Value rowOfChunk, ValueRange) -> Values {
    row = add(first, rowOfChunk);
    for (const PlannedNest &nest : plan.nests)
      emitNest(nest);
    threads.synchronize(); // Before the next row overwrites what lies in shared memory.
    return {};
  });
}

/// The number of this thread's `vector`-th vector of the `count` in a row. Where it may have none, `isThere` says
/// whether it has, and the number is that of another.
Value RowsEmitter::getHeldVector(int64_t vector, int64_t count, Value &isThere) {
  Value number = add(threads.getThread(), index(vector * threads.size()));
  isThere = Value();
  if ((vector + 1) * threads.size() <= count)
    return number;
  isThere = arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, number, index(count));
  return arith::MinUIOp::create(builder, number, index(count - 1));
}

/// The rows of a chunk, dealt out to the rows of the block.
void RowsEmitter::emitHeldChunk(Value chunk) {
  LaneBuilder lanes = makeLanes(shape.width);
  Values sums;
  for (auto &planned : plan.ops)
    if (planned->accumulates) {
      firstSum[planned.get()] = sums.size();
      for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i) {
        Value neutral = arith::ConstantOp::create(builder, *arith::getNeutralElement(planned->getCombiner(i)));
        sums.append(heldVectors, lanes.materialize({neutral}));
      }
    }
  size_t numSums = sums.size();
  Value first = multiply(chunk, plan.chunk);
  // What is computed in place is not read before its row.
  SmallVector<Value> ahead = shape.getHeldArguments(plan);
  llvm::erase_if(ahead, [&](Value root) {
    return llvm::any_of(tiedArguments, [&](const auto &tied) { return tied.second == root; });
  });
  auto readAhead = [&](Value rowOfChunk, Values &values) {
    rowOfChunk = arith::MinUIOp::create(builder, rowOfChunk, index(plan.chunk - 1));
    Value row = add(first, rowOfChunk);
    for (Value root : ahead)
      for (int64_t vector = 0; vector < heldVectors; ++vector) {
        int64_t size = plan.getRowSize(root);
        Value isThere, column = multiply(getHeldVector(vector, size / shape.width, isThere), shape.width);
        LaneValue offset = lanes.linear(add(multiply(row, size), column), 1, lanes.getWidth());
        values.push_back(lanes.load(memory.lookup(root), offset).value);
      }
  };
  readAhead(threads.getSlot(), sums);
  sums = emitFor(threads.getSlot(), index(plan.chunk), shape.rows, sums, [&](Value rowOfChunk, ValueRange carried) {
    row = add(first, rowOfChunk);
    rowScalars.clear();
    heldResults.clear();
    heldResults.resize(heldVectors);
    readSince.clear();
    writtenSince.clear();
    Values next(carried.take_front(numSums)), following;
    for (auto [number, value] : llvm::enumerate(carried.drop_front(numSums)))
      heldResults[number % heldVectors][ahead[number / heldVectors]] = {value};
    readAhead(add(rowOfChunk, index(shape.rows)), following);
    for (const PlannedNest &nest : plan.nests)
      emitHeldNest(nest, next);
    if (!rowMemory.empty())
      threads.synchronize();
    llvm::append_range(next, following);
    return next;
  });
  emitSums(chunk, ArrayRef(sums).take_front(numSums));
}

/// `sums` are those of all ops that accumulate, vector by vector.
void RowsEmitter::emitHeldNest(const PlannedNest &nest, Values &sums) {
  int64_t count = nest.getVectorExtent() / shape.width;
  for (const PlannedLoop &loop : nest.getOuter())
    count *= loop.extent;
  if (nest.getVectorExtent() == 1 && nest.getOuter().empty() && !nest.reducesVector())
    return emitNest(nest); // Scalars of the row.
  synchronizeBefore(nest);

  LaneBuilder lanes = makeLanes(shape.width);
  Values partial;
  SmallVector<Reduced> reduced = findReduced(nest, lanes, partial);
  for (int64_t vector = 0; vector < heldVectors; ++vector) {
    Value isThere, number = getHeldVector(vector, count, isThere);
    Position position = getPosition(nest, number, shape.width);
    registers = heldResults[vector];
    unsigned nextPartial = 0;
    for (const PlannedOp *planned : nest.ops) {
      unsigned outputs = planned->op.getNumDpsInits();
      if (planned->accumulates) {
        // Output by output, each with its vectors behind each other.
        auto mine = MutableArrayRef(sums).slice(firstSum.lookup(planned), outputs * heldVectors);
        Values before;
        for (unsigned i = 0; i < outputs; ++i)
          before.push_back(mine[i * heldVectors + vector]);
        for (auto [i, sum] : llvm::enumerate(emitBody(*planned, position, lanes, before)))
          mine[i * heldVectors + vector] = sum;
      } else if (planned->reducesVector) {
        Values before = llvm::to_vector(ArrayRef(partial).slice(nextPartial, outputs));
        for (auto [old, value] : llvm::zip_equal(before, emitBody(*planned, position, lanes, before)))
          partial[nextPartial++] = isThere ? arith::SelectOp::create(builder, isThere, value, old).getResult() : value;
      } else {
        storeCondition = isThere;
        emitStores(*planned, position, lanes,
                   emitBody(*planned, position, lanes, emitInits(*planned, position, lanes)));
        storeCondition = Value();
        for (Value result : planned->op->getResults())
          heldResults[vector][result] = registers.lookup(result);
      }
    }
  }
  if (!reduced.empty())
    storeReduced(nest, reduced, partial, {{}, {}, index(0)});
}

/// What the rows of a block added up goes through shared memory, and is added up in the order of the block's rows.
void RowsEmitter::emitSums(Value chunk, ValueRange sums) {
  LaneBuilder lanes = makeLanes(shape.width);
  Value shared;
  for (auto &planned : plan.ops) {
    if (!planned->accumulates)
      continue;
    for (auto [number, result] : llvm::enumerate(planned->op.getResults())) {
      unsigned output = number;
      auto type = cast<RankedTensorType>(result.getType());
      int64_t columns = type.getNumElements() / (plan.extent / plan.chunk), count = columns / shape.width;
      Value first = multiply(chunk, columns), target = memory.lookup(result);
      auto store = [&](LaneBuilder &lanes, Value column, Value total) {
        Value start = lanes.materialize(emitStart(*planned, output, {}, lanes));
        Value sum = combine(planned->getCombiner(output), start, total);
        lanes.store(target, lanes.linear(add(first, column), 1, lanes.getWidth()), {sum});
      };
      auto forVectors = [&](function_ref<void(Value column, Value sum)> body) {
        for (int64_t vector = 0; vector < heldVectors; ++vector) {
          Value isThere, column = multiply(getHeldVector(vector, count, isThere), shape.width), sum = sums[vector];
          isThere ? emitIf(isThere, [&] { body(column, sum); }) : body(column, sum);
        }
        sums = sums.drop_front(heldVectors);
      };
      if (shape.rows == 1) {
        forVectors([&](Value column, Value sum) { store(lanes, column, sum); });
        continue;
      }

      if (shared) {
        gpu::BarrierOp::create(builder);
      } else {
        auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
        shared = context.allocateShared(
            MemRefType::get(shape.rows * columns, type.getElementType(), MemRefLayoutAttrInterface(), space));
      }
      Value mine = multiply(threads.getSlot(), columns);
      forVectors([&](Value column, Value sum) {
        lanes.store(shared, lanes.linear(add(mine, column), 1, lanes.getWidth()), {sum});
      });
      gpu::BarrierOp::create(builder);
      LaneBuilder narrow = makeLanes(std::min<int64_t>(shape.width, 4));
      int64_t width = narrow.getWidth();
      Value thread = gpu::ThreadIdOp::create(builder, gpu::Dimension::x);
      emitFor(multiply(thread, width), index(columns), shape.threads * width, {},
              [&](Value column, ValueRange) -> Values {
                Value total;
                for (int64_t slot = 0; slot < shape.rows; ++slot) {
                  LaneValue offset = narrow.linear(add(column, index(slot * columns)), 1, width);
                  Value sum = narrow.materialize(narrow.load(shared, offset));
                  total = total ? combine(planned->getCombiner(output), total, sum) : sum;
                }
                store(narrow, column, total);
                return {};
              });
    }
  }
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Returns the number of blocks.
int64_t RowsEmitter::emitRows() {
  Value block = gpu::BlockIdOp::create(builder, gpu::Dimension::x);
  for (Value root : shape.getScratch(plan)) {
    memory[root] = getShared(root);
    rowMemory.insert(root);
  }
  if (plan.chunk > 1) {
    heldVectors > 0 ? emitHeldChunk(block) : emitRowsOfChunk(block);
    return plan.extent / plan.chunk;
  }
  row = add(multiply(block, shape.rows), threads.getSlot());
  heldResults.resize(heldVectors);
  auto emitRow = [&] {
    Values sums;
    for (const PlannedNest &nest : plan.nests)
      heldVectors > 0 ? emitHeldNest(nest, sums) : emitNest(nest);
  };
  if (plan.extent % shape.rows == 0)
    emitRow();
  else
    emitIf(arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, row, index(plan.extent)), emitRow);
  return llvm::divideCeil(plan.extent, shape.rows);
}

/// A reduction's iterations are dealt out in runs, and their sums combined in order by all threads; those of the first
/// part go on with them.
void RowsEmitter::emitInParts(const PlannedNest &nest, const Position &position, Value columnThread, Value part) {
  LaneBuilder lanes = makeLanes(getWidth(nest));
  int64_t width = lanes.getWidth(), columns = shape.getColumnThreads() * width;
  auto space = gpu::AddressSpaceAttr::get(builder.getContext(), gpu::AddressSpace::Workgroup);
  Value mine = add(multiply(part, columns), multiply(columnThread, width));
  DenseMap<Type, Value> shared;
  registers.clear();
  storeCondition = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, part, index(0));
  for (const PlannedOp *planned : nest.ops) {
    if (planned->reductions.empty()) {
      emitStores(*planned, position, lanes, emitBody(*planned, position, lanes, emitInits(*planned, position, lanes)));
      continue;
    }
    Values partial, totals;
    for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i)
      partial.push_back(
          lanes.materialize({arith::ConstantOp::create(builder, *arith::getNeutralElement(planned->getCombiner(i)))}));
    int64_t extent = planned->reductions.front().extent, share = llvm::divideCeilSigned(extent, shape.parts);
    Value begin = multiply(part, share), end = add(begin, index(share));
    if (extent % shape.parts != 0) {
      begin = arith::MinUIOp::create(builder, begin, index(extent));
      end = arith::MinUIOp::create(builder, end, index(extent));
    }
    partial = emitFor(begin, end, 1, partial, [&](Value iv, ValueRange carried) {
      Position inner = position;
      inner.reductions.push_back(iv);
      return emitReductions(*planned, inner, lanes, Values(carried), 1);
    });
    for (auto [number, value] : llvm::enumerate(partial)) {
      Type element = getElementTypeOrSelf(value.getType());
      Value &memory = shared[element];
      if (memory)
        gpu::BarrierOp::create(builder);
      else
        memory =
            context.allocateShared(MemRefType::get(shape.parts * columns, element, MemRefLayoutAttrInterface(), space));
      if (lanes.getWidth() == 1)
        memref::StoreOp::create(builder, value, memory, mine);
      else
        lanes.store(memory, lanes.linear(mine, 1, width), {value});
      gpu::BarrierOp::create(builder);
      Value total = lanes.materialize(emitStart(*planned, number, position, lanes));
      for (int64_t other = 0; other < shape.parts; ++other) {
        Value at = add(index(other * columns), multiply(columnThread, width));
        Value sum = lanes.materialize(lanes.load(memory, lanes.linear(at, 1, width)));
        total = combine(planned->getCombiner(number), total, sum);
      }
      totals.push_back(total);
    }
    emitStores(*planned, position, lanes, totals);
  }
  storeCondition = Value();
}

int64_t RowsEmitter::emitColumns() {
  const PlannedNest &nest = plan.nests.front();
  int64_t width = getWidth(nest), columns = shape.getColumnThreads() * width;
  Value block = gpu::BlockIdOp::create(builder, gpu::Dimension::x);
  if (shape.parts > 1) {
    Value count = index(shape.getColumnThreads());
    Value columnThread = builder.createOrFold<arith::RemUIOp>(threads.getThread(), count);
    Value part = builder.createOrFold<arith::DivUIOp>(threads.getThread(), count);
    Value column = multiply(add(multiply(block, shape.getColumnThreads()), columnThread), width);
    emitInParts(nest, {{}, {}, column}, columnThread, part);
    return plan.extent / columns;
  }
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
  DenseSet<Value> unwritten;
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    if (!kernel.getTiedResult(i))
      unwritten.insert(memory.lookup(kernel.getArgument(i)));
  LaunchShape launch;
  launch.grid[0] = plan.kind == RowsPlan::Kind::rows ? emitRows() : emitColumns();
  launch.block[0] = shape.threads;
  launch.flops = plan.flops;
  // Of the function, and of what it does if the row is there.
  Block *body = builder.getInsertionBlock();
  for (auto branch : body->getOps<scf::IfOp>())
    hoistLoads(*branch.thenBlock(), unwritten);
  hoistLoads(*body, unwritten);
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
