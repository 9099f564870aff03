//===- Pipeline.cpp - The stage fuse ----------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Fuse/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

namespace mlir::moe {

void buildFuseStage(OpPassManager &passes) {
  OpPassManager &functions = passes.nest<func::FuncOp>();
  functions.addPass(createCSEPass());
  functions.addPass(createFuseRoutingPass());
  functions.addPass(createMoEToMoEKernelPass());
  functions.addPass(createFuseDispatchPass());
  functions.addPass(createFuseCombinePass());
  functions.addPass(createFuseEpiloguePass());
  functions.addPass(createMoEToLinalgPass());
  functions.addPass(createFuseElementwisePass());
  functions.addPass(createFoldReshapesPass());
  passes.addPass(createOutlineKernelsPass());
  passes.addPass(createDeduplicateKernelsPass());
}

void registerFusePipeline() {
  PassPipelineRegistration<>("moe-fuse", "The stage fuse: tensor ops to launches of kernels", buildFuseStage);
}

} // namespace mlir::moe
