//===- Shard.cpp - Give each rank its program -------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Shard/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_SHARDPASS
#include "passes/Shard/Passes.h.inc"

namespace {
struct ShardPass : impl::ShardPassBase<ShardPass> {
  using ShardPassBase::ShardPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (ranks != 1) {
      module.emitError() << "cannot be divided among " << ranks.getValue()
                         << " ranks: only 1 rank is supported so far; compile with ranks=1";
      return signalPassFailure();
    }
    module->setAttr(kGridAttrName, Builder(&getContext()).getDenseI64ArrayAttr({ranks}));
  }
};
} // namespace
} // namespace mlir::moe
