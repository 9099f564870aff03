//===- MoEDialect.cpp - Registration of the moe dialect ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/KeywordAssembly.h"
#include "dialects/MoE/IR/MoEOps.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

#include "dialects/MoE/IR/MoEDialect.cpp.inc"
#include "dialects/MoE/IR/MoEEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoE/IR/MoEAttrs.cpp.inc"
#include "dialects/MoE/IR/MoEInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/MoEOps.cpp.inc"

void MoEDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/MoEOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MoE/IR/MoEAttrs.cpp.inc"
      >();
}
