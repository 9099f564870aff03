//===- TensorCore.cpp - Tiles of bf16 and mma.sync --------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/Ampere/TensorCore.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe::cuda::ampere {

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

SharedTile::SharedTile(BlockBuilder &b, int64_t rows, int64_t columns, int64_t buffers)
    : b(b), rows(rows), columns(columns),
      memory(b.allocateShared(rows * columns * buffers, b.builder.getBF16Type())) {
  assert(columns % kChunk == 0 && "rows are made of chunks");
}

/// Banks hold 8 chunks at a time. With `group` the power of two in the chunks of a row, the starts of 8 / group
/// consecutive rows meet different banks by themselves; after each such run, the chunks of a group trade places.
Expr SharedTile::permutation(Expr row) const {
  int64_t chunks = getChunks(), group = std::min<int64_t>(8, chunks & -chunks);
  return group == 1 ? b.index(0) : row / (8 / group) % group;
}

Expr SharedTile::at(Expr row, Expr chunk) const {
  return row * columns + (chunk ^ permutation(row)) * kChunk;
}

void forPieces(BlockBuilder &b, int64_t rows, int64_t columns, int64_t width,
               function_ref<void(Expr row, Expr column, Expr exists)> body) {
  int64_t perRow = columns / width, count = rows * perRow;
  for (int64_t first = 0; first < count; first += b.threads) {
    Expr exists, row, piece, thread = b.thread;
    if (first + b.threads > count) {
      exists = thread < count - first;
      thread = min(thread, b.index(count - first - 1));
    }
    // Written so that what is the same for all pieces of a thread is seen to be.
    if (b.threads % perRow == 0) {
      row = thread / perRow + first / perRow;
      piece = thread % perRow;
    } else {
      row = (thread + first) / perRow;
      piece = (thread + first) % perRow;
    }
    body(row, piece * width, exists);
  }
}

/// What lies in shared memory is there at once, and its copy too.
static void copyWithinShared(BlockBuilder &b, Value target, Expr targetOffset, Value source, Expr offset, Expr valid,
                             int64_t width) {
  auto type = VectorType::get(width, b.builder.getBF16Type());
  llvm::MaybeAlign alignment(2 * width);
  if (valid)
    offset = select(valid, offset, b.index(0));
  Value elements = vector::LoadOp::create(b.builder, type, source, ValueRange{offset}, /*nontemporal=*/false, alignment);
  if (valid) {
    Value zeros = arith::ConstantOp::create(b.builder, b.builder.getZeroAttr(type));
    elements = arith::SelectOp::create(b.builder, valid, elements, zeros);
  }
  vector::StoreOp::create(b.builder, elements, target, ValueRange{targetOffset}, /*nontemporal=*/false, alignment);
}

static void copyElements(BlockBuilder &b, Value target, Expr targetOffset, Value source, Expr offset, Expr valid,
                         int64_t width, bool bypassesCache) {
  if (gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(cast<MemRefType>(source.getType())))
    return copyWithinShared(b, target, targetOffset, source, offset, valid, width);
  Expr count;
  if (valid) {
    count = select(valid, b.index(width), b.index(0));
    offset = select(valid, offset, b.index(0));
  }
  UnitAttr bypass = bypassesCache ? b.builder.getUnitAttr() : UnitAttr();
  nvgpu::DeviceAsyncCopyOp::create(b.builder, nvgpu::DeviceAsyncTokenType::get(b.builder.getContext()), target,
                                   ValueRange{targetOffset}, source, ValueRange{offset},
                                   b.builder.getIndexAttr(width), count, bypass);
}

void copyAsync(const SharedTile &tile, Expr buffer, Expr row, Expr column, Value source, Expr offset, Expr valid,
               int64_t width) {
  BlockBuilder &b = tile.b;
  Expr target = buffer + tile.at(row, column / kChunk);
  if (width < kChunk)
    target = target + column % kChunk;
  if (width == 1)
    return b.store(b.loadOrZero(source, offset, valid), tile.memory, target);
  // Only whole chunks can pass by the first-level cache.
  copyElements(b, tile.memory, target, source, offset, valid, width, /*bypassesCache=*/width == kChunk);
}

void copyChunk(BlockBuilder &b, Value target, Expr targetOffset, Value source, Expr offset, Expr valid,
               bool bypassesCache) {
  copyElements(b, target, targetOffset, source, offset, valid, kChunk, bypassesCache);
}

void commitCopies(BlockBuilder &b) { NVVM::CpAsyncCommitGroupOp::create(b.builder); }
void waitForCopies(BlockBuilder &b, int64_t pending) { NVVM::CpAsyncWaitGroupOp::create(b.builder, pending); }

