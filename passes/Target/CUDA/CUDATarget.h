//===- CUDATarget.h - NVIDIA GPUs as a target -------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_TARGET_CUDA_CUDATARGET_H
#define PASSES_TARGET_CUDA_CUDATARGET_H

#include "passes/Target/CUDA/Capabilities.h"
#include "passes/Target/Target.h"

namespace mlir::moe {

/// NVIDIA GPUs through LLVM's NVPTX. `arch` is "" for the portable baseline sm_80, or one of those in Capabilities.cpp.
class CUDATarget : public Target {
public:
  explicit CUDATarget(cuda::Capabilities capabilities) : capabilities(capabilities) {}

  StringRef getName() const override { return "cuda"; }
  StringRef getArch() const override { return capabilities.arch; }
  void getDependentDialects(DialectRegistry &registry) const override;
  bool sumsRows(moe_kernel::MatmulOp matmul) const override;
  bool combinesRows(moe_kernel::MatmulOp matmul, int64_t tokens) const override;
  void splitKernels(ModuleOp module) const override;
  void fuseKernels(ModuleOp module) const override;
  LogicalResult configure(moe_kernel::KernelOp kernel) const override;
  Attribute configurePrologue(moe_kernel::KernelOp rows, moe_kernel::KernelOp reader, unsigned operand) const override;
  bool fusesHorizontally(ArrayRef<moe_kernel::KernelOp> kernels) const override;
  void addCodegenPasses(OpPassManager &passes, StringRef dumpTo) const override;

private:
  cuda::Capabilities capabilities;
};

/// Makes "cuda" known to createTarget, and its passes to command lines.
void registerCUDATarget();

} // namespace mlir::moe

#endif // PASSES_TARGET_CUDA_CUDATARGET_H
