//===- RowsShape.cpp - How threads share the rows of a kernel ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CUDA/RowsShape.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::moe::cuda {

using namespace target;

/// Elements of the widest access to a tensor: of bf16, or else of 32 bits.
static int64_t getMostWidth(Type element) { return Capabilities::kVectorBytes / (element.isBF16() ? 2 : 4); }

/// Of the narrowest tensor; wider ones are read by several accesses at once.
static int64_t getMostWidth(const RowsPlan &plan) {
  int64_t width = 1;
  for (const auto &planned : plan.ops)
    for (const OperandAccess &access : planned->accesses)
      width = std::max(width, getMostWidth(getElementTypeOrSelf(access.root)));
  return width;
}
static constexpr int64_t kThreads = 256;

FailureOr<RowsPlan> planRows(moe_kernel::KernelOp kernel) {
  // Neighbouring iterations belong to neighbouring threads: what matters is the width of a warp. As many rows as there
  // are: a row of a block is no dearer than one of a loop.
  return target::planRows(kernel, Capabilities::kWarpSize, /*enoughRows=*/std::numeric_limits<int64_t>::max());
}

int64_t RowsShape::getSharedRowStride(const RowsPlan &plan, Value root) {
  return llvm::alignTo(plan.getRowSize(root), getMostWidth(getElementTypeOrSelf(root)));
}

/// Whether `access` touches the elements of a row in the order of the loops.
static bool isWholeRow(const PlannedOp &planned, const OperandAccess &access) {
  int64_t stride = 1;
  bool isWhole = planned.vector.extent == 1 || access.getStride(planned.vector) == stride;
  stride = planned.vector.extent;
  for (const PlannedLoop &loop : llvm::reverse(planned.outer)) {
    isWhole &= access.getStride(loop) == stride;
    stride *= loop.extent;
  }
  return isWhole;
}

static bool extracts(const PlannedOp &planned, Value root) {
  return llvm::any_of(planned.op.getBody()->getOps<tensor::ExtractOp>(),
                      [&](tensor::ExtractOp extract) { return getRoot(extract.getTensor()) == root; });
}

/// Iterations of a nest for one row, and the elements of its vectors.
static int64_t countIterations(const PlannedNest &nest) {
  int64_t count = nest.getVectorExtent();
  for (const PlannedLoop &loop : nest.getOuter())
    count *= loop.extent;
  return count;
}

int64_t RowsShape::getHeldVectors(const RowsPlan &plan) const {
  // Of 8 elements: sums, and what is kept of three tensors; of a plan without sums what is kept of one, by as many
  // threads as a block can have. Measured with ptxas.
  int64_t mostVectors = plan.chunk == 1 ? 4 : std::clamp<int64_t>(1024 / threads, 1, 4);
  if (plan.kind != RowsPlan::Kind::rows || (plan.chunk == 1 && threads < Capabilities::kMostThreads))
    return 0;
  int64_t elements = 0, held = 0;
  for (const PlannedNest &nest : plan.nests) {
    int64_t count = countIterations(nest);
    if (count == 1 && !nest.reducesVector()) { // Scalars of the row.
      if (llvm::any_of(nest.ops, [](const PlannedOp *planned) { return planned->accumulates; }))
        return 0;
      continue;
    }
    if ((elements != 0 && count != elements) || (nest.reducesVector() && !nest.getOuter().empty()) ||
        nest.getVectorExtent() % width != 0)
      return 0;
    elements = count;
    for (const PlannedOp *planned : nest.ops) {
      if (!planned->reductions.empty())
        return 0;
      for (const OperandAccess &access : planned->accesses) {
        bool isResult = access.root.getDefiningOp<linalg::GenericOp>();
        bool isSum = planned->accumulates && &access >= planned->getOutputs().begin();
        if ((isResult && plan.getRowSize(access.root) != 1) || isSum)
          if (!isWholeRow(*planned, access))
            return 0;
      }
      for (Type type : planned->op->getOperandTypes())
        if (getElementTypeOrSelf(type).isF64() || getElementTypeOrSelf(type).isInteger(64))
          return 0;
    }
  }
  held = llvm::divideCeilSigned(elements, getThreadsPerRow() * width);
  return held <= mostVectors ? held : 0;
}

