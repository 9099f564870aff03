//===- KernelNames.h - Names that say what a kernel does --------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSE_KERNELNAMES_H
#define PASSES_FUSE_KERNELNAMES_H

#include "mlir/IR/TypeRange.h"
#include "passes/Fuse/KernelGroups.h"
#include <string>

namespace mlir::moe {

/// What the ops of `group` do, the fusions and the shape: `combine_add_1024x128` (rows by columns of the result),
/// `grouped_matmul_dispatch_swiglu_2048x128x64` (m x n x k), `router_softmax_top2_1024x8`. Not unique: other
/// attributes, operands or types do not show.
std::string getKernelName(const KernelGroup &group, TypeRange results);

} // namespace mlir::moe

#endif // PASSES_FUSE_KERNELNAMES_H
