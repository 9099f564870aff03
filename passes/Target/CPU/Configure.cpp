//===- Configure.cpp - The configuration of CPU kernels ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/CPUTarget.h"
#include "passes/Target/Common/KernelInfo.h"
#include "passes/Target/Common/RowsPlan.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir::moe_kernel;

namespace mlir::moe {

namespace {

/// Decides for one kernel. Work items have to be many enough for all cores and large enough to be worth a thread's
/// waking up (some microseconds); where both cannot be had, size comes first.
class Configurator {
public:
  Configurator(KernelOp kernel, const cpu::Capabilities &capabilities)
      : kernel(kernel), capabilities(capabilities), width(capabilities.vectorWidth) {
    // Two vectors of B, one element of A, and the rest accumulators: 14 × 2 of 32 registers, 6 × 2 of 16. More rows
    // than vectors, because each element of A is a broadcast load.
    constexpr int64_t kVectors = 2;
    tileN = kVectors * width;
    tileM = llvm::alignDown((capabilities.vectorRegisters - kVectors - 1) / kVectors, 2);
  }

  FailureOr<CPUConfigAttr> configure();

private:
  CPUConfigAttr make(int64_t blockM, int64_t blockN) {
    return CPUConfigAttr::get(kernel.getContext(), width, tileM, tileN, blockM, blockN);
  }
  CPUConfigAttr configureMatmul(MatmulOp op);
  CPUConfigAttr configureAttention(int64_t sequences, int64_t heads, int64_t queries);
  CPUConfigAttr configureTokens(int64_t tokens);
  FailureOr<CPUConfigAttr> configureRows();