SmallVector<Value> RowsShape::getHeldArguments(const RowsPlan &plan) const {
  // Many rows of one vector a thread hide each other's latency; those of more leave no room for more threads anyway.
  if (getThreadsPerRow() <= Capabilities::kWarpSize && getHeldVectors(plan) == 1)
    return {};
  llvm::SmallSetVector<Value, 4> arguments;
  DenseSet<Value> others;
  for (const auto &planned : plan.ops)
    for (const OperandAccess &access : planned->getInputs()) {
      if (!isa<BlockArgument>(access.root))
        continue;
      // All dimensions together go through the tensor in order.
      int64_t stride = plan.getRowSize(access.root);
      bool isWhole = stride > 1 && isWholeRow(*planned, access) &&
                     llvm::product_of(planned->extents) == cast<ShapedType>(access.root.getType()).getNumElements();
      for (unsigned dim : llvm::reverse(planned->row.dims)) {
        isWhole &= access.strides[dim] == stride;
        stride *= planned->extents[dim];
      }
      isWhole ? (void)arguments.insert(access.root) : (void)others.insert(access.root);
    }
  return llvm::filter_to_vector<4>(arguments.getArrayRef(), [&](Value root) { return !others.contains(root); });
}

SmallVector<Value> RowsShape::getScratch(const RowsPlan &plan) const {
  SmallVector<Value> scratch = plan.scratch;
  if (getHeldVectors(plan) > 0)
    llvm::erase_if(scratch, [&](Value root) {
      return llvm::none_of(plan.ops, [&](auto &planned) { return extracts(*planned, root); });
    });
  return scratch;
}

/// Of the sums of `plan` over a chunk.
static int64_t getSumBytes(const RowsPlan &plan) {
  int64_t most = 0;
  for (const auto &planned : plan.ops)
    if (planned->accumulates)
      for (Value result : planned->op.getResults()) {
        auto type = cast<RankedTensorType>(result.getType());
        most = std::max(most, type.getNumElements() / (plan.extent / plan.chunk) * type.getElementTypeBitWidth() / 8);
      }
  return most;
}

int64_t RowsShape::getSharedBytes(const RowsPlan &plan) const {
  constexpr int64_t kAlignment = 128; // Of EmitterContext::allocateShared.
  int64_t bytes = rows > 1 ? llvm::alignTo(rows * getSumBytes(plan), kAlignment) : 0;
  if (parts > 1)
    bytes += threads * width * sizeof(double);
  for (Value root : getScratch(plan))
    bytes += llvm::alignTo(rows * getSharedRowStride(plan, root) *
                               llvm::divideCeil(getElementTypeOrSelf(root).getIntOrFloatBitWidth(), 8),
                           kAlignment);
  return bytes;
}

/// Iterations of the nest that different threads may run, for one row.
static int64_t getParallelism(const PlannedNest &nest, int64_t width) {
  int64_t vectors = llvm::divideCeil(nest.getVectorExtent(), width);
  if (!nest.reducesVector())
    for (const PlannedLoop &loop : nest.getOuter())
      vectors *= loop.extent;
  return vectors;
}

/// Iterations of the reductions of a plan by columns that can be divided; 1 if there is none.
static int64_t getPartibleLength(const RowsPlan &plan) {
  int64_t length = 1;
  for (const auto &planned : plan.ops) {
    if (!planned->reductions.empty())
      length = std::max(length, planned->reductions.front().extent);
    for (unsigned i = 0; i < planned->op.getNumDpsInits(); ++i)
      if (!planned->reductions.empty() && !planned->getCombiner(i))
        return 1;
  }
  return length;
}

