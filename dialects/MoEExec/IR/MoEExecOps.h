//===- MoEExecOps.h - The moe_exec dialect ---------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEEXEC_IR_MOEEXECOPS_H
#define DIALECTS_MOEEXEC_IR_MOEEXECOPS_H

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

#include "dialects/MoEExec/IR/MoEExecDialect.h.inc"
#include "dialects/MoEExec/IR/MoEExecEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoEExec/IR/MoEExecAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/MoEExec/IR/MoEExecOps.h.inc"

#endif // DIALECTS_MOEEXEC_IR_MOEEXECOPS_H
