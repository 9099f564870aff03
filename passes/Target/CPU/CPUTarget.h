//===- CPUTarget.h - The CPU as a target ----------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CPU_CPUTARGET_H
#define PASSES_TARGET_CPU_CPUTARGET_H

#include "passes/Target/CPU/Capabilities.h"
#include "passes/Target/Target.h"

namespace mlir::moe {

/// x86-64 through LLVM. `arch` is "" or "host" for this machine, or any CPU that LLVM knows and that has AVX2 and FMA.
class CPUTarget : public Target {
public:
  explicit CPUTarget(cpu::Capabilities capabilities) : capabilities(std::move(capabilities)) {}

  StringRef getName() const override { return "cpu"; }
  StringRef getArch() const override { return capabilities.arch; }
  void getDependentDialects(DialectRegistry &registry) const override;
  LogicalResult configure(moe_kernel::KernelOp kernel) const override;
  void addCodegenPasses(OpPassManager &passes, StringRef dumpTo) const override;

private:
  cpu::Capabilities capabilities;
};

/// Makes "cpu" known to createTarget, and its passes to command lines.
void registerCPUTarget();

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_CPUTARGET_H
