//===- Target.h - What a target implements to compile kernels ---*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A target is one folder here (`passes/Target/<Name>`), one driver in the runtime (`runtime/drivers/<name>`) and the
/// lines that register it (docs/adding-a-target.md). It decides (`configure`) and does (`addCodegenPasses`); passes
/// outside ask its capabilities and never its architecture.
///
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_TARGET_H
#define PASSES_TARGET_TARGET_H

#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringRef.h"
#include <functional>
#include <memory>

namespace mlir::moe {

/// The discardable attribute of the module that holds the target: `moe.target = "cpu:x86-64-v3"`.
inline constexpr llvm::StringLiteral kTargetAttrName = "moe.target";

class Target {
public:
  virtual ~Target() = default;

  /// The name before the colon, also the driver's: "cpu".
  virtual llvm::StringRef getName() const = 0;
  /// The resolved architecture: "znver4", "x86-64-v3", "sm_90a".
  virtual llvm::StringRef getArch() const = 0;

  virtual void getDependentDialects(DialectRegistry &registry) const = 0;

  /// Whether an epilogue of `matmul` may have results of extent `row_sum`. The stage fuse asks; no by default.
  virtual bool sumsRows(moe_kernel::MatmulOp matmul) const { return false; }

  /// Whether the target is faster if it sums up the products of `matmul`, rows of experts, for the `tokens` that they
  /// belong to in the kernel that computes them (moe_kernel.combined_matmul). The stage fuse asks; no by default.
  virtual bool combinesRows(moe_kernel::MatmulOp matmul, int64_t tokens) const { return false; }

  /// Before kernels are configured: replaces several kernels by one, where the target runs that faster. Nothing by
  /// default.
  virtual void fuseKernels(ModuleOp module) const {}

  /// After that, of what is left, the other way round: replaces kernels by several, where the target runs these faster.
  /// Nothing by default.
  virtual void splitKernels(ModuleOp module) const {}

  /// Sets `config` on `kernel`, or emits an error that says, with the numbers, why it cannot run on this target and the
  /// nearest thing that can.
  virtual LogicalResult configure(moe_kernel::KernelOp kernel) const = 0;

  /// The `config` with which each block of `reader` computes all of `rows`, a kernel of rows, for itself, if that is
  /// faster than a launch: its only result is operand `operand` of `reader`. Both kernels are configured. Null, the
  /// default: it does not.
  virtual Attribute configurePrologue(moe_kernel::KernelOp rows, moe_kernel::KernelOp reader, unsigned operand) const {
    return {};
  }

  /// Whether launches of `kernels`, which are configured and do not depend on each other, run faster as one launch. A
  /// target that says so has code for kernels that launch others. No by default.
  virtual bool fusesHorizontally(ArrayRef<moe_kernel::KernelOp> kernels) const { return false; }

  /// Passes on the module that turn every configured `moe_kernel.kernel` into a `moe_exec.kernel` and the code into
  /// `moe_exec.object`s. If `dumpTo` is not empty, they write each kernel's code, readable, into folders of `dumpTo`.
  virtual void addCodegenPasses(OpPassManager &passes, llvm::StringRef dumpTo) const = 0;
};

/// Makes a target from the architecture after the colon ("" if there is none); emits an error and returns null if the
/// architecture is unknown.
using TargetFactory = std::function<std::unique_ptr<Target>(llvm::StringRef arch, function_ref<InFlightDiagnostic()>)>;

/// Returns false if the name is taken.
bool registerTarget(llvm::StringRef name, TargetFactory factory);

/// Creates the target that `spec` names ("cpu", "cpu:x86-64-v3"); the error lists the targets there are.
std::unique_ptr<Target> createTarget(llvm::StringRef spec, function_ref<InFlightDiagnostic()> emitError);

/// The target of `module` (attribute `moe.target`), with an error on the module if there is none.
std::unique_ptr<Target> getTarget(ModuleOp module);

} // namespace mlir::moe

#endif // PASSES_TARGET_TARGET_H