/// A block for a chunk of rows: as many threads for a row as keep its sums in few registers.
static RowsShape chooseChunkShape(const RowsPlan &plan) {
  RowsShape shape;
  shape.width = getMostWidth(plan);
  int64_t parallelism = 1;
  for (const PlannedNest &nest : plan.nests) {
    if (countIterations(nest) > 1)
      shape.width = std::min(shape.width, nest.getVectorExtent() & -nest.getVectorExtent());
    parallelism = std::max(parallelism, getParallelism(nest, shape.width));
  }
  constexpr int64_t kFewVectors = 4, kMostSumBytes = 64 << 10;
  int64_t perRow = llvm::PowerOf2Ceil(llvm::divideCeil(parallelism, kFewVectors));
  perRow = std::clamp<int64_t>(perRow, std::min<int64_t>(llvm::PowerOf2Ceil(parallelism), Capabilities::kWarpSize),
                               Capabilities::kMostThreads);
  // Registers of one vector leave room for twice the threads.
  int64_t threads = std::max(perRow, llvm::divideCeilSigned(parallelism, perRow) <= 2 ? 2 * kThreads : kThreads);
  shape.rows = std::min<int64_t>(threads / perRow, llvm::bit_floor<uint64_t>(plan.chunk));
  // Rows of several warps, which meet at barriers of their own, take equally many turns.
  bool areUneven = perRow > Capabilities::kWarpSize && plan.chunk % shape.rows != 0;
  while (shape.rows > 1 && (shape.rows * getSumBytes(plan) > kMostSumBytes || areUneven)) {
    shape.rows /= 2;
    areUneven &= plan.chunk % shape.rows != 0;
  }
  while (shape.rows * perRow < Capabilities::kWarpSize) // A block is whole warps; what has no row computes none.
    shape.rows *= 2;
  shape.threads = shape.rows * perRow;
  if (shape.getHeldVectors(plan) > 0)
    return shape;
  shape.rows = 1;
  shape.threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(parallelism), Capabilities::kWarpSize, kThreads);
  return shape;
}

RowsShape chooseRowsShape(const RowsPlan &plan) {
  if (plan.chunk > 1)
    return chooseChunkShape(plan);
  RowsShape shape;
  int64_t extent = plan.extent;
  // Vectors, unless they would leave multiprocessors without work.
  int64_t elements = extent;
  if (plan.kind == RowsPlan::Kind::rows)
    for (const PlannedNest &nest : plan.nests)
      elements = std::max(elements, extent * getParallelism(nest, 1));
  int64_t mostWidth = getMostWidth(plan);
  bool fillsMachine = elements >= mostWidth * Capabilities::kEnoughBlocks * kThreads / 4;
  bool areColumns = plan.kind == RowsPlan::Kind::columns;
  shape.width = fillsMachine || !areColumns ? mostWidth : 1;
  if (areColumns) {
    shape.threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(extent, shape.width)),
                                        Capabilities::kWarpSize, kThreads);
    // A warp has columns enough where a block has few.
    constexpr int64_t kWarpSize = Capabilities::kWarpSize, kMostParts = 16, kPartLength = 8;
    int64_t length = fillsMachine || extent % kWarpSize != 0 ? 1 : getPartibleLength(plan);
    shape.parts = std::clamp<int64_t>(llvm::bit_floor<uint64_t>(length / kPartLength), 1, kMostParts);
    if (shape.parts > 1)
      shape.threads = kWarpSize * shape.parts;
    return shape;
  }

  int64_t parallelism = 1;
  for (const PlannedNest &nest : plan.nests)
    parallelism = std::max(parallelism, getParallelism(nest, shape.width));
  int64_t perRow = llvm::PowerOf2Ceil(parallelism);
  // A warp for a row, as long as that is not many steps or there are rows enough; else a block.
  constexpr int64_t kSteps = 8;
  bool isLong = perRow > kSteps * Capabilities::kWarpSize;
  bool areFew = extent * Capabilities::kWarpSize < Capabilities::kEnoughBlocks * kThreads;
  if (perRow > Capabilities::kWarpSize && !isLong && !areFew)
    perRow = Capabilities::kWarpSize;
  // A row that would take a block many turns, several times: the largest block reads it once.
  constexpr int64_t kMostTurns = 8;
  int64_t readers = llvm::count_if(plan.nests, [](const PlannedNest &nest) { return countIterations(nest) > 1; });
  if (RowsShape large{Capabilities::kMostThreads, 1, shape.width};
      perRow > kMostTurns * kThreads && readers > 1 && large.getHeldVectors(plan) > 0)
    return large;
  perRow = std::min(perRow, extent == 1 ? Capabilities::kMostThreads : kThreads);
  if (perRow > Capabilities::kWarpSize) {
    shape.threads = perRow;
    return shape;
  }
  // Small blocks where there are few rows.
  int64_t rows = kThreads / perRow;
  while (rows * perRow > Capabilities::kWarpSize && llvm::divideCeil(extent, rows) < Capabilities::kEnoughBlocks)
    rows /= 2;
  while (rows > 1 && RowsShape{rows * perRow, rows, shape.width}.getSharedBytes(plan) > (32 << 10))
    rows /= 2;
  shape.rows = rows;
  shape.threads = rows * perRow;
  return shape;
}

