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
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
