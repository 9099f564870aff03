//===- MoEExecDialect.cpp - Registration of the moe_exec dialect ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEExec/IR/MoEExecOps.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe_exec;

#include "dialects/MoEExec/IR/MoEExecDialect.cpp.inc"
#include "dialects/MoEExec/IR/MoEExecEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoEExec/IR/MoEExecAttrs.cpp.inc"


#include "dialects/MoEExec/IR/BufferAssembly.h"
#define GET_OP_CLASSES
#include "dialects/MoEExec/IR/MoEExecOps.cpp.inc"

void MoEExecDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/MoEExec/IR/MoEExecOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MoEExec/IR/MoEExecAttrs.cpp.inc"
      >();
}
