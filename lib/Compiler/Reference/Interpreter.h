//===- Interpreter.h - Runs moe tensor ops in float64 -------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The meaning of the tensor ops, as straightforward loops in float64: what gradients are checked with and what targets
/// are compared with. What is stored in bf16 (a result, a variable, an argument) is rounded to it, to nearest even;
/// float32 is not rounded unless asked for. Understands `moe` tensor ops, func.call, func.return and arith.constant.
///
///   Interpreter interpreter(module);
///   interpreter.setVariable("lm_head.weight", weight);
///   FailureOr<NamedTensors> outputs = interpreter.run("train_step", inputs);
///
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_REFERENCE_INTERPRETER_H
#define LIB_COMPILER_REFERENCE_INTERPRETER_H

#include "lib/Compiler/Reference/Bounded.h"
#include "lib/Compiler/Reference/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::moe::reference {

struct InterpreterOptions {
  /// Round what an op computes to float32 where its type is, as if it were stored.
  bool roundToFloat32 = false;
};

/// In float64; with Bounded as Number the same, and with a bound of what a float32 computation may differ by.
template <typename Number> class InterpreterOf {
public:
  using Tensor = TensorOf<Number>;
  using NamedTensors = std::map<std::string, Tensor>;

  /// Variables initialised with zeros or ones have those values; the others have none until set, but a copy that is not
  /// set follows its source.
  explicit InterpreterOf(ModuleOp module, InterpreterOptions options = {});

  void setVariable(StringRef name, Tensor value);
  /// Null if the variable has no value.
  const Tensor *getVariable(StringRef name) const;

  /// Runs an entry point and updates the variables that it writes. Emits an error and fails if the inputs are not those
  /// of the entry point, or at an op without rule.
  FailureOr<NamedTensors> run(StringRef entry, const NamedTensors &inputs);

  /// Runs any function on its arguments by position.
  FailureOr<SmallVector<Tensor>> call(StringRef function, ArrayRef<Tensor> arguments);

private:
  using Frame = llvm::DenseMap<Value, Tensor>;

  FailureOr<SmallVector<Tensor>> callFunction(func::FuncOp func, ArrayRef<Tensor> arguments);
  LogicalResult execute(Operation *op, Frame &frame);
  LogicalResult checkType(Operation *where, const Twine &what, const Tensor &tensor, Type type) const;
  /// Rounds values as memory of that type keeps them.
  void store(Tensor &tensor, Type type) const;

  SymbolTable symbols;
  InterpreterOptions options;
  NamedTensors variables;
  /// What moe.write has written; visible after the call.
  NamedTensors written;
};

using Interpreter = InterpreterOf<double>;

} // namespace mlir::moe::reference

#endif // LIB_COMPILER_REFERENCE_INTERPRETER_H
