//===- EmitScatter.cpp - Rows written where indices say ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/BlockBuilder.h"
#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/CUDA/EmitStructured.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda {

namespace {

/// A block owns tile_m rows of the result, a warp every `warps`-th of them and a lane some vectors of its columns.
/// First the warps look through the tokens, each through a run of them, and write down in order which belong to the
/// block. Then each warp adds up the tokens of one of its rows after the other, in registers, in float32.
///
/// What is written down is all tokens at most. If they are too many, the block takes them in turns, and a warp has one
/// row.
class ScatterAdd {
public:
  ScatterAdd(BlockBuilder &b, moe_kernel::ScatterAddOp op, int64_t tileRows);
  LaunchShape emit();

private:
  using Sums = SmallVector<Expr>;
  void collect(Expr firstToken);
  Sums addTokens(Expr firstToken, Expr target, Sums sums);
  /// The columns of this lane's vector `number`, and whether the result has them (null: it has).
  std::pair<Expr, Expr> getColumn(int64_t number);
  void storeRow(Expr target, const Sums &sums);

  static constexpr int64_t kLookAhead = 8, kRowsAtOnce = 4;
  static constexpr int64_t kMostVectors = 4; ///< Of a lane.

  BlockBuilder &b;
  int64_t tokens, columns, targets, tileRows;
  int64_t turn, run; ///< Tokens that the block, and a warp of it, look through at once.
  int64_t width = 1, vectors = 1;
  Value indices, rows, result, found, counts;
  Expr firstTarget, firstColumn;
};

} // namespace

ScatterAdd::ScatterAdd(BlockBuilder &b, moe_kernel::ScatterAddOp op, int64_t tileRows)
    : b(b), tokens(op.getRows().getType().getDimSize(0)), columns(op.getRows().getType().getDimSize(1)),
      targets(op.getResult().getType().getDimSize(0)), tileRows(tileRows), indices(b.operand(op.getIndices())),
      rows(b.operand(op.getRows())), result(b.result(op.getResult())) {
  int64_t bytes = b.holdsBFloat16(rows) ? 2 : 4;
  width = std::min<int64_t>(Capabilities::kVectorBytes / bytes, columns & -columns);
  vectors = std::min<int64_t>(llvm::divideCeil(columns, kWarpSize * width), kMostVectors);
  int64_t columnTiles = llvm::divideCeil(columns, kWarpSize * width * vectors);
  firstTarget = b.block / columnTiles * tileRows;
  firstColumn = b.block % columnTiles * (kWarpSize * width * vectors);
  run = llvm::alignTo(llvm::divideCeil(std::min(tokens, kScatterTurn), b.warps), kWarpSize);
  turn = run * b.warps;
  found = b.allocateShared(turn, b.builder.getI32Type());
  counts = b.allocateShared(b.warps, b.builder.getI32Type());
}

/// Writes down the tokens of the turn that belong to the block's rows: their number in the turn, and the row.
void ScatterAdd::collect(Expr firstToken) {
  Expr begin = b.warp * run;
  Expr count = b.loop(b.index(0), b.index(run), kLookAhead * kWarpSize, {b.i32(0)},
                      [&](Expr group, ArrayRef<Expr> carried) -> SmallVector<Expr> {
                        SmallVector<Expr> targetsOfTokens, areHere;
                        for (int64_t i = 0; i < kLookAhead; ++i) {
                          Expr inRun = group + (b.lane + i * kWarpSize), token = firstToken + begin + inRun;
                          Expr exists = both(inRun < run, token < tokens);
                          Expr target = b.loadOrZero(indices, token, exists).toIndex() - firstTarget;
                          targetsOfTokens.push_back(target);
                          areHere.push_back(both(exists, isWithin(target, b.index(0), b.index(tileRows))));
                        }
                        Expr next = carried[0];
                        for (int64_t i = 0; i < kLookAhead; ++i) {
                          Expr here = b.ballot(areHere[i]), place = next + b.lanesBelow(here);
                          Expr inTurn = begin + group + (b.lane + i * kWarpSize);
                          b.ifThen(areHere[i], [&] {
                            b.store((inTurn * tileRows + targetsOfTokens[i]).toI32(), found, begin + place.toIndex());
                          });
                          next = next + b.countBits(here);
                        }
                        return {next};
                      })[0];
  b.ifThen(b.lane == 0, [&] { b.store(count, counts, b.warp); });
}

std::pair<Expr, Expr> ScatterAdd::getColumn(int64_t number) {
  Expr column = firstColumn + (b.lane + number * kWarpSize) * width;
  return {column, columns % (kWarpSize * width * vectors) == 0 ? Expr() : column < columns};
}

