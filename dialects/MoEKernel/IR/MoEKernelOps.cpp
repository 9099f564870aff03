//===- MoEKernelOps.cpp - Verifiers and assembly ------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialects/MoEKernel/IR/MoEKernelOps.h"

#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace mlir::moe_kernel;

LogicalResult MatmulOp::verify() { return success(); }
LogicalResult AttentionOp::verify() { return success(); }
LogicalResult AttentionBackwardOp::verify() { return success(); }
LogicalResult CachedAttentionOp::verify() { return success(); }
LogicalResult RouteOp::verify() { return success(); }
LogicalResult RouteBackwardOp::verify() { return success(); }
LogicalResult PlanOp::verify() { return success(); }
LogicalResult ScatterAddOp::verify() { return success(); }
LogicalResult CacheAppendOp::verify() { return success(); }
LogicalResult SumOfSquaresOp::verify() { return success(); }
LogicalResult KernelOp::verify() { return success(); }
LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) { return success(); }
void YieldOp::build(OpBuilder &, OperationState &) {}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildFunctionType = [](Builder &builder, ArrayRef<Type> arguments, ArrayRef<Type> results,
                              function_interface_impl::VariadicFlag,
                              std::string &) { return builder.getFunctionType(arguments, results); };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), buildFunctionType,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

std::optional<unsigned> KernelOp::getTiedResult(unsigned index) {
  if (auto tied = getArgAttrOfType<IntegerAttr>(index, "moe_kernel.tied"))
    return tied.getInt();
  return std::nullopt;
}
