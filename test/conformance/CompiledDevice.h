//===- CompiledDevice.h - An artifact as a device under test ----*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TEST_CONFORMANCE_COMPILEDDEVICE_H
#define TEST_CONFORMANCE_COMPILEDDEVICE_H

#include "moe/Session.h"
#include "test/conformance/Device.h"

namespace mlir::moe::conformance {

/// Compiles a description with the whole pipeline and runs it with the runtime. train_step also returns every gradient.
class CompiledDevice : public Device {
public:
  /// Null, with a failed expectation, if it cannot be compiled or loaded. `threads` 0: one per core.
  static std::unique_ptr<CompiledDevice> compile(StringRef description, StringRef target = "cpu", int threads = 0);
  static std::unique_ptr<CompiledDevice> compileFile(const Twine &path, StringRef target = "cpu", int threads = 0);

  void setVariable(StringRef name, const Tensor &value) override;
  Tensor getVariable(StringRef name) override;
  std::optional<NamedTensors> run(StringRef entry, const NamedTensors &inputs) override;
  double unitRoundoff() const override { return 0x1p-24; }

  ::moe::Session &getSession() { return *session; }

private:
  std::unique_ptr<::moe::Session> session;
};

} // namespace mlir::moe::conformance

#endif // TEST_CONFORMANCE_COMPILEDDEVICE_H
