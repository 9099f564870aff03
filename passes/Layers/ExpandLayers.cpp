//===- ExpandLayers.cpp - Expand layer ops into tensor ops, one function per distinct layer -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Layers/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDLAYERSPASS
#include "passes/Layers/Passes.h.inc"

namespace {
struct ExpandLayersPass : impl::ExpandLayersPassBase<ExpandLayersPass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
