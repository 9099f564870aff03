//===- EntryPoint.cpp - Named inputs and outputs of entry points -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Objective/EntryPoint.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr StringLiteral kEntryAttr = "moe.entry";
static constexpr StringLiteral kNameAttr = "moe.name";

static DictionaryAttr nameAttribute(MLIRContext *context, StringRef name) {
  Builder builder(context);
  return builder.getDictionaryAttr(builder.getNamedAttr(kNameAttr, builder.getStringAttr(name)));
}

EntryPoint EntryPoint::find(ModuleOp module, EntryKind kind) {
  for (auto func : module.getOps<func::FuncOp>())
    if (auto attr = func->getAttrOfType<EntryKindAttr>(kEntryAttr); attr && attr.getValue() == kind)
      return EntryPoint(func);
  return EntryPoint(nullptr);
}

BlockArgument EntryPoint::getInput(StringRef name) {
  for (BlockArgument argument : func.getArguments())
    if (auto attr = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kNameAttr); attr && attr == name)
      return argument;
  func.emitError() << "entry point has no input named '" << name << "'";
  return {};
}

Value EntryPoint::getOutput(StringRef name) {
  if (std::optional<unsigned> index = findOutput(name))
    return getTerminator()->getOperand(*index);
  func.emitError() << "entry point has no output named '" << name << "'";
  return {};
}

StringRef EntryPoint::getOutputName(unsigned index) {
  auto attr = func.getResultAttrOfType<StringAttr>(index, kNameAttr);
  return attr ? attr.getValue() : StringRef();
}

std::optional<unsigned> EntryPoint::findOutput(StringRef name) {
  for (unsigned index : llvm::seq(getTerminator()->getNumOperands()))
    if (getOutputName(index) == name)
      return index;
  return std::nullopt;
}

BlockArgument EntryPoint::addInput(StringRef name, Type type) {
  unsigned index = func.getNumArguments();
  (void)func.insertArgument(index, type, nameAttribute(func.getContext(), name), func.getLoc());
  return func.getArgument(index);
}

void EntryPoint::addOutput(StringRef name, Value value, std::optional<unsigned> index) {
  unsigned position = index.value_or(func.getNumResults());
  (void)func.insertResult(position, value.getType(), nameAttribute(func.getContext(), name));
  getTerminator()->insertOperands(position, value);
}

void EntryPoint::removeOutput(unsigned index) {
  (void)func.eraseResult(index);
  getTerminator()->eraseOperand(index);
}
