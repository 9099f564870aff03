//===- MoEInterfaces.td - Interfaces of moe ops -------------------------------------*- tablegen -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_MOE_IR_MOEINTERFACES_TD
#define DIALECTS_MOE_IR_MOEINTERFACES_TD

include "mlir/IR/OpBase.td"

def MoE_GradientOpInterface : OpInterface<"GradientOpInterface"> {
  let cppNamespace = "::mlir::moe";
  let description = [{
    Reverse-mode differentiation. Given the gradient of a scalar loss with respect to the results of an op, its rule
    builds the gradient with respect to its operands from further `moe` ops. The rules are in
    `dialects/MoE/IR/MoEGradients.cpp`; the pass `moe-differentiate` applies them in reverse order and adds up what
    reaches a value along several ways.

    An op that lies between a parameter and the loss and does not have this interface is an error that names the op.
  }];
  let methods = [InterfaceMethod<
    /*desc=*/[{
      Builds the gradient at the builder's insertion point. `resultGradients` has one entry per result, null where no
      gradient reaches that result (at least one is not null). The rule sets one entry per operand of
      `operandGradients` (given with as many nulls); an operand without a gradient (integers, masks) stays null.
    }],
    /*retType=*/"::llvm::LogicalResult", /*methodName=*/"buildGradient",
    /*args=*/(ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$resultGradients,
                  "::llvm::MutableArrayRef<::mlir::Value>":$operandGradients)>];
}

#endif // DIALECTS_MOE_IR_MOEINTERFACES_TD
