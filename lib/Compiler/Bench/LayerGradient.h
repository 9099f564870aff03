//===- LayerGradient.h - A layer's forward and backward halves ----- -*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_COMPILER_BENCH_LAYERGRADIENT_H
#define LIB_COMPILER_BENCH_LAYERGRADIENT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::moe::bench {

/// The halves of @f(arguments) -> (y, others), whose arguments are all floats:
///
///   @f_forward(arguments) -> (y, others, residuals)
///   @f_backward(arguments, residuals, gradient of y) -> (gradients of arguments)
///
/// as moe-differentiate makes them, with the activation checkpointing `selective`. Added after @f.
struct LayerHalves {
  func::FuncOp forward, backward;
};
FailureOr<LayerHalves> buildHalves(func::FuncOp layer);

} // namespace mlir::moe::bench

#endif // LIB_COMPILER_BENCH_LAYERGRADIENT_H
