//===- Device.h - What runs a model in a test -------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_CONFORMANCE_DEVICE_H
#define TEST_CONFORMANCE_DEVICE_H

#include "lib/Compiler/Reference/Interpreter.h"

namespace mlir::moe::conformance {

using reference::NamedTensors;
using reference::Tensor;

/// Something that runs the entry points of a model and holds its variables: the reference interpreter, or a compiled
/// artifact on a target. A test that takes a device checks both.
class Device {
public:
  virtual ~Device() = default;

  virtual void setVariable(StringRef name, const Tensor &value) = 0;
  virtual Tensor getVariable(StringRef name) = 0;
  /// Runs an entry point; nothing if it fails, after a diagnostic.
  virtual std::optional<NamedTensors> run(StringRef entry, const NamedTensors &inputs) = 0;
  /// The largest relative error of one operation: 2⁻⁵³ in float64, 2⁻²⁴ in float32.
  virtual double unitRoundoff() const = 0;
};

class ReferenceDevice : public Device {
public:
  explicit ReferenceDevice(ModuleOp module) : interpreter(module) {}

  void setVariable(StringRef name, const Tensor &value) override { interpreter.setVariable(name, value); }
  Tensor getVariable(StringRef name) override { return *interpreter.getVariable(name); }
  std::optional<NamedTensors> run(StringRef entry, const NamedTensors &inputs) override {
    FailureOr<NamedTensors> outputs = interpreter.run(entry, inputs);
    return succeeded(outputs) ? std::optional(std::move(*outputs)) : std::nullopt;
  }
  double unitRoundoff() const override { return 0x1p-53; }

private:
  reference::Interpreter interpreter;
};

} // namespace mlir::moe::conformance

#endif // TEST_CONFORMANCE_DEVICE_H
