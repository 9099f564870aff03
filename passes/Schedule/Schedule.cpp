//===- Schedule.cpp - Order launches, plan memory, write programs -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Schedule/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_SCHEDULEPASS
#include "passes/Schedule/Passes.h.inc"

namespace {
struct SchedulePass : impl::SchedulePassBase<SchedulePass> {
  void runOnOperation() override {}
};
} // namespace
} // namespace mlir::moe