/// `sums` and what the turn has for `target`, a row of the block.
ScatterAdd::Sums ScatterAdd::addTokens(Expr firstToken, Expr target, Sums sums) {
  return b.loop(b.index(0), b.index(b.warps), 1, sums, [&](Expr list, ArrayRef<Expr> carried) {
    Expr count = b.load(counts, list).toIndex();
    return b.loop(b.index(0), count, kWarpSize, carried, [&](Expr group, ArrayRef<Expr> carried) {
      Expr number = group + b.lane, exists = number < count;
      Expr entry = b.loadOrZero(found, list * run + number, exists).toIndex();
      SmallVector<Expr> state{b.ballot(both(exists, entry % tileRows == target))};
      Expr token = (entry / tileRows).toI32();
      llvm::append_range(state, carried);
      // Several rows are read before the first is added. One that is not there is the first of them, and not added.
      state = b.loopWhile(
          state, [&](ArrayRef<Expr> state) { return state[0] != 0; },
          [&](ArrayRef<Expr> state) {
            Expr left = state[0], first = b.lowestBit(left);
            Sums next(state.drop_front());
            SmallVector<Sums> values;
            SmallVector<Expr> areThere;
            for (int64_t i = 0; i < kRowsAtOnce; ++i) {
              Expr isThere = left != 0, owner = i == 0 ? first : select(isThere, b.lowestBit(left), first);
              Expr row = (firstToken + b.shuffle(token, owner).toIndex()) * columns;
              Sums &elements = values.emplace_back();
              for (int64_t v = 0; v < vectors; ++v) {
                auto [column, hasColumn] = getColumn(v);
                if (hasColumn)
                  column = select(hasColumn, column, b.index(0));
                llvm::append_range(elements, b.loadVector(rows, row + column, width));
              }
              areThere.push_back(isThere);
              left = left & (left - 1);
            }
            for (auto [isThere, elements] : llvm::zip_equal(areThere, values))
              for (auto [sum, element] : llvm::zip_equal(next, elements))
                sum = select(isThere, sum + element, sum);
            next.insert(next.begin(), left);
            return next;
          });
      return SmallVector<Expr>(llvm::drop_begin(state));
    });
  });
}

void ScatterAdd::storeRow(Expr target, const Sums &sums) {
  for (int64_t v = 0; v < vectors; ++v) {
    auto [column, hasColumn] = getColumn(v);
    Expr offset = (firstTarget + target) * columns + column;
    b.ifThen(hasColumn, [&] {
      if (width == 1)
        return b.store(sums[v], result, offset);
      SmallVector<Value> elements;
      for (Expr sum : ArrayRef(sums).slice(v * width, width))
        elements.push_back(b.roundFor(result, sum));
      auto type = VectorType::get(width, elements.front().getType());
      Value vector = vector::FromElementsOp::create(b.builder, type, elements);
      llvm::MaybeAlign alignment(width * type.getElementTypeBitWidth() / 8);
      vector::StoreOp::create(b.builder, vector, result, ValueRange{offset}, /*nontemporal=*/false, alignment);
    });
  }
}

LaunchShape ScatterAdd::emit() {
  Expr targetsHere = b.blockSize(firstTarget, tileRows, targets);
  Sums zeros(vectors * width, b.real(0));
  if (turn >= tokens) {
    collect(b.index(0));
    b.barrier();
    b.loop(b.warp, targetsHere, b.warps, [&](Expr target) { storeRow(target, addTokens(b.index(0), target, zeros)); });
  } else {
    Sums sums = b.loop(b.index(0), b.index(tokens), turn, zeros, [&](Expr firstToken, ArrayRef<Expr> carried) {
      collect(firstToken);
      b.barrier();
      Sums next = addTokens(firstToken, b.warp, Sums(carried));
      b.barrier(); // Before the next turn is written down.
      return next;
    });
    b.ifThen(b.warp < targetsHere, [&] { storeRow(b.warp, sums); });
  }
  int64_t blocks = llvm::divideCeil(targets, tileRows) * llvm::divideCeil(columns, kWarpSize * width * vectors);
  return {{blocks, 1, 1}, {b.threads, 1, 1}, tokens * columns};
}

LaunchShape emitScatterAdd(moe_kernel::ScatterAddOp op, EmitterContext &context) {
  BlockBuilder b(context);
  int64_t tileRows = op.getRows().getType().getDimSize(0) > kScatterTurn ? b.warps : context.config.getTileM();
  return ScatterAdd(b, op, tileRows).emit();
}

LaunchShape emitCacheAppend(moe_kernel::CacheAppendOp op, EmitterContext &context) {
  BlockBuilder b(context);
  auto cacheShape = op.getCache().getType().getShape();
  int64_t sequences = cacheShape[0], capacity = cacheShape[1], columns = cacheShape[2];
  int64_t tokens = op.getRows().getType().getDimSize(0);
  Value positions = b.operand(op.getPositions());
  MatrixView rows = b.matrix(b.operand(op.getRows()), columns), cache = b.matrix(b.result(op.getResult()), columns);

  Expr token = b.block, sequence = token / (tokens / sequences);
  Expr slot = sequence * capacity + b.load(positions, token).toIndex();
  b.forThreads(columns, [&](Expr column) {
    b.store(b.loadElement(rows.memory, rows.at(token, column)), cache.memory, cache.at(slot, column));
  });
  return {{tokens, 1, 1}, {b.threads, 1, 1}, 0};
}

} // namespace mlir::moe::cuda
