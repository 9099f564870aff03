//===- KernelInfo.cpp - What every emitter asks of a kernel -----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/Common/KernelInfo.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::moe::target {

Operation *findStructuredOp(moe_kernel::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (op.hasTrait<moe_kernel::StructuredKernelOp>())
      return &op;
  return nullptr;
}

LogicalResult checkElementTypes(moe_kernel::KernelOp kernel, StringRef target, bool allowsDoubles) {
  auto check = [&](TypeRange types, StringRef what) -> LogicalResult {
    for (auto [index, type] : llvm::enumerate(types)) {
      Type element = getElementTypeOrSelf(type);
      bool isSupported = element.isF32() || element.isBF16() || element.isSignlessInteger(32) ||
                         (allowsDoubles && (element.isF64() || element.isSignlessInteger(64)));
      if (!isSupported)
        return kernel.emitOpError() << what << " " << index << " has elements of type " << element << ", but the "
                                    << target << " target has kernels of this kind for f32, bf16 and i32"
                                    << (allowsDoubles ? ", f64 and i64" : "") << " only";
    }
    return success();
  };
  return failure(failed(check(kernel.getArgumentTypes(), "argument")) ||
                 failed(check(kernel.getResultTypes(), "result")));
}

LogicalResult checkStructuredOp(Operation *op, bool allowsParts) {
  if (auto matmul = dyn_cast<moe_kernel::MatmulOp>(op); matmul && matmul.getParts() != 1 && !allowsParts)
    return op->emitError() << "sums its contraction in " << matmul.getParts()
                           << " parts, which this kind of kernel does not";
  for (auto [number, operand] : llvm::enumerate(op->getOperands()))
    if (!isa<BlockArgument>(operand))
      return op->emitError() << "operand " << number << " is not an argument of the kernel";
  for (auto [number, result] : llvm::enumerate(op->getResults()))
    if (!result.hasOneUse() || !isa<moe_kernel::ReturnOp>(*result.user_begin()))
      return op->emitError() << "result " << number << " has " << llvm::range_size(result.getUses())
                             << " uses; the kernel has to return it once";
  return success();
}

LogicalResult checkSumsNoRows(Operation *op) {
  if (auto matmul = dyn_cast<moe_kernel::MatmulOp>(op); matmul && matmul.sumsRows())
    return op->emitError(
        "sums rows in its epilogue, which only CUDA matmuls with unit = wgmma do; store what is summed, "
        "and sum it in a kernel of rows");
  return success();
}

static int64_t getBytes(Type type) {
  auto shaped = cast<ShapedType>(type);
  return shaped.getNumElements() * llvm::divideCeil(shaped.getElementTypeBitWidth(), 8);
}

/// What `use` reads of a tensor of `all` bytes: nothing if the op only mentions it.
static int64_t getBytesRead(OpOperand &use, int64_t all) {
  Operation *user = use.getOwner();
  auto sumOfUses = [&](Value value) {
    int64_t bytes = 0;
    for (OpOperand &inner : value.getUses())
      bytes += getBytesRead(inner, all);
    return std::min(bytes, all);
  };
  if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user))
    return sumOfUses(user->getResult(0));
  if (auto generic = dyn_cast<linalg::GenericOp>(user))
    return generic.getMatchingBlockArgument(&use).use_empty() ? 0 : all;
  auto generic = user->getParentOfType<linalg::GenericOp>();
  if (auto extract = dyn_cast<tensor::ExtractOp>(user); extract && generic) {
    int64_t points = 1;
    for (int64_t extent : generic.getStaticLoopRanges())
      points *= extent;
    return std::min(all, points * llvm::divideCeil(extract.getType().getIntOrFloatBitWidth(), 8));
  }
  return all;
}

SmallVector<moe_kernel::KernelOp> getParts(moe_kernel::KernelOp kernel) {
  return llvm::map_to_vector(kernel.getBody().getOps<moe_kernel::LaunchOp>(), [](moe_kernel::LaunchOp launch) {
    return SymbolTable::lookupNearestSymbolFrom<moe_kernel::KernelOp>(launch, launch.getKernelAttr());
  });
}

int64_t getCompulsoryBytes(moe_kernel::KernelOp kernel) {
  int64_t bytes = 0;
  if (kernel.holdsLaunches()) {
    for (moe_kernel::KernelOp part : getParts(kernel))
      bytes += getCompulsoryBytes(part);
    return bytes;
  }
  Operation *structured = findStructuredOp(kernel);
  // A few rows of the cache.
  if (auto append = dyn_cast_or_null<moe_kernel::CacheAppendOp>(structured))
    return 2 * getBytes(append.getRows().getType()) + getBytes(append.getPositions().getType());
  for (BlockArgument argument : kernel.getBody().getArguments()) {
    int64_t all = getBytes(argument.getType()), read = 0;
    for (OpOperand &use : argument.getUses())
      read += getBytesRead(use, all);
    bytes += std::min(all, read);
  }
  for (Type type : kernel.getResultTypes())
    bytes += getBytes(type);
  // Fewer rows than experts leave the weights of the others alone.
  auto leaveOthers = [&](Value matrices, int64_t rows) {
    int64_t experts = cast<ShapedType>(matrices.getType()).getDimSize(0);
    bytes -= getBytes(matrices.getType()) / experts * (experts - std::min(experts, rows));
  };
  if (auto matmul = dyn_cast_or_null<moe_kernel::CombinedMatmulOp>(structured))
    leaveOthers(matmul.getMatrix(), cast<ShapedType>(matmul.getRows().getType()).getDimSize(0));
  if (auto matmul = dyn_cast_or_null<moe_kernel::MatmulOp>(structured);
      matmul && matmul.getKind() == moe_kernel::MatmulKind::ragged_rows)
    leaveOthers(matmul.getRhs(), cast<ShapedType>(matmul.getResults().front().getType()).getDimSize(0));
  return bytes;
}

} // namespace mlir::moe::target
