//===- EmitMatmul.cpp - Matmuls of bf16 by mma.sync -------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The tile of a block is computed in steps of tile_k; `stages` buffers in shared memory hold this step and the next
/// ones, which are copied in the background:
///
/// ```
/// begin to copy the first stages - 1 steps; wait for the first; barrier; read its first fragments
/// for step:
///   for each 16 of tile_k:
///     the last of them: wait for the next step; barrier
///     read the next fragments                            // in flight during the products
///     the first: begin to copy step + stages - 1         // into the buffer that all have left at the last barrier
///     accumulators += fragments · fragments
/// epilogue on pairs of accumulators
/// ```
///
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/EmitAmpere.h"
#include "passes/Target/CUDA/Ampere/TensorCore.h"
#include "passes/Target/CUDA/MatmulSchedule.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {
namespace {

/// How the warps of a block share its tile: as square a piece for each as may be, so that fragments are read least.
struct WarpGrid {
  WarpGrid(int64_t warps, int64_t tileM, int64_t tileN, bool paired) {
    // A warp has the columns of both of a pair.
    int64_t leastColumns = paired ? 2 * kFragment : kFragment;
    int64_t best = std::numeric_limits<int64_t>::max();
    for (int64_t count = 1; count <= warps; count *= 2) {
      int64_t rowsHere = tileM / (warps / count), columnsHere = tileN / count;
      if (rowsHere % kFragment != 0 || columnsHere % leastColumns != 0 || rowsHere + columnsHere >= best)
        continue;
      best = rowsHere + columnsHere;
      rows = rowsHere;
      columns = columnsHere;
      warpColumns = count;
    }
  }
  int64_t rows = 0, columns = 0; ///< Of a warp; zero if there is no way.
  int64_t warpColumns = 0;
};

/// Moves one operand of the tile from global to shared memory in the background, and from there to registers.
class OperandPipeline {
public:
  OperandPipeline(BlockBuilder &b, const MatmulSchedule::Operand &operand, int64_t extent, int64_t tileK,
                  int64_t stages, Expr firstOuter);

  /// Begins to copy the step at `firstDepth` to buffer `stage`; zeros where there are no elements.
  void copy(Expr firstDepth, Expr lastDepth, Expr stage);
  /// The fragments at the given outer positions of the warp.
  SmallVector<Fragment> load(Expr stage, ArrayRef<int64_t> outers, int64_t depth) const;

private:
  struct Piece {
    Expr exists, row, column; ///< Of the shared tile.
    Expr depth, offset, inside;
  };

  BlockBuilder &b;
  MatmulSchedule::Operand operand;
  SharedTile tile;
  FragmentReader reader;
  SmallVector<Piece> pieces;
};

} // namespace

OperandPipeline::OperandPipeline(BlockBuilder &b, const MatmulSchedule::Operand &operand, int64_t extent,
                                 int64_t tileK, int64_t stages, Expr firstOuter)
    : b(b), operand(operand),
      tile(b, operand.depthIsContiguous ? extent : tileK, operand.depthIsContiguous ? tileK : extent, stages),
      reader(tile, operand.depthIsContiguous, firstOuter) {
  forPieces(b, tile.rows, tile.columns, operand.granule, [&](Expr row, Expr column, Expr exists) {
    Expr outer = operand.depthIsContiguous ? row : column, depth = operand.depthIsContiguous ? column : row;
    pieces.push_back({exists, row, column, depth, operand.outerOffset(outer), operand.isInside(outer)});
  });
}

void OperandPipeline::copy(Expr firstDepth, Expr lastDepth, Expr stage) {
  Expr buffer = tile.getBuffer(stage);
  for (const Piece &piece : pieces)
    b.ifThen(piece.exists, [&] {
      Expr depth = firstDepth + piece.depth, valid = both(depth < lastDepth, piece.inside);
      Expr offset = piece.offset + operand.depthOffset(select(valid, depth, b.index(0)));
      copyAsync(tile, buffer, piece.row, piece.column, operand.memory, offset, valid, operand.granule);
    });
}

SmallVector<Fragment> OperandPipeline::load(Expr stage, ArrayRef<int64_t> outers, int64_t depth) const {
  Expr buffer = tile.getBuffer(stage);
  return llvm::map_to_vector(outers, [&](int64_t outer) { return reader.load(buffer, outer, depth); });
}

bool canEmitMatmul(moe_kernel::CUDAConfigAttr config, bool paired) {
  return WarpGrid(config.getThreads() / kWarpSize, config.getTileM(), config.getTileN(), paired).rows != 0 &&
         config.getTileK() % (2 * kFragment) == 0 && llvm::isPowerOf2_64(config.getTileK()) && config.getStages() >= 2;
}