  KernelOp kernel;
  const cpu::Capabilities &capabilities;
  int64_t width, tileM, tileN;
};

/// An item below this many scalar operations (a few microseconds on one core) is not worth a thread.
constexpr int64_t kSmallestItem = 1 << 16;
/// Scratch memory of one thread. Kernels that keep more between their ops are cut badly.
constexpr int64_t kMostScratchBytes = 64 << 20;

/// Blocks start as large as the second-level cache allows, with packed columns in a quarter of it and accumulators in
/// another, and are halved until there are enough of them: rows first, since consecutive items share packed columns.
/// Two tiles in each direction cost 10 % against the largest blocks where nothing is shared (measured on Zen 4).
CPUConfigAttr Configurator::configureMatmul(MatmulOp op) {
  constexpr int64_t kPackedDepth = 512; // Of EmitMatmul.cpp.
  auto lhs = op.getLhs().getType().getShape(), rhs = op.getRhs().getType().getShape();
  bool isContraction = op.getKind() == MatmulKind::ragged_contraction;
  bool isLhsByDepth = isContraction || op.getTransposeLhs();
  int64_t rows = lhs[isLhsByDepth ? 1 : 0], depth = lhs[isLhsByDepth ? 0 : 1];
  int64_t columns = rhs[rhs.size() - (op.getTransposeRhs() ? 2 : 1)];
  if (op.getRowIndex())
    (isLhsByDepth ? depth : rows) = op.getRowIndex().getType().getNumElements();
  int64_t experts = isContraction ? op.getOffsets().getType().getNumElements() - 1 : 1;
  int64_t depthOfItem = llvm::divideCeil(depth, experts);

  int64_t leastRows = std::min<int64_t>(2 * tileM, llvm::alignTo(rows, tileM));
  int64_t leastColumns = std::min<int64_t>(2 * tileN, llvm::alignTo(columns, tileN));
  int64_t quarter = capabilities.l2Bytes / 4 / sizeof(float);
  int64_t blockN = std::clamp<int64_t>(llvm::alignDown(quarter / std::min(depth, kPackedDepth), tileN), leastColumns,
                                       llvm::alignTo(columns, tileN));
  int64_t blockM = std::clamp<int64_t>(llvm::alignDown(quarter / blockN, tileM), leastRows, llvm::alignTo(rows, tileM));

  auto needsMore = [&](int64_t m, int64_t n) {
    int64_t items = experts * llvm::divideCeilSigned(rows, m) * llvm::divideCeilSigned(columns, n);
    return items < capabilities.targetItems && m * n * depthOfItem >= 4 * kSmallestItem;
  };
  while (needsMore(blockM, blockN)) {
    if (blockM > leastRows)
      blockM = std::max<int64_t>(leastRows, llvm::alignTo(blockM / 2, tileM));
    else if (blockN > leastColumns)
      blockN = std::max<int64_t>(leastColumns, llvm::alignTo(blockN / 2, tileN));
    else
      break;
  }
  return make(blockM, blockN);
}

/// Scores of a block are 64 keys wide; blocks of queries are halved until there are enough of them.
CPUConfigAttr Configurator::configureAttention(int64_t sequences, int64_t heads, int64_t queries) {
  constexpr int64_t kKeys = 64;
  int64_t blockM = 8 * tileM;
  while (blockM > 2 * tileM && sequences * heads * llvm::divideCeilSigned(queries, blockM) < capabilities.targetItems)
    blockM -= 2 * tileM;
  return make(std::min(blockM, queries), kKeys);
}

/// A token of routing costs some hundred operations.
CPUConfigAttr Configurator::configureTokens(int64_t tokens) {
  constexpr int64_t kFewestTokens = 64;
  return make(
      std::clamp<int64_t>(llvm::divideCeil(tokens, capabilities.targetItems), std::min(kFewestTokens, tokens), tokens),
      width);
}

FailureOr<CPUConfigAttr> Configurator::configureRows() {
  FailureOr<target::RowsPlan> plan = target::planRows(kernel, width);
  if (failed(plan))
    return failure();
  int64_t scratchBytes = 0;
  for (Value root : plan->scratch)
    scratchBytes += plan->getRowSize(root) * llvm::divideCeil(getElementTypeOrSelf(root).getIntOrFloatBitWidth(), 8);
  if (scratchBytes > kMostScratchBytes)
    return kernel.emitOpError() << "keeps " << scratchBytes << " bytes of each of its " << plan->extent
                                << " rows between its ops, but a thread has " << kMostScratchBytes
                                << "; make it several kernels";

  int64_t work = std::max<int64_t>(1, plan->work);
  int64_t block = std::max(llvm::divideCeilSigned(plan->extent, capabilities.targetItems),
                           llvm::divideCeilSigned(kSmallestItem, work));
  if (plan->kind == target::RowsPlan::Kind::columns)
    block = llvm::alignTo(block, 16); // Cache lines of float32, and every vector width.
  block = llvm::alignTo(block, plan->chunk);
  return make(std::clamp<int64_t>(block, 1, plan->extent), width);
}

FailureOr<CPUConfigAttr> Configurator::configure() {
  Operation *structured = nullptr;
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (isa<MoEKernelDialect>(op.getDialect()))
      structured = &op;
  if (failed(target::checkElementTypes(kernel, "CPU", /*allowsDoubles=*/!structured)))
    return failure();
  if (!structured)
    return configureRows();

  auto rowsOf = [](Value tensor) { return cast<ShapedType>(tensor.getType()).getDimSize(0); };
  return TypeSwitch<Operation *, FailureOr<CPUConfigAttr>>(structured)
      .Case([&](MatmulOp op) { return configureMatmul(op); })
      .Case<AttentionOp, AttentionBackwardOp>([&](auto op) {
        int64_t length = op.getSequenceLength();
        return configureAttention(rowsOf(op.getQuery()) / length, op.getNumHeads(), length);
      })
      .Case([&](CachedAttentionOp op) {
        int64_t sequences = rowsOf(op.getKeyCache());
        return configureAttention(sequences, op.getNumHeads(), rowsOf(op.getQuery()) / sequences);
      })
      .Case([&](RouteOp op) { return configureTokens(rowsOf(op.getLogits())); })
      .Case([&](RouteBackwardOp op) { return configureTokens(rowsOf(op.getScores())); })
      .Default([&](Operation *) { return make(1, width); }); // Their work items are what the op says.
}

} // namespace

LogicalResult CPUTarget::configure(KernelOp kernel) const {
  FailureOr<CPUConfigAttr> config = Configurator(kernel, capabilities).configure();
  if (failed(config))
    return failure();
  kernel.setConfigAttr(*config);
  return success();
}

} // namespace mlir::moe