int64_t choosePieceWidth(ArrayRef<int64_t> extents) {
  int64_t all = kChunk;
  for (int64_t extent : extents)
    all |= extent;
  return all & -all;
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

/// Lanes 8·i to 8·i + 7 give the rows of matrix i: of the lower half of the depth for i < 2, of the lower half of the
/// outer dimension for even i.
FragmentReader::FragmentReader(const SharedTile &tile, bool depthIsContiguous, Expr firstOuter)
    : tile(tile), depthIsContiguous(depthIsContiguous) {
  BlockBuilder &b = tile.b;
  Expr outerHalf = b.lane / 8 % 2, depthHalf = b.lane / 16;
  Expr row = depthIsContiguous ? firstOuter + b.lane % 16 : depthHalf * 8 + b.lane % 8;
  rowOffset = row * tile.columns;
  permutation = tile.permutation(depthIsContiguous ? b.lane % 8 : row);
  firstChunk = depthIsContiguous ? depthHalf : firstOuter / kChunk + outerHalf;
}

Fragment FragmentReader::load(Expr buffer, int64_t outer, int64_t depth) const {
  BlockBuilder &b = tile.b;
  int64_t row = depthIsContiguous ? outer : depth, column = depthIsContiguous ? depth : outer;
  Expr chunk = (firstChunk + column / kChunk) ^ permutation;
  Expr offset = buffer + (rowOffset + chunk * kChunk) + row * tile.columns;
  auto type = VectorType::get({4, 2}, b.builder.getBF16Type());
  Value loaded = nvgpu::LdMatrixOp::create(b.builder, type, tile.memory, ValueRange{offset},
                                           /*transpose=*/!depthIsContiguous, /*numTiles=*/4);
  Fragment fragment;
  for (int64_t i = 0; i < 4; ++i) {
    Value pair = vector::ExtractOp::create(b.builder, loaded, i);
    Value word = vector::BitCastOp::create(b.builder, VectorType::get(1, b.builder.getI32Type()), pair);
    fragment.registers[i] = b.wrap(word).extract(0);
  }
  return fragment;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

WarpTile::WarpTile(BlockBuilder &b, int64_t rows, int64_t columns)
    : rows(rows), columns(columns), b(b), laneRow(b.lane / 4), laneColumn(b.lane % 4 * 2) {
  assert(rows % kFragment == 0 && columns % kFragment == 0 && "warps hold whole fragments");
}

void multiplyAdd(BlockBuilder &b, MutableArrayRef<Expr> sums, ArrayRef<Expr> lhs, ArrayRef<Expr> rhs) {
  Type f32 = b.builder.getF32Type();
  auto type = LLVM::LLVMStructType::getLiteral(b.builder.getContext(), {f32, f32, f32, f32});
  SmallVector<Value> left(lhs.begin(), lhs.end()), right(rhs.begin(), rhs.end()), old(sums.begin(), sums.end());
  int64_t shape[] = {16, 8, 16};
  Value product = NVVM::MmaOp::create(b.builder, type, left, right, old, shape, /*b1Op=*/std::nullopt,
                                      /*intOverflow=*/std::nullopt,
                                      std::array<NVVM::MMATypes, 2>{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16},
                                      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col});
  for (int64_t i = 0; i < 4; ++i)
    sums[i] = b.wrap(LLVM::ExtractValueOp::create(b.builder, product, i));
}

void WarpTile::multiplyColumns(MutableArrayRef<Expr> accumulators, ArrayRef<Fragment> lhs, const Fragment &rhs,
                               int64_t index) const {
  for (int64_t i = 0; i < rows / kFragment; ++i)
    for (int64_t half = 0; half < 2; ++half)
      multiplyAdd(b, strip(accumulators, i, 2 * index + half), lhs[i].registers, {rhs.part(half, 0), rhs.part(half, 1)});
}

void WarpTile::multiply(MutableArrayRef<Expr> accumulators, ArrayRef<Fragment> lhs, ArrayRef<Fragment> rhs) const {
  for (auto [index, fragment] : llvm::enumerate(rhs))
    multiplyColumns(accumulators, lhs, fragment, index);
}

Fragment WarpTile::asOperand(ArrayRef<Expr> accumulators, int64_t row, int64_t index) const {
  Fragment fragment;
  for (int64_t depthHalf = 0; depthHalf < 2; ++depthHalf) {
    ArrayRef<Expr> parts = strip(accumulators, row, 2 * index + depthHalf);
    for (int64_t half = 0; half < 2; ++half)
      fragment.registers[half + 2 * depthHalf] = packBF16(b, parts[2 * half], parts[2 * half + 1]);
  }
  return fragment;
}

Expr packBF16(BlockBuilder &b, Expr low, Expr high) {
  auto pairType = VectorType::get(2, b.builder.getF32Type());
  Value pair = vector::FromElementsOp::create(b.builder, pairType, ValueRange{low, high});
  Value rounded = arith::TruncFOp::create(b.builder, pairType.clone(b.builder.getBF16Type()), pair);
  Value word = vector::BitCastOp::create(b.builder, VectorType::get(1, b.builder.getI32Type()), rounded);
  return b.wrap(word).extract(0);
}

Expr exp2Fast(BlockBuilder &b, Expr exponent) {
  return b.wrap(LLVM::CallIntrinsicOp::create(b.builder, b.builder.getF32Type(),
                                              b.builder.getStringAttr("llvm.nvvm.ex2.approx.ftz.f32"),
                                              ValueRange{exponent})
                    .getResult(0));
}

Expr maxFast(BlockBuilder &b, Expr lhs, Expr rhs) {
  return b.wrap(LLVM::MaxNumOp::create(b.builder, Value(lhs), Value(rhs)));
}

} // namespace mlir::moe::cuda::ampere
