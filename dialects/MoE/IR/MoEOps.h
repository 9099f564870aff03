//===- MoEOps.h - The moe dialect ---------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOEOPS_H
#define DIALECTS_MOE_IR_MOEOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/MoE/IR/MoEDialect.h.inc"
#include "dialects/MoE/IR/MoEEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoE/IR/MoEAttrs.h.inc"
#include "dialects/MoE/IR/MoEInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/MoEOps.h.inc"

#endif // DIALECTS_MOE_IR_MOEOPS_H
