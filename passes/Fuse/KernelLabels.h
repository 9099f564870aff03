//===- KernelLabels.h - What ops do, for the names of their kernels *- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_KERNELLABELS_H
#define PASSES_FUSE_KERNELLABELS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// On ops of a function until they are outlined: an array of words for the name of their kernel.
inline constexpr llvm::StringLiteral kLabelsAttrName = "moe_kernel.labels";

/// Appends the labels of `op` that `labels` does not have yet.
inline void collectLabels(Operation *op, llvm::SmallSetVector<StringAttr, 4> &labels) {
  if (auto all = op->getAttrOfType<ArrayAttr>(kLabelsAttrName))
    for (StringAttr label : all.getAsRange<StringAttr>())
      labels.insert(label);
}

inline void setLabels(Operation *op, const llvm::SmallSetVector<StringAttr, 4> &labels) {
  SmallVector<Attribute> all(labels.begin(), labels.end());
  op->setAttr(kLabelsAttrName, ArrayAttr::get(op->getContext(), all));
}

} // namespace mlir::moe

#endif // PASSES_FUSE_KERNELLABELS_H
