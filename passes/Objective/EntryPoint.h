//===- EntryPoint.h - Named inputs and outputs of entry points --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// An entry point is a function with the attribute `moe.entry`; its arguments and results are found by `moe.name`.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_OBJECTIVE_ENTRYPOINT_H
#define PASSES_OBJECTIVE_ENTRYPOINT_H

#include "dialects/MoE/IR/MoEOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::moe {

class EntryPoint {
public:
  explicit EntryPoint(func::FuncOp func) : func(func) {}

  /// The entry point of that kind; false in a boolean context if the module has none.
  static EntryPoint find(ModuleOp module, EntryKind kind);

  explicit operator bool() { return static_cast<bool>(func); }
  func::FuncOp getFunc() { return func; }
  Operation *getTerminator() { return func.front().getTerminator(); }

  /// The input or the value of the output of that name. Emits an error and returns null if there is none.
  BlockArgument getInput(StringRef name);
  Value getOutput(StringRef name);

  /// The name of the output `index`, empty if it has none.
  StringRef getOutputName(unsigned index);
  std::optional<unsigned> findOutput(StringRef name);

  BlockArgument addInput(StringRef name, Type type);
  /// Inserts an output before the output `index`, by default after the last one.
  void addOutput(StringRef name, Value value, std::optional<unsigned> index = std::nullopt);
  void removeOutput(unsigned index);

private:
  func::FuncOp func;
};

} // namespace mlir::moe

#endif // PASSES_OBJECTIVE_ENTRYPOINT_H
