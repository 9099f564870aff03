//===- Gradient.cpp - The gradient function of a case -------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/Gradient.h"

#include "passes/Objective/Backward.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr StringLiteral kNameAttr = "moe.name";

static bool isDifferentiable(Type type, Attribute noGradient) {
  return isa<FloatType>(getElementTypeOrSelf(type)) && !noGradient;
}

bool conformance::isDifferentiableArgument(func::FuncOp func, unsigned index) {
  return isDifferentiable(func.getArgumentTypes()[index], func.getArgAttr(index, kNoGradientAttr));
}
bool conformance::isDifferentiableResult(func::FuncOp func, unsigned index) {
  return isDifferentiable(func.getResultTypes()[index], func.getResultAttr(index, kNoGradientAttr));
}

/// The arguments that a gradient is wanted for, and the results that it comes from, by index.
static SmallVector<unsigned> differentiableArguments(func::FuncOp func) {
  return llvm::filter_to_vector(llvm::seq(func.getNumArguments()),
                                [&](unsigned index) { return conformance::isDifferentiableArgument(func, index); });
}
static SmallVector<unsigned> differentiableResults(func::FuncOp func) {
  return llvm::filter_to_vector(llvm::seq(func.getNumResults()),
                                [&](unsigned index) { return conformance::isDifferentiableResult(func, index); });
}

bool conformance::hasGradient(func::FuncOp func) {
  return !func->hasAttr(kNoGradientAttr) && !differentiableArguments(func).empty() &&
         !differentiableResults(func).empty();
}

/// {moe.name = "gradient.<name>"}
static DictionaryAttr gradientName(MLIRContext *context, StringAttr name) {
  Builder builder(context);
  return builder.getDictionaryAttr(
      builder.getNamedAttr(kNameAttr, builder.getStringAttr("gradient." + name.getValue())));
}

FailureOr<func::FuncOp> conformance::buildGradient(func::FuncOp original) {
  func::FuncOp func = original.clone();
  func.setName((original.getName() + ".gradient").str());
  original->getBlock()->getOperations().insertAfter(Block::iterator(original), func);
  Block &body = func.front();
  Operation *terminator = body.getTerminator();
  MLIRContext *context = func.getContext();

  SmallVector<unsigned> argumentIndices = differentiableArguments(func), resultIndices = differentiableResults(func);
  auto arguments =
      llvm::map_to_vector(argumentIndices, [&](unsigned index) -> Value { return body.getArgument(index); });
  auto results = llvm::map_to_vector(resultIndices, [&](unsigned index) { return terminator->getOperand(index); });
  Activity activity(func, arguments, results);
  OpBuilder builder(terminator);
  BackwardBuilder backward(activity, builder);
  for (auto [index, result] : llvm::zip_equal(resultIndices, results)) {
    DictionaryAttr name = gradientName(context, func.getResultAttrOfType<StringAttr>(index, kNameAttr));
    (void)func.insertArgument(func.getNumArguments(), result.getType(), name, result.getLoc());
    backward.addGradient(result, body.getArguments().back());
  }
  if (failed(backward.differentiate(body)))
    return failure();

  SmallVector<Value> gradients;
  SmallVector<Attribute> names;
  for (auto [index, argument] : llvm::zip_equal(argumentIndices, arguments)) {
    Value gradient = backward.getGradient(argument);
    if (!gradient)
      return func.emitError() << "no gradient reaches argument '"
                              << func.getArgAttrOfType<StringAttr>(index, kNameAttr).getValue() << "'; give it '"
                              << kNoGradientAttr << "'";
    gradients.push_back(gradient);
    names.push_back(gradientName(context, func.getArgAttrOfType<StringAttr>(index, kNameAttr)));
  }
  terminator->setOperands(gradients);
  func.setFunctionType(FunctionType::get(context, body.getArgumentTypes(), terminator->getOperandTypes()));
  func.setResAttrsAttr(ArrayAttr::get(context, names));
  finishGradients(body);
  if (failed(verify(func)))
    return failure();
  return func;
}
