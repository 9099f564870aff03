//===- Registration.cpp - Everything that moe-opt knows ---------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lib/Compiler/Pipeline/Registration.h"

#include "dialects/MoE/IR/MoEOps.h"
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "dialects/MoEKernel/IR/MoEKernelOps.h"
#include "passes/Configure/Passes.h"
#include "passes/Fuse/Passes.h"
#include "passes/Layers/Passes.h"
#include "passes/Objective/Passes.h"
#include "passes/Schedule/Passes.h"
#include "passes/Shard/Passes.h"
#include "passes/Target/CPU/CPUTarget.h"
#include "passes/Verify/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Transforms/Passes.h"

namespace mlir::moe {

void registerAllDialects(DialectRegistry &registry) {
  registry.insert<MoEDialect, moe_kernel::MoEKernelDialect, moe_exec::MoEExecDialect>();
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
}

void registerAllPasses() {
  registerConfigurePasses();
  registerFusePasses();
  registerFusePipeline();
  registerLayersPasses();
  registerObjectivePasses();
  registerSchedulePasses();
  registerShardPasses();
  registerVerifyPasses();
  registerCPUTarget();
  mlir::registerTransformsPasses();
}

} // namespace mlir::moe
