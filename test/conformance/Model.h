//===- Model.h - Models for tests -------------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_CONFORMANCE_MODEL_H
#define TEST_CONFORMANCE_MODEL_H

#include "test/conformance/Numerics.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::moe::conformance {

/// A description after each step of the stages layers and objective.
class Model {
public:
  /// Null after a diagnostic.
  static std::unique_ptr<Model> parse(StringRef description);
  static std::unique_ptr<Model> parseFile(const Twine &path);

  /// train_step and evaluate return logits.
  ModuleOp getForward() { return *forward; }
  /// train_step returns its loss.
  ModuleOp getLoss() { return *loss; }
  /// train_step updates the variables and returns the gradients as well.
  ModuleOp getTraining() { return *training; }

  /// Initial parameters and buffers such that activations are of order one and every part matters to the loss.
  NamedTensors drawVariables(Draw &draw);
  /// Inputs of an entry point by name: tokens and targets below the size of the vocabulary, some weights 0, positions
  /// those of short documents.
  NamedTensors drawInputs(ModuleOp module, StringRef entry, Draw &draw);

private:
  Model();
  static std::unique_ptr<Model> build(function_ref<OwningOpRef<ModuleOp>(MLIRContext &)> parse);

  MLIRContext context;
  OwningOpRef<ModuleOp> forward, loss, training;
};

} // namespace mlir::moe::conformance

#endif // TEST_CONFORMANCE_MODEL_H
