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

namespace mlir::moe_kernel {

/// The argument attribute that ties an argument to the result of its number.
inline constexpr llvm::StringLiteral kTiedAttrName = "moe_kernel.tied";

/// What buffers are aligned to, and so what a part of one must start at a multiple of, in bytes.
inline constexpr int64_t kBufferAlignment = 256;

/// Columns of the epilogue that a matmul's result of extent `row_sum` adds up.
inline constexpr int64_t kRowSumColumns = 64;

/// On ops that can be the only computing op of a kernel.
template <typename ConcreteType>
class StructuredKernelOp : public OpTrait::TraitBase<ConcreteType, StructuredKernelOp> {};

} // namespace mlir::moe_kernel

#define GET_OP_CLASSES
#include "dialects/MoEKernel/IR/MoEKernelOps.h.inc"

#endif // DIALECTS_MOEKERNEL_IR_MOEKERNELOPS_H
