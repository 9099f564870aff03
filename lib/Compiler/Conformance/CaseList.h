//===- CaseList.h - The cases of the conformance suite ------------- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A case is a function of `moe` tensor ops in a file of test/conformance/cases:
///
///   !storage = f32
///   !stat = f32
///   func.func @linear.odd_sizes(%x: tensor<3x5x!storage>, %w: tensor<7x5x!storage>) -> tensor<3x7x!storage> {
///     %y = moe.linear %x, %w : (tensor<3x5x!storage>, tensor<7x5x!storage>) -> tensor<3x7x!storage>
///     return %y : tensor<3x7x!storage>
///   }
///
/// The text is instantiated for several storage types. Each instance is an entry point, `linear.odd_sizes.f32`, whose
/// inputs and outputs are named as in the text, and so is its gradient, `linear.odd_sizes.f32.gradient`, which takes
/// the same inputs and `gradient.y`, and returns `gradient.x` and `gradient.w`. docs/conformance.md has more.
/// Attributes:
///
///   moe.draw = "..."       of an argument: its values, see Distribution.h
///   moe.no_gradient        of an argument or result: it has none; of a function: nor has the case
///   moe.not_smooth         of a function: its gradient is not to be compared with finite differences
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_CONFORMANCE_CASELIST_H
#define LIB_COMPILER_CONFORMANCE_CASELIST_H

#include "lib/Compiler/Conformance/Draw.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace mlir::moe::conformance {

/// One entry point of the list.
struct Case {
  std::string op, name, storage;  ///< "linear", "odd_sizes", "f32"
  func::FuncOp forward, gradient; ///< gradient is null if there is none.
  bool smooth = true;
};

class CaseList {
public:
  /// Parses the files for each of the storage types ("f32", "bf16", "f64"). Diagnostics go to the context.
  static FailureOr<CaseList> parse(ArrayRef<std::string> paths, ArrayRef<std::string> storageTypes,
                                   MLIRContext &context);

  /// All functions; what targets compile.
  ModuleOp getModule() { return *module; }
  std::vector<Case> cases;

private:
  LogicalResult parseFile(StringRef path, StringRef storage);
  LogicalResult add(func::FuncOp func, StringRef text, StringRef storage);

  OwningOpRef<ModuleOp> module;
};

/// The inputs of an entry point by name, as its arguments say. The same in the forward function and the gradient.
FailureOr<SmallVector<Tensor>> drawInputs(func::FuncOp entry);

/// `moe.name` of an argument or result.
StringRef getInputName(func::FuncOp entry, unsigned index);
StringRef getOutputName(func::FuncOp entry, unsigned index);

} // namespace mlir::moe::conformance

#endif // LIB_COMPILER_CONFORMANCE_CASELIST_H