LaunchShape emitMatmul(moe_kernel::MatmulOp op, EmitterContext &context) {
  BlockBuilder b(context);
  int64_t tileM = context.config.getTileM(), tileN = context.config.getTileN(), tileK = context.config.getTileK();
  int64_t stages = context.config.getStages(), steps = tileK / kFragment;
  bool paired = op.getPaired();
  WarpGrid grid(b.warps, tileM, tileN, paired);
  WarpTile warp(b, grid.rows, grid.columns);
  MatmulSchedule schedule(b, op, tileM, tileN);

  // Columns of the epilogue, of a warp and of the tile; the second halves of pairs lie tileOutputs further.
  int64_t warpOutputs = paired ? grid.columns / 2 : grid.columns, tileOutputs = paired ? tileN / 2 : tileN;
  Expr firstRow = b.warp / grid.warpColumns * grid.rows, firstOutput = b.warp % grid.warpColumns * warpOutputs;
  SmallVector<int64_t> rowsOfFragments, columnsOfFragments;
  for (int64_t row = 0; row < grid.rows; row += kFragment)
    rowsOfFragments.push_back(row);
  for (int64_t column = 0; column < grid.columns; column += kFragment)
    columnsOfFragments.push_back(column < warpOutputs ? column : column - warpOutputs + tileOutputs);

  schedule.forTile([&](const MatmulSchedule::Tile &tile) {
    OperandPipeline lhs(b, schedule.getLhs(tile), tileM, tileK, stages, firstRow);
    OperandPipeline rhs(b, schedule.getRhs(tile), tileN, tileK, stages, firstOutput);
    auto copy = [&](Expr depth, Expr stage) {
      lhs.copy(depth, tile.lastDepth, stage);
      rhs.copy(depth, tile.lastDepth, stage);
      commitCopies(b);
    };
    auto waitForNext = [&] {
      waitForCopies(b, stages - 2);
      b.barrier();
    };
    auto load = [&](Expr stage, int64_t step) {
      SmallVector<Fragment> fragments = lhs.load(stage, rowsOfFragments, step * kFragment);
      fragments.append(rhs.load(stage, columnsOfFragments, step * kFragment));
      return fragments;
    };
    auto next = [&](Expr stage) { return select(stage == stages - 1, b.index(0), stage + 1); };

    for (int64_t stage = 0; stage < stages - 1; ++stage)
      copy(tile.firstDepth + stage * tileK, b.index(stage));
    waitForNext();

    // Carried: accumulators, the fragments to multiply next, the buffers to read and to write.
    SmallVector<Expr> carried = warp.zeros();
    for (const Fragment &fragment : load(b.index(0), 0))
      carried.append(fragment.registers.begin(), fragment.registers.end());
    carried.append({b.index(0), b.index(stages - 1)});
    carried = b.loop(tile.firstDepth, tile.lastDepth, tileK, carried, [&](Expr depth, ArrayRef<Expr> carried) {
      SmallVector<Expr> sums(carried.take_front(warp.size()));
      SmallVector<Fragment> fragments;
      for (ArrayRef<Expr> rest = carried.drop_front(warp.size()); rest.size() > 2; rest = rest.drop_front(4))
        fragments.push_back({{rest[0], rest[1], rest[2], rest[3]}});
      Expr read = carried[carried.size() - 2], write = carried.back();
      for (int64_t step = 0; step < steps; ++step) {
        if (step == steps - 1) {
          waitForNext();
          read = next(read);
        }
        SmallVector<Fragment> following = load(read, (step + 1) % steps);
        if (step == 0) {
          copy(depth + (stages - 1) * tileK, write);
          write = next(write);
        }
        ArrayRef<Fragment> all(fragments);
        warp.multiply(sums, all.take_front(rowsOfFragments.size()), all.drop_front(rowsOfFragments.size()));
        fragments = std::move(following);
      }
      for (const Fragment &fragment : fragments)
        sums.append(fragment.registers.begin(), fragment.registers.end());
      sums.append({read, write});
      return sums;
    });

    ArrayRef<Expr> sums = ArrayRef<Expr>(carried).take_front(warp.size());
    auto pairType = VectorType::get(2, b.builder.getF32Type());
    for (int64_t i = 0; i < grid.rows / kFragment; ++i)
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t strip = 0; strip < warpOutputs / 8; ++strip) {
          auto columnPair = [&](int64_t strip) {
            ArrayRef<Expr> parts = warp.strip(sums, i, strip).slice(2 * half, 2);
            return b.wrap(vector::FromElementsOp::create(b.builder, pairType, ValueRange{parts[0], parts[1]}));
          };
          SmallVector<Expr> accumulators = {columnPair(strip)};
          if (paired)
            accumulators.push_back(columnPair(strip + warpOutputs / 8));
          schedule.emitEpilogue(tile, firstRow + warp.row(i, half), firstOutput + warp.column(strip), accumulators);
        }
  });
  return schedule.getLaunchShape();
}

} // namespace mlir::moe::cuda::ampere
