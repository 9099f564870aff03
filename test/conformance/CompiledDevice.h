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

/// The artifact of a description; train_step also returns every gradient. Compiled once per process. Null, with a
/// failed expectation, if it cannot be compiled.
std::shared_ptr<const ::moe::Artifact> compileArtifact(const std::string &path, const std::string &target = "cpu");

/// An artifact in the runtime.
class CompiledDevice : public Device {
public:
  /// Whether this machine has the driver, and the device, of `target`.
  static bool canRun(StringRef target);
  /// Null, with a failed expectation, if it cannot be loaded. `threads` 0: one per core.
  static std::unique_ptr<CompiledDevice> load(std::shared_ptr<const ::moe::Artifact> artifact, int threads = 0);

  void setVariable(StringRef name, const Tensor &value) override;
  Tensor getVariable(StringRef name) override;
  std::optional<NamedTensors> run(StringRef entry, const NamedTensors &inputs) override;
  double unitRoundoff() const override { return 0x1p-24; }

private:
  std::unique_ptr<::moe::Session> session;
};

} // namespace mlir::moe::conformance

#endif // TEST_CONFORMANCE_COMPILEDDEVICE_H
