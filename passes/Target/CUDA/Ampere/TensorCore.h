//===- TensorCore.h - Tiles of bf16 and mma.sync ----------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What every GPU since sm_80 multiplies bf16 with: tiles are copied to shared memory in the background (`cp.async`),
/// read as 16 × 16 fragments by a warp (`ldmatrix`), and multiplied into float32 accumulators (`mma.sync.m16n8k16`).
///
/// An operand is seen as *outer* (its rows, or the columns of the right one) × *depth* (what is contracted). It may lie
/// in shared memory with either of them contiguous: `ldmatrix` transposes on the way.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_AMPERE_TENSORCORE_H
#define PASSES_TARGET_CUDA_AMPERE_TENSORCORE_H

#include "passes/Target/CUDA/BlockBuilder.h"

namespace mlir::moe::cuda::ampere {

inline constexpr int64_t kChunk = 8;     ///< Elements of 16 bytes: what `cp.async` copies and a row of `ldmatrix`.
inline constexpr int64_t kFragment = 16; ///< Rows and columns of a fragment.

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

/// Buffers of `rows` × `columns` elements in shared memory. The chunks of a row are permuted, so that the same chunk of
/// eight consecutive rows, which `ldmatrix` reads at a time, lies in different banks; so do eight chunks of a row, which
/// are written at a time.
class SharedTile {
public:
  /// `columns` is a multiple of kChunk.
  SharedTile(BlockBuilder &b, int64_t rows, int64_t columns, int64_t buffers = 1);

  /// Where chunk `chunk` of a row is, in elements from the start of a buffer.
  Expr at(Expr row, Expr chunk) const;
  Expr getBuffer(Expr number) const { return number * (rows * columns); }
  int64_t getChunks() const { return columns / kChunk; }

  BlockBuilder &b;
  int64_t rows, columns;
  Value memory;

private:
  friend class FragmentReader;
  /// What the number of a chunk is combined with; the same for rows whose numbers differ by a multiple of 8.
  Expr permutation(Expr row) const;
};

/// Runs `body` at compile time for each piece of `width` elements of `rows` × `columns` that this thread copies, pieces
/// of a row by neighbouring threads; `exists` is null where it is known to be true.
void forPieces(BlockBuilder &b, int64_t rows, int64_t columns, int64_t width,
               function_ref<void(Expr row, Expr column, Expr exists)> body);

/// Begins to copy `width` (1, 2, 4 or 8) elements to `tile`, or zeros if not `valid` (null: valid); both addresses are
/// multiples of them. Single elements are copied at once.
void copyAsync(const SharedTile &tile, Expr buffer, Expr row, Expr column, Value source, Expr offset, Expr valid,
               int64_t width);
/// The same for a chunk, to shared memory that is not a tile. The second-level cache alone keeps it if `bypassesCache`.
void copyChunk(BlockBuilder &b, Value target, Expr targetOffset, Value source, Expr offset, Expr valid,
               bool bypassesCache);
/// What was begun since the last commit is a group.
void commitCopies(BlockBuilder &b);
/// Waits for all groups of this thread but the last `pending`.
void waitForCopies(BlockBuilder &b, int64_t pending);
/// The widest piece, up to a chunk, that divides all of `extents`.
int64_t choosePieceWidth(ArrayRef<int64_t> extents);

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

/// kFragment × kFragment elements in the registers of a warp, two elements in each of four i32 of a lane.
struct Fragment {
  std::array<Expr, 4> registers;
  /// The 8 × 8 elements of a half of the outer dimension and of the depth.
  Expr part(int64_t outerHalf, int64_t depthHalf) const { return registers[outerHalf + 2 * depthHalf]; }
};

/// Reads fragments of a tile.
class FragmentReader {
public:
  /// Rows of the tile are along the outer dimension if `depthIsContiguous`, else along the depth. `firstOuter`, a
  /// multiple of kFragment, is where the fragments of this warp begin.
  FragmentReader(const SharedTile &tile, bool depthIsContiguous, Expr firstOuter);
  /// The fragment at (firstOuter + outer, depth), both multiples of kFragment, of the buffer at `buffer`.
  Fragment load(Expr buffer, int64_t outer, int64_t depth) const;

private:
  const SharedTile &tile;
  bool depthIsContiguous;
  Expr rowOffset, permutation, firstChunk; ///< Of this lane.
};

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// sums += lhs · rhs by one instruction: the four parts of 16 × 8 accumulators (WarpTile says which), the four registers
/// of 16 × 16 elements and the two of 16 × 8.
void multiplyAdd(BlockBuilder &b, MutableArrayRef<Expr> sums, ArrayRef<Expr> lhs, ArrayRef<Expr> rhs);

/// Accumulators of a warp, rows × columns, in strips of 16 × 8. Lane l has of a strip: part p at row l / 4 + 8 · (p / 2)
/// and column 2 · (l % 4) + p % 2.
class WarpTile {
public:
  /// Both are multiples of kFragment.
  WarpTile(BlockBuilder &b, int64_t rows, int64_t columns);

  int64_t rows, columns;
  int64_t getStrips() const { return columns / 8; } ///< Of 16 rows.
  int64_t size() const { return rows * columns / kWarpSize; }
  SmallVector<Expr> zeros() const { return SmallVector<Expr>(size(), b.real(0)); }
  /// The four parts of a strip: those of strip `strip` of rows [16 · row, 16 · row + 16).
  MutableArrayRef<Expr> strip(MutableArrayRef<Expr> accumulators, int64_t row, int64_t strip) const {
    return accumulators.slice((row * getStrips() + strip) * 4, 4);
  }
  ArrayRef<Expr> strip(ArrayRef<Expr> accumulators, int64_t row, int64_t strip) const {
    return accumulators.slice((row * getStrips() + strip) * 4, 4);
  }
  /// Where the parts of this lane lie: `half` is 0 for the upper 8 rows, 1 for the others; the first of two columns.
  Expr row(int64_t row, int64_t half) const { return laneRow + (row * 16 + half * 8); }
  Expr column(int64_t strip) const { return laneColumn + strip * 8; }

  /// accumulators += lhs · rhs for a depth of 16: a fragment per 16 rows, and one per 16 columns.
  void multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Fragment> lhs, ArrayRef<Fragment> rhs) const;
  /// Of that, columns [16 · index, 16 · index + 16).
  void multiplyColumns(MutableArrayRef<Expr> accumulators, ArrayRef<Fragment> lhs, const Fragment &rhs,
                       int64_t index) const;
  /// Columns [16 · index, 16 · index + 16) of accumulators, rounded to bf16, as the left operand of a product over them:
  /// what a lane has of them is just what it needs.
  Fragment asOperand(ArrayRef<Expr> accumulators, int64_t row, int64_t index) const;

private:
  BlockBuilder &b;
  Expr laneRow, laneColumn;
};

/// Two float32 rounded to bf16, the first one in the lower half of an i32.
Expr packBF16(BlockBuilder &b, Expr low, Expr high);
/// 2^x by the special function unit, with a relative error of 2^-22 (PTX ISA, ex2.approx); subnormal results are zero.
Expr exp2Fast(BlockBuilder &b, Expr exponent);
/// The larger one by one instruction; of a number and NaN, the number.
Expr maxFast(BlockBuilder &b, Expr lhs, Expr rhs);

} // namespace mlir::moe::cuda::ampere

#endif // PASSES_TARGET_CUDA_AMPERE_TENSORCORE_H