FailureOr<RowsShape> RowsShape::get(moe_kernel::KernelOp kernel, const RowsPlan &plan) {
  auto config = cast<moe_kernel::CUDAConfigAttr>(kernel.getConfigAttr());
  RowsShape shape;
  shape.threads = config.getThreads();
  shape.rows = config.getTileM();
  shape.parts = plan.kind == RowsPlan::Kind::columns ? config.getTileK() : 1;
  if (shape.parts < 1 || shape.threads % shape.parts != 0 ||
      (shape.parts > 1 && (config.getTileN() < 1 || plan.extent % config.getTileN() != 0)))
    return kernel.emitOpError() << "is configured for " << shape.parts << " parts of reductions with " << shape.threads
                                << " threads and " << config.getTileN() << " of " << plan.extent
                                << " columns; parts share threads evenly, and blocks columns";
  int64_t perRow = shape.rows > 0 ? shape.getThreadsPerRow() / shape.parts : 0;
  shape.width = perRow > 0 ? config.getTileN() / perRow : 0;
  bool isWhole =
      perRow > 0 && perRow * shape.rows * shape.parts == shape.threads && shape.width * perRow == config.getTileN();
  constexpr int64_t kBarriers = 16; // Of a block, one of which is for all of it.
  bool fitsWarps = perRow <= Capabilities::kWarpSize || shape.rows == 1 || (plan.chunk > 1 && shape.rows < kBarriers);
  bool areRows = plan.kind == RowsPlan::Kind::rows;
  if (isWhole && plan.chunk > 1 && shape.rows > 1 && shape.getHeldVectors(plan) == 0)
    return kernel.emitOpError() << "adds up chunks of rows in memory, so that a block has one row at a time, not "
                                << shape.rows;
  if (!isWhole || !llvm::isPowerOf2_64(perRow) || !fitsWarps || (!areRows && shape.rows != 1) ||
      shape.threads > Capabilities::kMostThreads || !llvm::isPowerOf2_64(shape.width) || shape.width > getMostWidth(plan))
    return kernel.emitOpError()
           << "is configured for " << config.getTileM() << " rows and " << config.getTileN() << " columns with "
           << config.getThreads()
           << " threads; a row takes a power of two of threads within a warp, or a whole block, and "
              "a thread 1, 2 or 4 columns, or 8 where tensors are of bf16";
  return shape;
}

} // namespace mlir::moe::cuda
