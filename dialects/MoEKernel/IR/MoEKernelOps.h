//===- MoEKernelOps.h - The moe_kernel dialect ---------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_H
#define DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_H

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

#include "dialects/MoEKernel/IR/MoEKernelDialect.h.inc"
#include "dialects/MoEKernel/IR/MoEKernelEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/MoEKernel/IR/MoEKernelAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/MoEKernel/IR/MoEKernelOps.h.inc"

#endif // DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_H
