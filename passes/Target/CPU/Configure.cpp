//===- Configure.cpp - The configuration of CPU kernels ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Target/CPU/CPUTarget.h"

namespace mlir::moe {

LogicalResult CPUTarget::configure(moe_kernel::KernelOp kernel) const {
  kernel.setConfigAttr(moe_kernel::CPUConfigAttr::get(kernel.getContext(), capabilities.vectorWidth, 1,
                                                      capabilities.vectorWidth, 64, 64));
  return success();
}

} // namespace mlir::moe
