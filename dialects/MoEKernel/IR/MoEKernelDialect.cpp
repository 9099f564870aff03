//===- MoEKernelDialect.cpp - Registration of the moe_kernel dialect ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/KeywordAssembly.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe_kernel;

#include "dialects/MoEKernel/IR/MoEKernelDialect.cpp.inc"
#include "dialects/MoEKernel/IR/MoEKernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoEKernel/IR/MoEKernelAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/MoEKernel/IR/MoEKernelOps.cpp.inc"

void MoEKernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/MoEKernel/IR/MoEKernelOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MoEKernel/IR/MoEKernelAttrs.cpp.inc"
      >();
}
