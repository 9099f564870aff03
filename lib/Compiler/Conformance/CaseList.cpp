//===- CaseList.cpp - The cases of the conformance suite ----------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Conformance/CaseList.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "lib/Compiler/Conformance/Distribution.h"
#include "lib/Compiler/Conformance/Gradient.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::conformance;

static constexpr StringLiteral kNameAttr = "moe.name", kDrawAttr = "moe.draw", kEntryAttr = "moe.entry";

StringRef conformance::getInputName(func::FuncOp entry, unsigned index) {
  return entry.getArgAttrOfType<StringAttr>(index, kNameAttr).getValue();
}
StringRef conformance::getOutputName(func::FuncOp entry, unsigned index) {
  return entry.getResultAttrOfType<StringAttr>(index, kNameAttr).getValue();
}

/// The line of `text` that `location` points into, from there.
static StringRef textAt(StringRef text, Location location) {
  auto position = location->findInstanceOf<FileLineColLoc>();
  for ([[maybe_unused]] unsigned line : llvm::seq(1u, position.getLine()))
    text = text.split('\n').second;
  return text.split('\n').first.drop_front(position.getColumn() - 1);
}

/// Takes a value's name ("%x") from the front of `text`, which may begin with other characters.
static StringRef takeName(StringRef &text) {
  text = text.drop_until([](char c) { return c == '%'; }).drop_front();
  StringRef name = text.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; });
  text = text.drop_front(name.size());
  return name;
}

/// Makes `func` an entry point whose inputs and outputs are named as in the text.
static void nameInputsAndOutputs(func::FuncOp func, StringRef text) {
  Builder builder(func.getContext());
  func->setAttr(kEntryAttr, builder.getUnitAttr());
  for (BlockArgument argument : func.getArguments()) {
    StringRef rest = textAt(text, argument.getLoc());
    func.setArgAttr(argument.getArgNumber(), kNameAttr, builder.getStringAttr(takeName(rest)));
  }
  StringRef results = textAt(text, func.front().getTerminator()->getLoc());
  for (unsigned index : llvm::seq(func.getNumResults()))
    func.setResultAttr(index, kNameAttr, builder.getStringAttr(takeName(results)));
}

LogicalResult CaseList::add(func::FuncOp func, StringRef text, StringRef storage) {
  auto [op, name] = func.getName().split('.');
  if (name.empty())
    return func.emitError() << "case '" << op << "' needs a name of the form op.what_is_special";
  func.setName((op + "." + name + "." + storage).str());
  nameInputsAndOutputs(func, text);
  module->push_back(func);
  Case added{op.str(), name.str(), storage.str(), func, nullptr, !func->hasAttr(kNotSmoothAttr)};
  if (hasGradient(func)) {
    FailureOr<func::FuncOp> gradient = buildGradient(func);
    if (failed(gradient))
      return failure();
    added.gradient = *gradient;
  }
  cases.push_back(added);
  return success();
}

/// The text with its type aliases set to `storage`; statistics are float32 unless all is float64.
static std::string instantiate(StringRef text, StringRef storage) {
  std::string result;
  for (StringRef rest = text; !rest.empty();) {
    auto [line, others] = rest.split('\n');
    if (line.starts_with("!storage = "))
      result += ("!storage = " + storage).str();
    else if (line.starts_with("!stat = "))
      result += storage == "f64" ? "!stat = f64" : "!stat = f32";
    else
      result += line;
    result += '\n';
    rest = others;
  }
  return result;
}

LogicalResult CaseList::parseFile(StringRef path, StringRef storage) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (!file)
    return emitError(UnknownLoc::get(module->getContext()))
           << "cannot read '" << path << "': " << file.getError().message();
  std::string text = instantiate((*file)->getBuffer(), storage);
  OwningOpRef<ModuleOp> parsed = parseSourceString<ModuleOp>(text, module->getContext(), path);
  if (!parsed)
    return failure();
  for (auto func : llvm::make_early_inc_range(parsed->getOps<func::FuncOp>())) {
    func->remove();
    if (failed(add(func, text, storage)))
      return failure();
  }
  return success();
}

FailureOr<CaseList> CaseList::parse(ArrayRef<std::string> paths, ArrayRef<std::string> storageTypes,
                                    MLIRContext &context) {
  CaseList list;
  list.module = ModuleOp::create(UnknownLoc::get(&context));
  for (StringRef storage : storageTypes)
    for (StringRef path : paths)
      if (failed(list.parseFile(path, storage)))
        return failure();
  return list;
}

FailureOr<SmallVector<Tensor>> conformance::drawInputs(func::FuncOp entry) {
  // The same in all storage types but for rounding.
  auto [op, rest] = entry.getName().split('.');
  StringRef name = rest.split('.').first;
  SmallVector<Tensor> inputs;
  for (unsigned index : llvm::seq(entry.getNumArguments())) {
    Draw draw((op + "." + name + "." + getInputName(entry, index)).str());
    auto distribution = entry.getArgAttrOfType<StringAttr>(index, kDrawAttr);
    auto type = cast<RankedTensorType>(entry.getArgumentTypes()[index]);
    if (!distribution && !isa<FloatType>(type.getElementType()))
      return entry.emitError() << "argument '" << getInputName(entry, index) << "' of type " << type << " needs '"
                               << kDrawAttr << "'";
    FailureOr<Tensor> tensor =
        drawTensor(distribution ? distribution.getValue() : "", type, draw, [&] { return entry.emitError(); });
    if (failed(tensor))
      return failure();
    inputs.push_back(std::move(*tensor));
  }
  return inputs;
}
